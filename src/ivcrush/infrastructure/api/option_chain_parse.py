"""One expiration's chain, from JSON bytes to columns in one pass; the hot path of every analysis.

The whole reply is decoded as one typed value; only where that fails is it read row by row, so that one bad row costs
that row. Rows are indexed by (strike, right), never by their order, which varies. What is left out is counted by
reason:

    unreadable     no strike, no right, or a field of another shape
    adjusted_root  another root than the underlier's (a deliverable changed by a corporate action, or SPXW beside SPX)
    contract_size  a deliverable of other than 100 shares
    bad_price      a price that is negative or not finite
    crossed        a bid above the ask, an ask of zero under a bid among them
    duplicate      a second row of the same strike and right

An implied volatility is kept only where both sides have one: with `bid_iv == 0` the provider's mid is the ask's.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import chain

import msgspec
import numpy as np
from msgspec.structs import astuple

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import BoolArray, FloatArray, IntArray, OptionChain, OptionColumns, Ticker
from ivcrush.infrastructure.api.json_wire import LARGEST_COUNT, Rows, rows
from ivcrush.utils.performance import track_performance
from ivcrush.utils.rate_limiter import MILLISECONDS_FROM

_HIGHEST_IV = 5.0


class Greeks(msgspec.Struct, gc=False):
    """The provider's own model values of one option; volatilities are fractions, `updated_at` is UTC."""

    bid_iv: float | None = 0.0
    mid_iv: float | None = 0.0
    ask_iv: float | None = 0.0
    updated_at: str | None = None


class OptionRow(msgspec.Struct, gc=False):
    """One option as it is sent, the fields that are used; numbers come first and in the order of the columns."""

    strike: float
    bid: float | None = 0.0
    ask: float | None = 0.0
    bidsize: float | None = 0.0
    asksize: float | None = 0.0
    volume: float | None = 0.0
    open_interest: float | None = 0.0
    bid_date: float | None = 0.0
    ask_date: float | None = 0.0
    contract_size: float | None = 100.0
    option_type: str = ""
    symbol: str = ""
    root_symbol: str | None = None
    expiration_type: str | None = None
    greeks: Greeks | None = None


class _Options(msgspec.Struct, gc=False):
    option: list[OptionRow]


class ChainReply(msgspec.Struct, gc=False):
    """A chain as it usually comes; every other shape takes the slow road."""

    options: _Options


CHAIN_DECODER = msgspec.json.Decoder(ChainReply)

_REASONS = ("unreadable", "adjusted_root", "contract_size", "bad_price", "crossed", "duplicate")
_NO_GREEKS = Greeks()
_ROW_NUMBERS = 10  # of an OptionRow, strike to contract_size
_MODEL_NUMBERS = 3  # of Greeks, bid_iv to ask_iv
_OCC_TAIL = 15  # characters of an OCC symbol after its root: date, right, strike


@track_performance(name="chain parsing", threshold_s=0.5)
def parse_chain(body: bytes, ticker: Ticker, expiration: date) -> Result[OptionChain]:
    """The standard contracts of one expiration, calls and puts aligned by strike.

    Errors: INVALID where the body is no JSON, NODATA where no usable row is left.
    """
    read = _read(body)
    if isinstance(read, Err):
        return err(read.error.code, f"{ticker}: Tradier's chain of {expiration}: {read.error.message}", ticker=ticker)
    if not read.value.good:
        return _nothing_usable(ticker, expiration, _counted(np.zeros(0, np.int64), read.value.unreadable))
    # From here on by column: a zip over tuples is what Python does fastest.
    *columns, rights, symbols, roots, kinds, greeks = zip(*map(astuple, read.value.good), strict=True)
    given = [one or _NO_GREEKS for one in greeks] if None in greeks else greeks
    *model, computed_at = zip(*map(astuple, given), strict=True)
    numbers = _table([*columns, *model])
    is_put = np.frombuffer(bytes(map("put".__eq__, rights)), np.bool_)
    faults = _faults(numbers, rights, _foreign(roots, symbols, ticker.replace(".", "")))
    _mark_duplicates(faults, numbers[0], is_put)
    dropped = _counted(faults, read.value.unreadable)
    if not (usable := faults == 0).all():
        numbers, is_put = numbers[:, usable], is_put[usable]
    if not len(is_put):
        return _nothing_usable(ticker, expiration, dropped)
    strikes, calls, puts = _aligned(numbers, is_put)
    return Ok(OptionChain(ticker, expiration, strikes, calls, puts, dropped, _latest(computed_at), _first_given(kinds)))


def _read(body: bytes) -> Result[Rows[OptionRow]]:
    try:
        return Ok(Rows(CHAIN_DECODER.decode(body).options.option, 0))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return rows(body, ("options", "option"), OptionRow)


def _nothing_usable(ticker: Ticker, expiration: date, dropped: tuple[tuple[str, int], ...]) -> Err:
    told = ", ".join(f"{count} {reason}" for reason, count in dropped) or "none listed"
    return err(ErrorCode.NODATA, f"{ticker}: no usable option of {expiration} ({told})", ticker=ticker)


