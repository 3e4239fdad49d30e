"""Whether the providers can be reached, asked as sparingly as possible: one request of Tradier, none of Alpha Vantage.

Alpha Vantage counts every request against 25 a day, so its door is only knocked at: connection and TLS, not a byte
more. Nothing is repeated: the check of a moment wants to know the moment. The HTTP library is loaded with this module
and not at the first request, so that the time that a check took is the provider's.
"""

import asyncio
import socket
import ssl
from datetime import datetime
from urllib.parse import urlsplit

import httpx

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.infrastructure.api.transport import Reply, Transport
from ivcrush.infrastructure.api.wire import Request
from ivcrush.utils.own_thread import in_own_thread

_PORTS = {"https": 443, "http": 80}


class TradierProbe:
    """One request for the exchange's clock, however many ask what came of it."""

    def __init__(self, base_url: str, transport: Transport) -> None:
        self._base_url = base_url
        self._transport = transport
        self._asked: asyncio.Task[Result[Reply]] | None = None

    async def served_at(self) -> Result[datetime | None]:
        """The Date of the reply, None where it bears none. Errors: whatever kept the reply from being one."""
        if self._asked is None:
            self._asked = asyncio.create_task(self._ask())
        reply = await asyncio.shield(self._asked)  # whoever gives up does not take the answer from the others
        return reply if isinstance(reply, Err) else Ok(reply.value.served_at)

    async def aclose(self) -> None:
        """Give up a request that is still under way."""
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.wait([self._asked])

    async def _ask(self) -> Result[Reply]:
        resolved = await _resolved(self._base_url)
        return resolved if isinstance(resolved, Err) else await self._transport.send(Request("/markets/clock"))


async def knock(base_url: str) -> Result[str]:
    """Connect, agree on TLS where the URL asks for it, and leave; the host that was met.

    Errors: EXTERNAL for a name that is none, a refused connection, a certificate that is not trusted.
    """
    resolved = await _resolved(base_url)
    if isinstance(resolved, Err):
        return resolved
    host, port = _address(base_url)
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=_trusted(base_url))
    except ssl.SSLCertVerificationError as error:
        return err(ErrorCode.EXTERNAL, f"{host}: TLS: {error.verify_message}")
    except OSError as error:
        return err(ErrorCode.EXTERNAL, f"{host}: connection failed ({type(error).__name__})")
    writer.transport.abort()  # a polite end would wait for the other side
    return Ok(host)


def _trusted(base_url: str) -> ssl.SSLContext | None:
    """The transport's own roots; None where there is no TLS."""
    return httpx.create_ssl_context(trust_env=False) if urlsplit(base_url).scheme == "https" else None


async def _resolved(base_url: str) -> Result[None]:
    """Whether the host has an address. In a thread that nobody waits for: resolvers take half a minute to give up."""
    host, port = _address(base_url)
    try:
        await in_own_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        return err(ErrorCode.EXTERNAL, f"{host}: the name has no address ({error.strerror})")
    return Ok(None)


def _address(base_url: str) -> tuple[str, int]:
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or _PORTS[parts.scheme]
