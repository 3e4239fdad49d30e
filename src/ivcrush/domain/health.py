"""What a health check finds out before anybody judges it: the coverage, the day's calls. Values only."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class HistoryCoverage:
    """How many companies report in some days by the stored calendar, and how many have `needed` past moves.

    `lacking` names a few of the others, the soonest reporters first.
    """

    reporters: int
    covered: int
    needed: int
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuotaState:
    """The calls of 24 hours: `used`, and `left` of a day's `limit`.

    `next_at` is when the next one is free, None where one is left. `refused_at` is the provider's own last refusal,
    `key_refused_at` that of the key as long as no answer has come since.
    """

    left: int
    limit: int
    next_at: datetime | None
    used: int
    refused_at: datetime | None
    key_refused_at: datetime | None = None
