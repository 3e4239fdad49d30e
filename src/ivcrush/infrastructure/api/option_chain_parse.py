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

from datetime import UTC, date, datetime
from itertools import chain

import msgspec
import numpy as np
from msgspec.structs import astuple

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import BoolArray, FloatArray, IntArray, OptionChain, OptionColumns, Ticker
from ivcrush.infrastructure.api.json_wire import Rows, rows

_HIGHEST_IV = 5.0


class Greeks(msgspec.Struct, gc=False):
    """The provider's own model values of one option; volatilities are fractions, `updated_at` is UTC."""

    delta: float | None = 0.0
    bid_iv: float | None = 0.0
    mid_iv: float | None = 0.0
    ask_iv: float | None = 0.0
    updated_at: str | None = None


class OptionRow(msgspec.Struct, gc=False):
    """One option as it is sent, the fields that are used; numbers come first, so that a slice takes them together."""

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

_NUMBERS = 10  # of an OptionRow, strike to contract_size
_MODEL_NUMBERS = 4  # of Greeks, delta to ask_iv
_NO_GREEKS = Greeks()
_DROPPED_BY_ROW = ("unreadable", "adjusted_root", "contract_size", "bad_price", "crossed", "duplicate")


def parse_chain(body: bytes, ticker: Ticker, expiration: date) -> Result[OptionChain]:
    """The standard contracts of one expiration, calls and puts aligned by strike.

    Errors: INVALID where the body is no JSON, NODATA where no usable row is left.
    """
    read = _read(body)
    if isinstance(read, Err):
        return err(read.error.code, f"{ticker}: Tradier's chain of {expiration}: {read.error.message}", ticker=ticker)
    found, unreadable = read.value
    numbers = _table([astuple(row)[:_NUMBERS] for row in found], _NUMBERS)
    is_put = np.fromiter((row.option_type == "put" for row in found), np.bool_, len(found))
    faults = _faults(found, numbers, is_put, root=ticker.replace(".", ""))
    counts = np.bincount(faults, minlength=len(_DROPPED_BY_ROW) + 1)[1:]
    counts[0] += unreadable
    dropped = tuple((name, int(n)) for name, n in zip(_DROPPED_BY_ROW, counts, strict=True) if n)
    usable = faults == 0
    if not usable.any():
        told = ", ".join(f"{count} {reason}" for reason, count in dropped) or "none listed"
        return err(ErrorCode.NODATA, f"{ticker}: no usable option of {expiration} ({told})", ticker=ticker)
    model = [_NO_GREEKS if row.greeks is None else row.greeks for row in found]
    strikes, place = np.unique(numbers[usable, 0], return_inverse=True)
    sides = _sides(numbers[usable], _model_table(model)[usable], is_put[usable], place, len(strikes))
    first = found[int(usable.argmax())]
    return Ok(OptionChain(ticker, expiration, strikes, *sides, dropped, _greeks_at(model), first.expiration_type or ""))


def _read(body: bytes) -> Result[Rows[OptionRow]]:
    try:
        return Ok(Rows(CHAIN_DECODER.decode(body).options.option, 0))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return rows(body, ("options", "option"), OptionRow)


def _table(tuples: list[tuple[float | None, ...]], width: int) -> FloatArray:
    """The numbers of all rows, shape (rows, width); null is NaN."""
    try:
        flat = np.fromiter(chain.from_iterable(tuples), np.float64, len(tuples) * width)
    except TypeError:  # a null somewhere: the slower constructor knows what to do with it
        flat = np.array(tuples, dtype=np.float64)
    return flat.reshape(-1, width)


def _model_table(model: list[Greeks]) -> FloatArray:
    return _table([astuple(greeks)[:_MODEL_NUMBERS] for greeks in model], _MODEL_NUMBERS)


def _faults(found: list[OptionRow], numbers: FloatArray, is_put: BoolArray, *, root: str) -> IntArray:
    """For each row 0, or one more than the index of the first reason to drop it; NaN prices mean no market."""
    strike, bid, ask, size = numbers[:, 0], numbers[:, 1], numbers[:, 2], numbers[:, 9]
    is_call = np.fromiter((row.option_type == "call" for row in found), np.bool_, len(found))
    foreign = np.fromiter((not _is_of_root(row, root) for row in found), np.bool_, len(found))
    faults = np.select(
        [
            ~(np.isfinite(strike) & (strike > 0) & (is_call | is_put)),
            foreign,
            ~((size == 100) | np.isnan(size)),
            (bid < 0) | (ask < 0) | np.isinf(bid) | np.isinf(ask),
            np.nan_to_num(bid) > np.nan_to_num(ask),
        ],
        [1, 2, 3, 4, 5],
    )
    usable = np.flatnonzero(faults == 0)
    contract = strike[usable] * np.where(is_put[usable], -1.0, 1.0)
    once = np.zeros(len(usable), dtype=np.bool_)
    once[np.unique(contract, return_index=True)[1]] = True
    faults[usable[~once]] = 6
    return faults


def _is_of_root(row: OptionRow, root: str) -> bool:
    """Whether it is the underlier's own contract; the last 15 characters of an OCC symbol are no part of the root."""
    return (row.root_symbol or row.symbol[:-15]) in {root, ""}


def _sides(
    numbers: FloatArray, model: FloatArray, is_put: BoolArray, place: IntArray, strikes: int
) -> tuple[OptionColumns, OptionColumns]:
    """Calls and puts, every number at the place of its strike."""
    delta, bid_iv, mid_iv, ask_iv = model.T
    two_sided = (bid_iv > 0) & (ask_iv > 0) & (mid_iv > 0) & (mid_iv <= _HIGHEST_IV)
    signed = np.where(is_put, -delta, delta)
    values = np.vstack(
        [
            np.ones(len(numbers)),
            numbers[:, 1:7].T,
            np.where(two_sided, mid_iv, 0.0),
            np.where((signed >= 0) & (signed <= 1), delta, 0.0),
            _older(numbers[:, 7], numbers[:, 8]),
        ]
    )
    values[~np.isfinite(values) | ((values < 0) & (np.arange(len(values)) != _DELTA)[:, None])] = 0.0
    grid = np.zeros((2, len(values), strikes))
    grid[is_put.astype(np.int64), :, place] = values.T
    return _columns(grid[0]), _columns(grid[1])


_DELTA = 8  # the one row of the grid that may be negative


def _columns(grid: FloatArray) -> OptionColumns:
    sizes_and_counts = grid[3:7].astype(np.int64)
    return OptionColumns(
        present=grid[0] > 0,
        bid=grid[1],
        ask=grid[2],
        bid_size=sizes_and_counts[0],
        ask_size=sizes_and_counts[1],
        volume=sizes_and_counts[2],
        open_interest=sizes_and_counts[3],
        iv=grid[7],
        delta=grid[_DELTA],
        quoted_at=grid[9],
    )


def _older(bid_at: FloatArray, ask_at: FloatArray) -> FloatArray:
    """Epoch seconds of the older of two moments in milliseconds or seconds; of the given one where one is missing."""
    both = np.vstack([bid_at, ask_at])
    both = np.where(both > 1e11, both / 1000, both)
    both[~(both > 0)] = np.inf
    older: FloatArray = both.min(axis=0)
    return older


def _greeks_at(model: list[Greeks]) -> datetime | None:
    """When the latest of the model values were computed (sent as UTC without saying so)."""
    for text in sorted({greeks.updated_at for greeks in model if greeks.updated_at}, reverse=True):
        try:
            return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
