"""Tradier's rows, field by field in the order as sent: equity quotes, option quotes, history days.

Rows are plain dictionaries ready for JSON; which rows a request gets is decided elsewhere.
"""

from datetime import UTC, datetime, timedelta

import numpy as np

from simulated_market.bars import Bars
from simulated_market.chains import Chain
from simulated_market.session_calendar import closing_moment, is_session, opening_moment
from simulated_market.world import World

Row = dict[str, object]
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def spelled(ticker: str) -> str:
    """Tradier's spelling of a ticker: BRK.B is BRK/B."""
    return ticker.replace(".", "/")


def canonical(symbol: str) -> str:
    """The world's spelling of a Tradier symbol."""
    return symbol.replace("/", ".")


def root_of(ticker: str) -> str:
    """The OCC root: dots and slashes are dropped."""
    return ticker.replace(".", "").replace("/", "")


def contract_symbol(root: str, day: str, option_type: str, strike: float) -> str:
    """The unpadded OCC symbol; `day` is ISO."""
    return f"{root}{day[2:4]}{day[5:7]}{day[8:10]}{option_type[0].upper()}{round(strike * 1000):08d}"


def equity_row(world: World, ticker: str, *, delay_s: int, adjusted: bool) -> Row:
    """The quote of a stock or fund."""
    found, bars = world.listing(ticker).company, world.bars(ticker)
    today = not is_before_the_open(world)
    last, before = float(bars.close[-1]), float(bars.close[-2 if today else -1])
    year = slice(-252, None)
    spread = max(0.01, round(last * 0.0012 * (1.0 - found.liquidity), 2))
    moment = _milliseconds(world, delay_s)
    in_session = is_in_session(world)
    root = root_of(ticker)
    return {
        "symbol": spelled(ticker),
        "description": found.name,
        "exch": found.exchange,
        "type": found.kind,
        "last": last,
        "change": round(last - before, 2),
        "volume": int(bars.volume[-1]) if today else 0,
        "open": float(bars.open[-1]) if today else None,
        "high": float(bars.high[-1]) if today else None,
        "low": float(bars.low[-1]) if today else None,
        "close": None if in_session or not today else last,
        "bid": round(last - spread / 2, 2),
        "ask": round(max(last - spread / 2 + spread, last + 0.01), 2),
        "change_percentage": round(100.0 * (last / before - 1.0), 2),
        "average_volume": int(np.mean(bars.volume[-60:])),
        "last_volume": 100,
        "trade_date": moment - 9,
        "prevclose": before,
        "week_52_high": float(np.max(bars.high[year])),
        "week_52_low": float(np.min(bars.low[year])),
        "bidsize": 3,
        "bidexch": found.exchange,
        "bid_date": moment - moment % 1000,
        "asksize": 2,
        "askexch": found.exchange,
        "ask_date": moment - moment % 1000,
        "root_symbols": f"{root},{root}1" if adjusted else root,
    }


def option_rows(world: World, ticker: str, chain: Chain, *, greeks: bool, delay_s: int, adjusted: bool) -> list[Row]:
    """Every row of one expiration, by strike, calls and puts of a strike in either order."""
    shared = _ChainWords(world, ticker, chain, delay_s)
    rows: list[Row] = []
    for index in range(len(chain.strikes)):
        sides = (1, 0) if chain.put_first[index] else (0, 1)
        rows.extend(shared.row(index, side, greeks=greeks) for side in sides)
    if adjusted:
        rows.extend(shared.adjusted_row(index, greeks=greeks) for index in range(0, len(chain.strikes), 6))
    return rows


