"""JSON as providers really send it: one-or-many lists, null containers, NaN literals, absurd counts, one bad row.

Bytes in, typed rows out. Every way in which bytes can fail to be JSON comes back as an `Err`; nothing here knows an
endpoint.
"""

import re
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err

T = TypeVar("T")

BOM = b"\xef\xbb\xbf"
LARGEST_COUNT = 1e15  # of shares or contracts; anything above is a fault, and from 2⁶³ on no database takes it
_NOT_A_NUMBER = re.compile(rb"([:\[,]\s*)-?(?:NaN|Infinity)\b")
# msgspec says broken text, wrong types and bad numbers by DecodeError, bad UTF-8 and depth in Python's own words.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Rows(NamedTuple, Generic[T]):
    """The rows that could be read, in their order, and how many could not."""

    good: list[T]
    unreadable: int


def decode(body: bytes | msgspec.Raw, kind: type[T]) -> Result[T]:
    """The value of that type; numbers may come as strings. INVALID, with the place of the fault, for anything else."""
    try:
        return Ok(msgspec.json.decode(body, type=kind, strict=False))
    except _UNREADABLE as fault:
        return err(ErrorCode.INVALID, f"unreadable JSON ({_short(fault)})")


def top_level(body: bytes) -> Result[dict[str, msgspec.Raw]]:
    """The members of the outermost object, each still raw; the whole text has been checked to be JSON.

    `NaN` and `Infinity`, which are no JSON but are sent, count as null.
    """
    try:
        return Ok(msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
    except _UNREADABLE as fault:
        if b"NaN" in body or b"Infinity" in body:
            cleaned = _NOT_A_NUMBER.sub(rb"\1null", body)
            return decode(cleaned, dict[str, msgspec.Raw])
        return err(ErrorCode.INVALID, f"unreadable JSON ({_short(fault)})")


def rows(body: bytes, path: tuple[str, ...], kind: type[T]) -> Result[Rows[T]]:
    """The rows under `path`, whether they come as a list, as a lone row, or as any of the ways to say none.

    A row of another shape is counted, never raised; INVALID where the text itself is not JSON.
    """
    members = top_level(body)
    if isinstance(members, Err):
        return members
    found: msgspec.Raw | None = members.value.get(path[0])
    for name in path[1:]:
        inner = _maybe(found, dict[str, msgspec.Raw])
        found = None if inner is None else inner.get(name)
    if found is None or _is_nothing(found):
        return Ok(Rows([], 0))
    several = _maybe(found, list[kind])  # type: ignore[valid-type]
    if several is not None:
        return Ok(Rows(several, 0))
    each = _maybe(found, list[msgspec.Raw])
    candidates = [found] if each is None else each
    read = [_maybe(candidate, kind) for candidate in candidates]
    good = [row for row in read if row is not None]
    return Ok(Rows(good, len(read) - len(good)))


def count(number: float | None) -> int:
    """Whole shares or contracts; 0, which means "not given", for null, NaN, negatives and what is past all counts."""
    return int(number) if number is not None and 0 < number <= LARGEST_COUNT else 0


def _maybe(raw: msgspec.Raw | None, kind: Any) -> Any:
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except _UNREADABLE:
        return None


def _is_nothing(raw: msgspec.Raw) -> bool:
    return bytes(raw).strip() in {b"null", b"{}", b"[]", b'""', b'"null"'}


def _short(fault: Exception) -> str:
    return "nested too deeply" if isinstance(fault, RecursionError) else str(fault)[:120]
