"""`MarketSnapshot` ↔ bytes, exact to the bit: what an analysis was computed from, kept for repeating and scoring it.

Layout: tag, BLAKE2b of the rest (16 bytes), zlib of msgpack; no pickle, nothing that could run code. Arrays are raw
little-endian bytes with their shape; moments keep their zone's name: arithmetic across a clock change depends on it.
A field that a later program adds with a default reads old snapshots; any other change of shape needs a new tag.
"""

import dataclasses
import enum
import hashlib
import types
import zlib
from collections.abc import Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, Final, TypeGuard, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np

from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.types import MarketSnapshot

TAG: Final = b"ivcrush.snapshot/2\n"
_DIGEST_BYTES: Final = 16
_LARGEST_BYTES: Final = 256_000_000  # a damaged length never asks for more memory than this
_COMPRESSION: Final = 1  # level 6 is three per cent smaller and takes twice as long
_AS_THEY_ARE: Final = frozenset({float, int, str, bool, type(None)})
_DTYPES: Final = frozenset({"<f8", "<i8", "|b1"})


def encode_snapshot(snapshot: MarketSnapshot) -> bytes:
    """The snapshot as bytes; a value of a kind that the domain does not hold is a defect and raises TypeError."""
    body = zlib.compress(msgspec.msgpack.encode(_wire(snapshot)), _COMPRESSION)
    return TAG + _digest(body) + body


def decode_snapshot(data: bytes) -> Result[MarketSnapshot]:
    """The snapshot that was encoded, every float and every zone as it was.

    Errors: DBERROR for bytes that are damaged or of another program version.
    """
    start = len(TAG) + _DIGEST_BYTES
    body = data[start:]
    if data[: len(TAG)] != TAG:
        return err(ErrorCode.DBERROR, f"snapshot: starts with {data[: len(TAG)]!r}, {TAG!r} needed")
    if data[len(TAG) : start] != _digest(body):
        return err(ErrorCode.DBERROR, "snapshot: damaged (checksum differs); restore a backup")
    try:
        return Ok(_parse_snapshot(body))
    # OSError: a zone's name is looked for as a file, and may be a directory's or too long for one.
    except (ValueError, TypeError, KeyError, OSError, zlib.error, ZoneInfoNotFoundError, msgspec.DecodeError) as error:
        return err(ErrorCode.DBERROR, f"snapshot: of another program version ({error})")


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()


def _wire(value: object) -> object:
    """Plain lists, numbers, text and bytes for any value of the domain."""
    if type(value) in _AS_THEY_ARE:  # most values by far: the questions below cost more than all the rest
        return value
    if isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"), copy=False)
        if little.dtype.str not in _DTYPES:
            raise TypeError(f"an array of {value.dtype} has no place in a snapshot")
        return [little.dtype.str, list(little.shape), little.tobytes()]
    if isinstance(value, datetime):
        return _moment_wire(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_wire(item) for item in value]
    if isinstance(value, Mapping):
        return [[_wire(key), _wire(item)] for key, item in value.items()]
    if _is_dataclass_instance(value):
        kind: Any = type(value)
        return {name: _wire(getattr(value, name)) for name in _field_names(kind)}
    return _plain(value)


def _moment_wire(moment: datetime) -> object:
    zone = moment.tzinfo
    if isinstance(zone, ZoneInfo):  # wall time, zone and fold: its offset follows from them
        return [moment.replace(tzinfo=None).isoformat(), moment.fold, zone.key]
    return [moment.isoformat(), moment.fold, None]


@lru_cache(maxsize=64)
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _is_dataclass_instance(value: object) -> TypeGuard[Any]:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value)  # a numpy scalar is a float too
    if isinstance(value, str):
        return str(value)  # an enumeration's word
    raise TypeError(f"{type(value).__name__} has no place in a snapshot")


def _parse_snapshot(body: bytes) -> MarketSnapshot:
    unpacker = zlib.decompressobj()
    packed = unpacker.decompress(body, _LARGEST_BYTES)
    if not unpacker.eof:
        raise ValueError(f"more than {_LARGEST_BYTES} bytes, or cut short")
    snapshot = _parse(MarketSnapshot, msgspec.msgpack.decode(packed))
    assert isinstance(snapshot, MarketSnapshot)
    return snapshot


def _parse(kind: Any, wire: Any) -> Any:
    """The value of a declared kind; raises ValueError, TypeError or KeyError for any other wire form."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _parse_optional(get_args(kind), wire)
    if origin is tuple:
        return _parse_tuple(get_args(kind), wire)
    if origin is Mapping:
        key_kind, value_kind = get_args(kind)
        return {_parse(key_kind, key): _parse(value_kind, value) for key, value in wire}
    if origin is np.ndarray:
        return _parse_array(wire)
    kind = getattr(kind, "__supertype__", kind)  # a NewType
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(kind, wire)
    return _parse_scalar(kind, wire)


def _parse_optional(kinds: tuple[Any, ...], wire: Any) -> Any:
    if wire is None:
        return None
    (kind,) = (kind for kind in kinds if kind is not types.NoneType)
    return _parse(kind, wire)


def _parse_tuple(kinds: tuple[Any, ...], wire: Any) -> tuple[Any, ...]:
    if kinds[-1] is ...:
        return tuple(_parse(kinds[0], item) for item in wire)
    return tuple(_parse(kind, item) for kind, item in zip(kinds, wire, strict=True))


def _parse_array(wire: Any) -> Any:
    dtype, shape, raw = wire
    if dtype not in _DTYPES:
        raise ValueError(f"an array of {dtype}")
    return np.frombuffer(raw, dtype=dtype).reshape(shape)


def _parse_dataclass(kind: Any, wire: Any) -> Any:
    if not isinstance(wire, dict):
        raise TypeError(f"{type(wire).__name__} in place of a {kind.__name__}")
    hints = _hints(kind)
    return kind(**{name: _parse(hints[name], value) for name, value in wire.items()})


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _parse_scalar(kind: Any, wire: Any) -> Any:
    if kind is datetime:
        text, fold, zone = wire
        moment = datetime.fromisoformat(text).replace(fold=fold)
        return moment if zone is None else moment.replace(tzinfo=ZoneInfo(zone))
    if kind in (date, time):
        return kind.fromisoformat(wire)
    if isinstance(kind, enum.EnumMeta):
        return kind(wire)
    if type(wire) is not kind:
        raise TypeError(f"{type(wire).__name__}, {kind.__name__} needed")
    return wire
