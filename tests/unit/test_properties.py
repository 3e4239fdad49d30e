"""What holds of every market, from the provider's bytes to the printed document, whatever the numbers in it.

Examples are derived from each test's own text, so that a run repeats itself.
"""

import json
from dataclasses import replace
from math import sqrt
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcrush.application.documents import Document
from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.domain.enums import ExecutionTier, Timing
from ivcrush.domain.errors import Ok
from ivcrush.domain.types import Dividend, MarketSnapshot
from ivcrush.infrastructure.api.option_chain_parse import parse_chain
from tests.unit.metrics import option_market
from tests.unit.metrics.option_market import FOURTH, FRIDAY, NEXT, THIRD, event_chains, smile_of
from tests.unit.metrics.snapshots import moves
from tests.unit.option_wire import Row, analysed, body_of, document, reread, rows_of, sent

DAILY = 0.02  # of `event_chains`
TIERS = [ExecutionTier.REJECT, ExecutionTier.WARNING, ExecutionTier.GOOD, ExecutionTier.EXCELLENT]
PAST_MOVES = moves((2.0, -7.5, 3.0, -4.0, 2.5, -3.0, 6.0, -2.5))
EXPIRATIONS = st.integers(0, 3)


def market(**changes: Any) -> MarketSnapshot:
    """Four expirations, a smile, a dividend before the second one, a rate: nothing in the analysis is idle."""
    given = option_market.snapshot(
        event_chains(curvature=0.03), dividends=((NEXT, 1.5),), rate_pct=4.0, timing=Timing.AMC, **changes
    )
    return replace(given, moves=PAST_MOVES)


def without(found: Document, *paths: str) -> Document:
    """The document less what is named, `block.name`."""
    rest: Any = json.loads(json.dumps(found))
    for path in paths:
        *blocks, name = path.split(".")
        place = rest
        for block in blocks:
            place = place[block]
        del place[name]
    return rest


def numbers_and_words(found: Any) -> tuple[list[float], list[Any]]:
    """Every number of a document in its order, and everything else."""
    if isinstance(found, dict):
        found = [item for pair in found.items() for item in pair]
    if isinstance(found, list):
        parts = [numbers_and_words(item) for item in found]
        return [n for numbers, _ in parts for n in numbers], [w for _, words in parts for w in words]
    return ([found], []) if isinstance(found, float) else ([], [found])


DOLLARS = (
    "spot", "forward", "implied_move.atm_strike", "implied_move.straddle_cost", "implied_move.lower",
    "implied_move.upper", "straddle.one_sigma", "straddle.two_sigma", "straddle.after_report", "straddle.gamma",
    "straddle.vega", "straddle.theta",
)  # fmt: skip


@settings(max_examples=15, deadline=None, derandomize=True)
@given(unit=st.floats(1e-4, 1e3))
def test_the_unit_of_money_changes_no_percentage_and_no_word(unit: float) -> None:
    given = market()

    def rescaled(row: Row) -> Row:
        return row | {name: row[name] * unit for name in ("strike", "bid", "ask")}

    quote = given.quote
    other = replace(
        sent(given, rescaled),
        quote=replace(quote, bid=quote.bid * unit, ask=quote.ask * unit, last=100.0 * unit),
        dividends=tuple(Dividend(each.ex_date, each.amount * unit) for each in given.dividends),
    )
    plain_numbers, plain_words = numbers_and_words(without(document(sent(given)), *DOLLARS))
    other_numbers, other_words = numbers_and_words(without(document(other), *DOLLARS))
    assert other_words == plain_words
    # Products round in the last bit; printed to four places, a number may fall to either side of a half.
    assert other_numbers == pytest.approx(plain_numbers, rel=1e-7, abs=1.01e-4)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_the_providers_rows_changes_nothing_at_all(seed: int) -> None:
    given, random = market(), Random(seed)
    chains = [
        reread(each, random.sample(rows, len(rows)))
        for each, rows in zip(given.chains, map(rows_of, given.chains), strict=True)
    ]
    assert document(replace(given, chains=tuple(chains))) == document(sent(given))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(row=EXPIRATIONS, right=st.sampled_from(["call", "put"]), away=st.floats(1.5, 9.0))
