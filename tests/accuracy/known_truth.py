"""Estimates beside known truth: the shared cases, the recorded chain and seeded simulated companies.

Collects numbers; the tests and `scripts/accuracy.py` judge and print them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from ivcrush.application.metrics.implied_move import ImpliedMoveReading, implied_move
from ivcrush.domain.errors import Err, Result
from ivcrush.domain.types import MarketSnapshot
from tests.accuracy.cassettes import read_cassette, snapshot_of
from tests.accuracy.simulated import afternoon, simulated_snapshots
from tests.accuracy.worlds import build_world

TSLA_RATE_PCT = 4.0
_CASES = Path("cassettes/cases")
AFTERNOONS = (
    date(2026, 1, 21),
    date(2026, 2, 10),
    date(2026, 4, 22),
    date(2026, 5, 15),
    date(2026, 7, 22),
    date(2026, 8, 5),
    date(2026, 10, 21),
    date(2026, 11, 4),
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One estimate beside the truth; a refused one has no estimate."""

    name: str
    shape: str
    truth_pct: float
    estimate_pct: float | None
    interval_90_pct: tuple[float, float]
    right_expiration: bool
    flags: tuple[str, ...]

    @property
    def error_pct(self) -> float:
        """Signed, percent of the truth; -100 for a refusal."""
        return -100.0 if self.estimate_pct is None else 100 * (self.estimate_pct / self.truth_pct - 1)

    @property
    def covered(self) -> bool:
        """Whether the 90 % interval holds the truth."""
        return self.interval_90_pct[0] <= self.truth_pct <= self.interval_90_pct[1]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a set of comparisons comes to, percent and shares; refusals count as not covered and not in the errors."""

    count: int
    refused: int
    median_pct: float
    bias_pct: float
    worst_pct: float
    coverage: float


def summarise(comparisons: Iterable[Comparison]) -> Summary:
    """The summary of at least one comparison that was not refused."""
    every = list(comparisons)
    errors = np.array([each.error_pct for each in every if each.estimate_pct is not None])
    return Summary(
        len(every),
        len(every) - len(errors),
        float(np.median(np.abs(errors))),
        float(np.median(errors)),
        float(np.abs(errors).max()),
        sum(each.covered for each in every) / len(every),
    )


def case_comparisons(shared: Path) -> list[Comparison]:
    """The chains with known truth that lie in the shared material."""
    found = []
    for row in _case_rows(shared):
        snapshot = case_snapshot(shared, row["case"])
        expiration = date.fromisoformat(row["expiration"])
        found.append(_compare(f"{row['case']} {row['name']}", "", row["event_move_pct"], expiration, snapshot))
    return found


def case_snapshot(shared: Path, case: str) -> MarketSnapshot:
    """The chains of one case by its name, with the rate that it was made with."""
    (row,) = [row for row in _case_rows(shared) if row["case"] == case]
    return snapshot_of(read_cassette(shared / _CASES / f"{case}.json.gz"), row["risk_free_rate_pct"])


def _case_rows(shared: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (shared / _CASES / "truth.jsonl").read_text(encoding="utf-8").splitlines()]


def recorded_reading(shared: Path) -> Result[ImpliedMoveReading]:
    """The recorded TSLA chains on the evening of a report."""
    return implied_move(snapshot_of(read_cassette(shared / "cassettes" / "tsla-2026-01-28.json.gz"), TSLA_RATE_PCT))


def simulated_comparisons(worlds: int = 6, size: int = 60) -> list[Comparison]:
    """Companies of the embedded simulated market on several afternoons."""
    return [
        _compare(truth.ticker, truth.jump_kind, truth.event_move_pct, truth.expiration, snapshot)
        for seed, day in enumerate(AFTERNOONS[:worlds])
        for snapshot, truth in simulated_snapshots(seed, afternoon(day), size)
    ]


def mixture_comparisons(count: int) -> list[Comparison]:
    """Chains of the mixture worlds, one a seed."""
    return [
        _compare(f"seed {seed}", world.shape, world.event_move_pct, world.expiration, world.snapshot)
        for seed, world in ((seed, build_world(seed)) for seed in range(count))
    ]


def _compare(name: str, shape: str, truth_pct: float, expiration: date | None, snapshot: MarketSnapshot) -> Comparison:
    reading = implied_move(snapshot)
    if isinstance(reading, Err):
        return Comparison(name, shape, truth_pct, None, (0.0, 0.0), right_expiration=False, flags=())
    move = reading.value.move
    return Comparison(
        name,
        shape,
        truth_pct,
        move.event_move_pct,
        move.event_move_interval_90_pct,
        right_expiration=move.expiration == expiration,
        flags=move.flags,
    )