class _ChainWords:
    """One chain's columns as Python lists, and what its rows have in common."""

    def __init__(self, world: World, ticker: str, chain: Chain, delay_s: int) -> None:
        self.underlying = spelled(ticker)
        self.root = root_of(ticker)
        self.day = chain.expiration.day.isoformat()
        self.kind = chain.expiration.kind
        day = chain.expiration.day
        self.words = f"{self.underlying} {_MONTHS[day.month - 1]} {day.day} {day.year}"
        self.moment = _milliseconds(world, delay_s) // 1000 * 1000
        self.in_session = is_in_session(world)
        self.updated_at = greeks_moment(world).strftime("%Y-%m-%d %H:%M:%S")
        self.strikes = chain.strikes.tolist()
        self.bid, self.ask, self.last = chain.bid.tolist(), chain.ask.tolist(), chain.last.tolist()
        self.volume, self.interest = chain.volume.tolist(), chain.open_interest.tolist()
        self.bid_size, self.ask_size = chain.bid_size.tolist(), chain.ask_size.tolist()
        names = ("gamma", "theta", "vega", "rho", "phi", "smv_vol")
        self.by_strike = {name: getattr(chain.greeks, name).tolist() for name in names}
        self.by_side = {name: getattr(chain.greeks, name).tolist() for name in ("delta", "bid_iv", "mid_iv", "ask_iv")}

    def row(self, index: int, side: int, *, greeks: bool) -> Row:
        strike, option_type = self.strikes[index], ("call", "put")[side]
        last = self.last[side][index] or None
        shown = self.volume[side][index] > 0 and index % 19 != 7  # some rows have volume and yet no open, high or low
        row: Row = {
            "symbol": contract_symbol(self.root, self.day, option_type, strike),
            "description": f"{self.words} ${strike:.2f} {option_type.title()}",
            "exch": "Z",
            "type": "option",
            "last": last,
            "change": None if last is None else 0.0,
            "volume": self.volume[side][index],
            "open": last if shown else None,
            "high": last if shown else None,
            "low": last if shown else None,
            "close": last if shown and not self.in_session else None,
            "bid": self.bid[side][index],
            "ask": self.ask[side][index],
            "underlying": self.underlying,
            "strike": strike,
        }
        if greeks:
            row["greeks"] = self._greeks(index, side)
        return row | {
            "change_percentage": None if last is None else 0.0,
            "average_volume": 0,
            "last_volume": 1 if last else 0,
            "trade_date": self.moment - 60_000 * (index + 1) if last else 0,
            "prevclose": last,
            "week_52_high": 0.0,
            "week_52_low": 0.0,
            "bidsize": self.bid_size[side][index] if self.bid[side][index] > 0.0 else 0,
            "bidexch": "Z",
            "bid_date": self.moment,
            "asksize": self.ask_size[side][index],
            "askexch": "N",
            "ask_date": self.moment,
            "open_interest": self.interest[side][index],
            "contract_size": 100,
            "expiration_date": self.day,
            "expiration_type": self.kind,
            "option_type": option_type,
            "root_symbol": self.root,
        }

    def adjusted_row(self, index: int, *, greeks: bool) -> Row:
        """A call left over from a corporate action: another root, another deliverable, another price."""
        row = self.row(index, 0, greeks=greeks)
        strike = self.strikes[index]
        return row | {
            "symbol": contract_symbol(f"{self.root}1", self.day, "call", strike),
            "bid": round(self.bid[0][index] * 1.5, 2),
            "ask": round(self.ask[0][index] * 1.5 + 0.5, 2),
            "contract_size": 150,
            "root_symbol": f"{self.root}1",
        }

    def _greeks(self, index: int, side: int) -> Row:
        both, one = self.by_strike, self.by_side
        return {
            "delta": one["delta"][side][index],
            "gamma": both["gamma"][index],
            "theta": both["theta"][index],
            "vega": both["vega"][index],
            "rho": both["rho"][index],
            "phi": both["phi"][index],
            "bid_iv": one["bid_iv"][side][index],
            "mid_iv": one["mid_iv"][side][index],
            "ask_iv": one["ask_iv"][side][index],
            "smv_vol": both["smv_vol"][index],
            "updated_at": self.updated_at,
        }


def history_rows(bars: Bars, start: str, end: str) -> list[Row]:
    """The daily bars from `start` to `end` (ISO days, both included), oldest first."""
    columns = (bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), bars.volume.tolist())
    return [
        {"date": iso, "open": opened, "high": high, "low": low, "close": close, "volume": int(volume)}
        for day, opened, high, low, close, volume in zip(bars.days, *columns, strict=True)
        if start <= (iso := day.isoformat()) <= end
    ]


def is_in_session(world: World) -> bool:
    """Whether stocks trade at this moment."""
    day = world.as_of.date()
    return is_session(day) and opening_moment(day) <= world.as_of < closing_moment(day)


def is_before_the_open(world: World) -> bool:
    """Whether today is a session that has not begun: quotes then have no open, high, low or close yet."""
    day = world.as_of.date()
    return is_session(day) and world.as_of < opening_moment(day)


def greeks_moment(world: World) -> datetime:
    """When the vendor last computed greeks, UTC: on the hour, never within the last 7 minutes."""
    recent = (world.quoted_at - timedelta(minutes=7)).astimezone(UTC)
    return recent.replace(minute=0, second=8)


def _milliseconds(world: World, delay_s: int) -> int:
    return int((world.quoted_at.timestamp() - delay_s) * 1000)