def test_a_worthless_far_strike_is_counted_and_changes_nothing_else(row: int, right: str, away: float) -> None:
    given = market()
    strike = round(100 * away if right == "call" else 100 / away, 2)
    chain = given.chains[row]
    rows = rows_of(chain)
    far = rows[0] | {"strike": strike, "option_type": right, "bid": 0.0, "ask": 0.01}
    chains = list(map(reread, given.chains))
    chains[row] = reread(chain, [*rows, far])
    longer, plain = document(replace(given, chains=tuple(chains))), document(sent(given))
    rejected = "implied_move.quotes_rejected"
    assert without(longer, rejected) == without(plain, rejected)
    assert sum(each["count"] for each in longer["implied_move"]["quotes_rejected"]) == 1 + sum(
        each["count"] for each in plain["implied_move"]["quotes_rejected"]
    )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    sessions_dearer=st.tuples(*[st.floats(0.0, 60.0)] * 3),
    jump=st.floats(0.02, 0.12),
    first=st.integers(1, 5),
)
def test_dearer_later_expirations_never_raise_the_event_move(
    sessions_dearer: tuple[float, float, float], jump: float, first: int
) -> None:
    days = ((FRIDAY, first, 1), (NEXT, 5 + first, 1), (THIRD, 10 + first, 1), (FOURTH, 24 + first, 1))
    cheap = event_chains(jump=jump, days=days)
    costly = [cheap[0]]
    for (day, length, _), more in zip(days[1:], sessions_dearer, strict=True):
        costly.append(option_market.chain(day, smile_of(sqrt(jump**2 + (length + more) * DAILY**2))))
    plain = analysed(sent(option_market.snapshot(cheap))).implied_move
    other = evaluate(sent(option_market.snapshot(costly)))
    # Without an answer nothing was raised. One borrow rate and one ordinary smile are common to all expirations and
    # move a little with the dearer ones: by less than half of the last place that is printed.
    if isinstance(other, Ok):
        assert other.value.implied_move.event_move_pct <= plain.event_move_pct + 5e-5


def widened(given: MarketSnapshot, share: float) -> MarketSnapshot:
    """Every market about its middle, so many times as wide; no bid falls below zero."""

    def one(row: Row) -> Row:
        middle, half = (row["bid"] + row["ask"]) / 2, (row["ask"] - row["bid"]) / 2 * share
        return row | {"bid": max(middle - half, 0.0), "ask": middle + half}

    return sent(given, one)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(shares=st.lists(st.floats(1.0, 150.0), min_size=2, max_size=2, unique=True))
def test_wider_spreads_never_raise_the_tier_nor_make_an_answer_tradeable(shares: list[float]) -> None:
    given = market()
    tight, wide = (analysed(widened(given, share)) for share in sorted(shares))
    assert isinstance(tight.execution, Ok)
    assert isinstance(wide.execution, Ok)
    assert TIERS.index(wide.execution.value.tier) <= TIERS.index(tight.execution.value.tier)
    assert wide.tradeable <= tight.tradeable


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    nothing=st.sampled_from([None, {}, "null", "", []]),
    below=st.booleans(),
    row=EXPIRATIONS,
)
def test_every_way_to_list_no_option_is_the_same_answer(nothing: Any, below: bool, row: int) -> None:
    chain = market().chains[row]
    body = body_of(nothing) if below else json.dumps({"options": nothing}).encode()
    assert parse_chain(body, chain.ticker, chain.expiration) == parse_chain(body_of([]), chain.ticker, chain.expiration)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(row=EXPIRATIONS, at=st.integers(0, 81))
def test_a_lone_option_and_a_list_of_one_give_the_same_answer(row: int, at: int) -> None:
    given = market()
    chain = given.chains[row]
    option = rows_of(chain)[at]
    answers = []
    for spelled in (option, [option]):
        one = parse_chain(body_of(spelled), chain.ticker, chain.expiration)
        assert isinstance(one, Ok)
        chains = list(map(reread, given.chains))
        chains[row] = one.value
        result = evaluate(replace(given, chains=tuple(chains)))
        answers.append(document(replace(given, chains=tuple(chains))) if isinstance(result, Ok) else result)
    assert answers[0] == answers[1]
