"""Reads the body of one answer under a cap on *decoded* bytes, so that a gzip bomb costs no more than the cap.

Knows gzip and nothing else, because nothing else is asked for. Never raises for what the other side sends.
"""

import zlib
from collections.abc import AsyncIterator

from ivcrush.domain.errors import ErrorCode, Ok, Result, err

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


async def read_body(chunks: AsyncIterator[bytes], coding: str, max_bytes: int) -> Result[bytes]:
    """The decoded body. Errors: INVALID past the cap (it stays too big), EXTERNAL for a broken one (it may pass)."""
    coding = coding.strip().lower()
    if coding not in {"", "identity", "gzip"}:
        return err(ErrorCode.EXTERNAL, f"body in coding {coding!r}, gzip was asked for")
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB) if coding == "gzip" else None
    body = bytearray()
    async for chunk in chunks:
        try:
            body += chunk if inflater is None else inflater.decompress(chunk, max_bytes + 1 - len(body))
        except zlib.error:
            return err(ErrorCode.EXTERNAL, "body is no gzip although it says so")
        if len(body) > max_bytes:
            return err(ErrorCode.INVALID, f"body larger than {max_bytes} bytes")
    if inflater is not None and not inflater.eof:
        return err(ErrorCode.EXTERNAL, "body ends before its gzip stream does")
    return Ok(bytes(body))
