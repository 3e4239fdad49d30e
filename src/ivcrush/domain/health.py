"""What a health check finds out before anybody judges it: the last run, the coverage, the day's calls. Values only."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LastRun:
    """A run over many companies: when it began and ended (None: under way, or cut), how, and how far it came.

    `complete`: every row was reached. `ended` of its `rows` have an answer or a reason.
    """

    run_id: str
    command: str
    started_at: datetime
    ended_at: datetime | None
    complete: bool
    exit_code: int | None
    rows: int
    ended: int


@dataclass(frozen=True, slots=True)
class HistoryCoverage:
    """How many companies report in some days by the stored calendar, and how many have `needed` past moves."""

    reporters: int
    covered: int
    needed: int


@dataclass(frozen=True, slots=True)
class QuotaState:
    """The calls of 24 hours: `used`, and `left` of a day's `limit`.

    `next_at` is when the next one is free, None where one is left. `refused_at` is the provider's own last refusal.
    """

    left: int
    limit: int
    next_at: datetime | None
    used: int
    refused_at: datetime | None
