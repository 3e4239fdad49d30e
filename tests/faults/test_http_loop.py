"""Each request of a batch of five companies × each fault that its provider can have, one at a time.

After each: every company done or explained, the exit code of the contract, the others' rows untouched, nothing kept
that a good day would not have kept, no secret anywhere, and a second run on a good day that finds everything.

HTTP_FAULT_PAIRS=all runs every pair (`make faults-http`, most of an hour) and prints the counts, a number so many;
without it a seeded sample of a few runs.
"""

import asyncio
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ivcrush.cli import analyze_batch
from simulated_market import FaultRule
from tests.faults.patience import Patience, patiently
from tests.faults.season import (
    asked,
    asked_so_far,
    batch,
    cached,
    calendar_file,
    companies,
    document,
    outcomes,
    weather,
)
from tests.faults.verdict import canaries_below
from tests.integration.conftest import Desk, Finished

ORDERED = os.environ.get("HTTP_FAULT_PAIRS")  # read here: a desk clears the environment
SAMPLE, SEED = 14, 11
CUT = (
    "empty_reply", "reset_before", "reset_in_headers", "reset_in_body",
    "truncate_length", "truncate_chunked", "truncate_without_length",
)  # fmt: skip
SLOW = ("silent", "drip", "drip_body")
ENDLESS = ("gzip_bomb", "endless_chunks")
DOWN = (
    "500",
    "502",
    "503",
    "504",
    "200_html",
    "200_empty",
    "200_not_json",
    "200_garbage",
    "200_gzip_garbage",
    "200_deep",
)
LONG_WAITS = (
    "429_without_expiry", "429_past_expiry", "429_far_expiry", "429_garbage_expiry", "429_retry_after_zero",
    "429_retry_after_hour", "429_retry_after_huge", "429_retry_after_date", "minute_note",
)  # fmt: skip
# By provider: what passes when the question is asked again, and what does not.
TRADIER_PASSES = (
    *CUT, *SLOW, *DOWN, "429", *(fault for fault in LONG_WAITS if fault != "minute_note"),
    "401", "401_expired", "401_invalid", "401_no_product", "500_expired", "404", "404_html",
)  # fmt: skip
TRADIER_STAYS = (*ENDLESS, "400", "200_errors", "200_error_list", "200_bare_error_list", "500_too_big", "302")
VANTAGE_PASSES = (*CUT, *SLOW, *DOWN, "per_second", "burst", "minute_note")
VANTAGE_STAYS = (
    *ENDLESS, "302", "401", "404", "premium", "demo_key", "invalid_key", "invalid_call", "daily_quota",
    "artificial_sample",
)  # fmt: skip
# True words of a sound reply, kept as such: that there is nothing.
NOTHING = ("empty_object", "huge_body")
# After these Alpha Vantage is not asked again in the same run, so that its other companies lack their past too.
ENDS_VANTAGE = frozenset({"demo_key", "invalid_key", "daily_quota"})
# Known to the next run as well, which is right.
REMEMBERED = frozenset({"daily_quota", "invalid_call", *NOTHING})


@dataclass(frozen=True, slots=True)
class Question:
    """One request of the batch: where it goes, of which company, and the how-manieth of its kind it is."""

    path: str
    symbol: str | None
    nth: int

    @property
    def of_vantage(self) -> bool:
        return self.path.isupper()

    def struck_by(self, fault: str) -> FaultRule:
        return FaultRule(fault, path=self.path, symbol=self.symbol, nth=self.nth)


@dataclass(frozen=True, slots=True)
class Good:
    """What a good day leaves."""

    rows: Mapping[str, Any]
    cache: Mapping[str, bytes]
    requests: int


def questions(desk: Desk, since: int) -> list[Question]:
    """The requests since then, each as a question that can be struck by itself."""
    seen: Counter[tuple[str, str | None]] = Counter()
    found = []
    for entry in desk.market.log()[since:]:
        split = urlsplit(entry.question)
        named = parse_qs(split.query)
        path = named["function"][0] if "function" in named else "/".join(split.path.split("/")[2:])
        kind = path, named["symbol"][0] if "symbol" in named else None
        seen[kind] += 1
        found.append(Question(*kind, seen[kind]))
    return found


def pairs(asked_for: list[Question]) -> list[tuple[Question, str]]:
    """Every question with every fault of its provider; or as many of them as are sampled."""
    every = [
        (question, fault)
        for question in asked_for
        for fault in (
            *(VANTAGE_PASSES + VANTAGE_STAYS if question.of_vantage else TRADIER_PASSES + TRADIER_STAYS), *NOTHING,
        )
    ]  # fmt: skip
    if ORDERED == "all":
        return every
    quick = [pair for pair in every if pair[1] not in {*SLOW, *ENDLESS, "huge_body"}]
    return random.Random(SEED).sample(quick, SAMPLE if ORDERED is None else int(ORDERED))


