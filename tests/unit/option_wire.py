"""A market as the provider sends it: chains become JSON bytes and come back through the real parser."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ivcrush.application.documents import Document, analysis_document
from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.domain.analysis import TickerAnalysis
from ivcrush.domain.errors import AppError, Err, Ok, Result
from ivcrush.domain.types import MarketSnapshot, OptionChain
from ivcrush.infrastructure.api.option_chain_parse import parse_chain

Row = dict[str, Any]


def rows_of(chain: OptionChain) -> list[Row]:
    """Every listed contract of a chain as a row of Tradier's reply."""
    root = chain.ticker.replace(".", "")
    rows = []
    for right, side in (("call", chain.calls), ("put", chain.puts)):
        for index, strike in enumerate(chain.strikes.tolist()):
            if not side.present[index]:
                continue
            quoted_at_ms = round(1000 * float(side.quoted_at[index]))
            rows.append(
                {
                    "symbol": f"{root}{chain.expiration:%y%m%d}{right[0].upper()}{round(1000 * strike):08d}",
                    "root_symbol": root,
                    "option_type": right,
                    "strike": strike,
                    "bid": float(side.bid[index]),
                    "ask": float(side.ask[index]),
                    "bidsize": int(side.bid_size[index]),
                    "asksize": int(side.ask_size[index]),
                    "volume": int(side.volume[index]),
                    "open_interest": int(side.open_interest[index]),
                    "bid_date": quoted_at_ms,
                    "ask_date": quoted_at_ms,
                    "contract_size": 100,
                    "expiration_type": "weeklys",
                    "greeks": None,
                }
            )
    return rows


def body_of(rows: Any) -> bytes:
    """Rows, or whatever stands in their place, as a reply."""
    return json.dumps({"options": {"option": rows}}).encode()


def reread(chain: OptionChain, rows: Iterable[Row] | None = None) -> OptionChain:
    """The chain after its journey as bytes, with these rows in the place of its own."""
    result = parse_chain(body_of(rows_of(chain) if rows is None else list(rows)), chain.ticker, chain.expiration)
    assert isinstance(result, Ok), result
    return result.value


def sent(given: MarketSnapshot, change: Callable[[Row], Row] = lambda row: row) -> MarketSnapshot:
    """The snapshot of a provider who sends every row of every expiration changed like this."""
    chains = tuple(reread(chain, map(change, rows_of(chain))) for chain in given.chains)
    return replace(given, chains=chains, expirations=tuple(chain.expiration for chain in chains))


def sent_event(given: MarketSnapshot, change: Callable[[Row], Row | None]) -> MarketSnapshot:
    """The same with the first expiration's rows changed, or left out for None; the others are as they are."""
    event, *others = given.chains
    rows = [row for row in map(change, rows_of(event)) if row is not None]
    return replace(sent(given), chains=(reread(event, rows), *map(reread, others)))


def analysed(given: MarketSnapshot) -> TickerAnalysis:
    """The answer, which there has to be: finite throughout, its move positive and inside its own interval."""
    result = evaluate(given)
    assert isinstance(result, Ok), result
    implied = result.value.implied_move
    low, high = implied.event_move_interval_90_pct
    assert 0 < low <= implied.event_move_pct <= high
    json.dumps(analysis_document(result.value), allow_nan=False)
    return result.value


def document(given: MarketSnapshot) -> Document:
    """The answer as it is printed."""
    return analysis_document(analysed(given))


def refused(result: Result[Any]) -> AppError:
    """The error, which there has to be."""
    assert isinstance(result, Err), result
    return result.error