def _table(columns: Sequence[tuple[float | None, ...]]) -> FloatArray:
    """The numbers, shape (columns, rows): finite, with 0 for null and NaN, and -1 for an infinity."""
    shape = (len(columns), len(columns[0]))
    try:  # half the time of any numpy constructor
        packed = struct.pack(f"{shape[0] * shape[1]}d", *chain.from_iterable(columns))
        numbers = np.frombuffer(bytearray(packed)).reshape(shape)
    except struct.error:  # a null somewhere, which only the slow constructor takes
        numbers = np.array(columns, dtype=np.float64)
    if not np.isfinite(numbers).all():
        numbers[np.isnan(numbers)] = 0.0
        numbers[np.isinf(numbers)] = -1.0
    return numbers


def _foreign(roots: Sequence[str | None], symbols: Sequence[str], own: str) -> list[bool] | None:
    """Which rows belong to another root than the underlier's, None where none does, the usual case."""
    if set(roots) == {own}:
        return None
    return [(root or symbol[:-_OCC_TAIL]) not in {own, ""} for root, symbol in zip(roots, symbols, strict=True)]


def _faults(numbers: FloatArray, rights: Sequence[str], foreign: list[bool] | None) -> IntArray:
    """For each row 0, or one more than the index of the first reason to drop it; duplicates are not looked for."""
    strike, bid, ask, shares = numbers[0], numbers[1], numbers[2], numbers[9]
    faults = np.zeros(len(rights), dtype=np.int64)
    if not ((strike > 0) & (bid >= 0) & (bid <= ask) & (shares == 100)).all():
        faults[bid > ask] = 5
        faults[(bid < 0) | (ask < 0)] = 4
        faults[(shares != 100) & (shares != 0)] = 3
    if foreign is not None:
        faults[foreign] = 2
    faults[strike <= 0] = 1
    if not set(rights) <= {"call", "put"}:
        faults[[right not in {"call", "put"} for right in rights]] = 1
    return faults


def _mark_duplicates(faults: IntArray, strike: FloatArray, is_put: BoolArray) -> None:
    """The first usable row of a contract stays, later ones are faulty."""
    contracts = np.where(is_put, -strike, strike)
    ordered = np.sort(contracts)
    if (ordered[1:] == ordered[:-1]).any():
        usable = np.flatnonzero(faults == 0)
        firsts = np.unique(contracts[usable], return_index=True)[1]
        faults[np.delete(usable, firsts)] = 6


def _counted(faults: IntArray, unreadable: int) -> tuple[tuple[str, int], ...]:
    if not unreadable and not faults.any():
        return ()
    counts = np.bincount(faults, minlength=len(_REASONS) + 1)[1:]
    counts[0] += unreadable
    return tuple((reason, int(count)) for reason, count in zip(_REASONS, counts, strict=True) if count)


def _aligned(numbers: FloatArray, is_put: BoolArray) -> tuple[FloatArray, OptionColumns, OptionColumns]:
    """Rising strikes, calls and puts, every number at the place of its strike; what cannot be negative becomes 0."""
    bid_iv, mid_iv, ask_iv = numbers[_ROW_NUMBERS:]
    two_sided = (bid_iv > 0) & (ask_iv > 0) & (mid_iv > 0) & (mid_iv <= _HIGHEST_IV)
    strikes, place = np.unique(numbers[0], return_inverse=True)
    values = np.maximum(numbers[: _ROW_NUMBERS - 1], 0.0)  # nobody needs the contract's size
    values[0] = 1.0
    values[7] = mid_iv * two_sided
    values[8] = _older_s(numbers[7], numbers[8])
    grid = np.zeros((2, len(values), len(strikes)))
    grid[is_put.astype(np.intp), :, place] = values.T
    return strikes, _columns(grid[0]), _columns(grid[1])


def _columns(grid: FloatArray) -> OptionColumns:
    counts = np.where(grid[3:7] <= LARGEST_COUNT, grid[3:7], 0.0).astype(np.int64)
    return OptionColumns(
        present=grid[0] > 0,
        bid=grid[1],
        ask=grid[2],
        bid_size=counts[0],
        ask_size=counts[1],
        volume=counts[2],
        open_interest=counts[3],
        iv=grid[7],
        quoted_at=grid[8],
    )


def _older_s(bid_at: FloatArray, ask_at: FloatArray) -> FloatArray:
    """Epoch seconds of the older of two moments a row, of the given one where one is missing, 0 without either."""
    older: FloatArray = np.minimum(bid_at, ask_at)
    if older.min() <= 0:
        older = np.where(older > 0, older, np.maximum(np.maximum(bid_at, ask_at), 0.0))
    return np.where(older > MILLISECONDS_FROM, older / 1000, older)


def _latest(moments: Sequence[str | None]) -> datetime | None:
    """The latest readable moment (sent as UTC without saying so)."""
    for text in sorted(filter(None, set(moments)), reverse=True):
        try:
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _first_given(texts: Sequence[str | None]) -> str:
    return next((text for text in texts if text), "")
