"""A short campaign with a fixed seed, and values drawn by shape; `make fuzz` is the long one."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.campaign import Campaign
from tests.fuzz.mutations import VALUES
from tests.fuzz.targets import Target, scratch, targets

CASES, SEED = 20_400, 20_261_121

_NUMBERS = st.one_of(st.floats(), st.integers(), st.sampled_from([value for value in VALUES if value != 10**400]))
_WORDS = st.one_of(st.text(max_size=8), st.dates(), st.floats().map(repr), st.sampled_from(("AAPL", "put", "call")))
_LEAVES = st.one_of(_NUMBERS, _WORDS.map(str), st.none(), st.booleans())
_ROWS = st.dictionaries(
    st.sampled_from(
        (
            "symbol", "bid", "ask", "last", "strike", "option_type", "greeks", "mid_iv", "bid_iv", "ask_iv", "volume",
            "date", "open", "high", "low", "close", "status", "end", "state", "timestamp", "reportedDate",
            "fiscalDateEnding", "reportedEPS", "reportTime", "ex_dividend_date", "amount", "effective_date",
            "split_factor", "1. open", "2. high", "3. low", "4. close", "bid_date", "trade_date", "contract_size",
        )
    ),
    st.recursive(_LEAVES, lambda inner: st.dictionaries(st.sampled_from(("mid_iv", "end", "x")), inner, max_size=2)),
    max_size=8,
)  # fmt: skip
_PATHS = {
    "quotes": ("quotes", "quote"),
    "expirations": ("expirations", "date"),
    "chain": ("options", "option"),
    "bars": ("history", "day"),
    "clock": ("clock",),
    "session days": ("calendar", "days", "day"),
    "past reports": ("quarterlyEarnings",),
    "dividends": ("data",),
    "splits": ("data",),
    "raw bars": ("Time Series (Daily)", "2026-05-15"),
}


@pytest.fixture(scope="module")
def known() -> Iterator[Mapping[str, Target]]:
    with scratch() as directory:
        yield targets(Path(directory))


def test_twenty_thousand_broken_texts_are_read_or_refused_as_declared(known: Mapping[str, Target]) -> None:
    campaign = Campaign(SEED)
    campaign.run(known, CASES, limit_s=120.0)
    assert campaign.failures == []
    assert sum(campaign.cases.values()) == CASES
    assert all(campaign.accepted.get(name, 0) > 0 for name in known), campaign.accepted


@pytest.mark.parametrize("name", _PATHS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.one_of(_ROWS, st.lists(_ROWS, max_size=4), _LEAVES))
def test_rows_of_any_shape_are_read_or_refused_as_declared(known: Mapping[str, Target], name: str, rows: Any) -> None:
    tree = rows
    for step in reversed(_PATHS[name]):
        tree = {step: tree}
    campaign = Campaign(SEED)
    assert campaign.judged(known[name], name, json.dumps(tree).encode()) is None


def test_the_same_number_of_a_seed_is_the_same_text(known: Mapping[str, Target]) -> None:
    seen: list[bytes] = []
    watched = {"one": Target(seen.append, known["quotes"].seeds)}
    for _ in range(2):
        Campaign(SEED).case(watched, "one", 17)
    assert seen[0] == seen[1]


def test_an_exception_a_hang_and_a_nan_are_found(known: Mapping[str, Target]) -> None:
    def endless(_: bytes) -> None:
        while True:
            pass

    def broken(_: bytes) -> None:
        raise KeyError("strike")

    campaign = Campaign(SEED)
    spoiled = {
        "broken": Target(broken, (b"{}",)),
        "hanging": Target(endless, (b"{}",)),
        "no number": Target(lambda _: (1.0, {"bid": float("nan")}), (b"{}",)),
    }
    campaign.run(spoiled, 3, limit_s=60.0)
    assert [failure.split(",")[0] for failure in campaign.failures] == ["broken", "hanging", "no number"]
