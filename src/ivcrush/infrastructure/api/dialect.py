"""What a provider's dialect is: the answer it is shown, the verdict it gives, the rate headers it reads.

Values and one protocol; the dialects themselves stand in files of their own, and the transport acts on the verdicts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

from ivcrush.domain.errors import AppError


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, unjudged: header names in lower case, the body decoded and without a byte-order mark."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime

    @property
    def served_at(self) -> datetime | None:
        """The provider's own clock, None where it gave none."""
        try:
            moment = parsedate_to_datetime(self.headers.get("date", ""))
        except (ValueError, OverflowError):  # a year of twenty digits overflows
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means; without an error its body is data.

    `again` allows another attempt, after `wait_s` where it is known, `tolerated` times a call where that is not None.
    `sick` counts for the breaker. `ends_provider` means that, once no attempt is left to try, nothing more is asked of
    it in this process.
    """

    error: AppError | None = None
    again: bool = False
    wait_s: float | None = None
    tolerated: int | None = None
    sick: bool = False
    ends_provider: bool = False


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """A provider's words on its current window; the expiry as it was sent, in seconds or milliseconds."""

    allowed: float
    available: float
    expires_at_epoch: float


class Dialect(Protocol):
    """How one provider speaks."""

    def judge(self, answer: Answer) -> Verdict:
        """What an answer means; redirects never get here."""
        ...

    def rate_headers(self, headers: Mapping[str, str]) -> RateHeaders | None:
        """What the headers say of the rate window, None where they say nothing usable."""
        ...
