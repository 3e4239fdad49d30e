"""A snapshot read back is the snapshot that was saved, to the last bit; anything else is refused."""

import dataclasses
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import MarketSnapshot
from ivcrush.infrastructure.database.snapshot_codec import TAG, decode_snapshot, encode_snapshot
from tests.unit.infrastructure.database.snapshots import ibm_snapshot, snapshots


def bits(value: Any) -> object:
    """A value as comparable plain data that keeps the sign of zero, the dtype, the enumeration and the zone."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if dataclasses.is_dataclass(value):
        return type(value), [bits(getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, tuple):
        return [bits(item) for item in value]
    if isinstance(value, dict):
        return [(key, bits(item)) for key, item in value.items()]
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat(), value.fold, value.tzinfo is NEW_YORK
    return type(value), value


def decoded(data: bytes) -> MarketSnapshot:
    result = decode_snapshot(data)
    assert isinstance(result, Ok), result
    return result.value


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(snapshots)
def test_any_snapshot_comes_back_to_the_bit(snapshot: MarketSnapshot) -> None:
    assert bits(decoded(encode_snapshot(snapshot))) == bits(snapshot)


def test_a_moment_comes_back_in_its_zone_so_that_days_across_the_clock_change_stay_days() -> None:
    before = datetime(2026, 3, 6, 16, 0, tzinfo=NEW_YORK)
    back = decoded(encode_snapshot(dataclasses.replace(ibm_snapshot(), as_of=before)))
    assert back.as_of.tzinfo is NEW_YORK
    assert (datetime(2026, 3, 9, 16, 0, tzinfo=NEW_YORK) - back.as_of).total_seconds() == 3 * 86_400


def test_the_second_of_two_equal_wall_times_in_november_stays_the_second() -> None:
    second = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1)
    back = decoded(encode_snapshot(dataclasses.replace(ibm_snapshot(), as_of=second)))
    assert back.as_of.isoformat() == "2026-11-01T01:30:00-05:00"


def test_arrays_from_a_big_endian_machine_and_numpy_scalars_are_the_same_numbers() -> None:
    plain = ibm_snapshot()
    chain = dataclasses.replace(plain.chains[0], strikes=plain.chains[0].strikes.astype(">f8"))
    quote = dataclasses.replace(plain.quote, bid=np.float64(231.3))
    assert encode_snapshot(dataclasses.replace(plain, chains=(chain,), quote=quote)) == encode_snapshot(plain)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_every_flipped_bit_is_noticed(data: st.DataObject) -> None:
    good = encode_snapshot(ibm_snapshot())
    place, bit = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 7))
    bad = good[:place] + bytes([good[place] ^ (1 << bit)]) + good[place + 1 :]
    result = decode_snapshot(bad)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.DBERROR


@given(st.binary(max_size=80))
def test_garbage_is_a_storage_error_and_never_an_exception(garbage: bytes) -> None:
    result = decode_snapshot(garbage)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.DBERROR


def sealed(wire: object) -> bytes:
    """Bytes with a right checksum around any content, as another version of the program might have left."""
    import hashlib
    import zlib

    import msgspec

    body = zlib.compress(msgspec.msgpack.encode(wire))
    return TAG + hashlib.blake2b(body, digest_size=16).digest() + body


@pytest.mark.parametrize(
    "wire",
    [
        None,
        7,
        [],
        {},
        {"no_such_field": 1},
        {"simulated": 1},
        {"as_of": ["yesterday", 0, None]},
        {"as_of": ["2026-05-15T15:45:00", 0, "Atlantis/Main"]},
        {"as_of": ["2026-05-15T15:45:00", 0, "America"]},  # a directory of zones
        {"as_of": ["2026-05-15T15:45:00", 0, "x" * 5000]},
        {"session_state": "asleep"},
        {"expirations": ["2026-02-30"]},
        {"chains": [{"strikes": ["|O", [1], b"12345678"]}]},
        {"chains": [{"strikes": ["<f8", [3], b"12345678"]}]},
        {"chains": [{"dropped": [["crossed", 1, 2]]}]},
    ],
)
def test_another_shape_under_a_right_checksum_is_refused(wire: object) -> None:
    result = decode_snapshot(sealed(wire))
    assert isinstance(result, Err)
    assert "another program version" in result.error.message


def test_a_snapshot_that_was_cut_short_before_it_was_sealed_is_refused() -> None:
    import hashlib

    good = encode_snapshot(ibm_snapshot())
    body = good[len(TAG) + 16 : -20]
    result = decode_snapshot(TAG + hashlib.blake2b(body, digest_size=16).digest() + body)
    assert isinstance(result, Err)
    assert "cut short" in result.error.message


def test_a_value_that_the_domain_does_not_hold_is_a_defect() -> None:
    with pytest.raises(TypeError, match="set has no place"):
        encode_snapshot(dataclasses.replace(ibm_snapshot(), expirations={date(2026, 5, 22)}))  # type: ignore[arg-type]
    chain = dataclasses.replace(ibm_snapshot().chains[0], strikes=np.array(["230"]))
    with pytest.raises(TypeError, match="array of"):
        encode_snapshot(dataclasses.replace(ibm_snapshot(), chains=(chain,)))