def struck(desk: Desk, question: Question, fault: str, tickers: tuple[str, ...]) -> Finished:
    """A batch from empty files, that one request failing that one way; where it would wait long, on another clock."""
    shutil.rmtree(desk.directory / "data", ignore_errors=True)
    weather(desk, question.struck_by(fault), rate_window_s=0.3)
    if fault not in LONG_WAITS:
        return batch(desk, tickers, REQUEST_TIMEOUT="2")
    (desk.directory / "data").mkdir(mode=0o700)
    given = ("--earnings-file", str(desk.directory / calendar_file(desk, tickers)), "--continue-on-error")
    machine = Patience()
    outcome = asyncio.run(patiently(desk, machine, analyze_batch, "analyze-batch", *given))
    assert max(machine.slept, default=0.0) <= 65.0
    return Finished(int(outcome.code), "".join(outcome.pieces), "\n".join(outcome.messages))


def contract_code(finished: Finished, found: Mapping[str, str]) -> set[int]:
    """The exit codes that the contract allows for such rows."""
    if any(word in {"done", "no vrp"} for word in found.values()):
        return {0} if set(found.values()) == {"done"} else {3}
    by_code = {"EXTERNAL": 69, "TIMEOUT": 69, "RATELIMIT": 69, "AUTH": 77, "QUOTA": 75, "CONFIG": 78}
    codes = {by_code.get(word, 1) for word in found.values() if word != "SKIPPED"}
    return codes if len(codes) == 1 else {1}


def problems(desk: Desk, question: Question, fault: str, good: Good, tickers: tuple[str, ...]) -> list[str]:
    """What is wrong after that fault; nothing should be."""
    since = asked_so_far(desk)
    finished = struck(desk, question, fault, tickers)
    found = outcomes(finished, tickers)
    rows = {row["ticker"]: row for row in document(finished)["analyses"]}
    wrong = []
    if finished.code not in contract_code(finished, found):
        wrong.append(f"exit code {int(finished.code)} for {found}")
    passes = fault in (VANTAGE_PASSES if question.of_vantage else TRADIER_PASSES)
    if passes and rows != good.rows:
        wrong.append(f"a fault that passes left {found}")
    if question.symbol is not None and not (question.of_vantage and fault in ENDS_VANTAGE):
        own = re.sub("[-/]", ".", question.symbol)
        wrong += [
            f"{one}: {found[one]} though {own} was struck"
            for one in found
            if one != own and rows.get(one) != good.rows[one]
        ]
    made = sum(asked(desk, "", since).values())
    if made > good.requests + 8:
        wrong.append(f"{made} requests, {good.requests} on a good day")
    kept = {key: body for key, body in cached(desk).items() if good.cache.get(key) not in {None, body}}
    if fault not in NOTHING and kept:
        wrong.append(f"kept what is false: {sorted(kept)}")
    wrong += [f"secret in {place}" for place in canaries_below(desk.directory)]
    if finished.code != 0 and fault not in REMEMBERED:
        weather(desk)
        again = batch(desk, tickers, "--fresh", REQUEST_TIMEOUT="5")
        if outcomes(again, tickers) != dict.fromkeys(tickers, "done"):
            wrong.append(f"a good day afterwards gives {outcomes(again, tickers)}")
    return [f"{fault} at {question.path} of {question.symbol}, {question.nth}: {line}" for line in wrong]


@pytest.mark.fault(34, 36, 37, 38, 39, 40, 44, 46, 47, 49, 51)
def test_each_request_of_a_batch_may_fail_in_every_way_of_its_provider(desk: Desk) -> None:
    tickers, since = companies(desk), asked_so_far(desk)
    undisturbed = batch(desk, tickers, "--max-concurrent", "1")
    assert undisturbed.code == 0
    asked_for = questions(desk, since)
    assert len(asked_for) == 34
    good = Good({row["ticker"]: row for row in document(undisturbed)["analyses"]}, cached(desk), len(asked_for))
    chosen = pairs(asked_for)
    wrong: list[str] = []
    for question, fault in chosen:
        found = problems(desk, question, fault, good, tickers)
        wrong += found
        if ORDERED is not None:
            tell(desk, *found)
    if ORDERED is not None:
        faults = len({fault for _, fault in chosen})
        tell(desk, f"{len(asked_for)} requests, {faults} faults: {len(chosen)} pairs, {len(wrong)} violations")
    assert wrong == []


def tell(desk: Desk, *lines: str) -> None:
    """To whoever ordered more than the sample."""
    with desk.capture.disabled():
        for line in lines:
            print(line, flush=True)
