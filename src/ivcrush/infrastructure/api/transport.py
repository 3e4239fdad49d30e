"""The one way to a provider: every request is paced, guarded, bounded, retried and judged here.

Retry is outermost; each attempt takes a place among the concurrent requests and a token, passes the breaker and is
sent. What an answer means is the provider's `Dialect`. The outcome is a `Result`, and no URL, header or body of a
provider reaches a message before it was redacted. How a request travels is `wire`'s.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result, err
from ivcrush.infrastructure.api.dialect import Answer, Dialect, Verdict
from ivcrush.infrastructure.api.haste import SHORT_WAIT_S, HasteRefusals
from ivcrush.infrastructure.api.wire import Bounds, Endpoint, Request, Wire
from ivcrush.utils.circuit_breaker import BreakerState, CircuitBreaker
from ivcrush.utils.logging import fields
from ivcrush.utils.performance import track_performance
from ivcrush.utils.rate_limiter import RateLimiter, Slot, Window
from ivcrush.utils.retry import Retry, Retryable, RetryPolicy
from ivcrush.utils.text import printable

_LONGEST_MESSAGE = 240
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A body worth reading."""

    status: int
    body: bytes
    served_at: datetime | None


class DailyAllowance(Protocol):
    """The count of a day's requests, kept where other processes see it."""

    def spend(self) -> Result[None]:
        """Counts one request about to be sent; QUOTA where none is left."""
        ...

    def exhausted(self) -> None:
        """The provider says that the day's requests are spent, whatever our count is."""
        ...

    def key_refused(self) -> None:
        """The provider does not know the key."""
        ...

    def answered(self) -> None:
        """The provider gave data for the key."""
        ...


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """What a run cost: requests sent, and how many of them were repeats of one that failed."""

    sent: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Resilience:
    """How stubborn and how careful: the settings that all providers share, and the clocks they are measured by."""

    utc_now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    failure_threshold: int = 5
    recovery_s: float = 60.0

    def transport(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        *,
        windows: Sequence[Window],
        bounds: Bounds,
        redact: Callable[[str], str],
        allowance: DailyAllowance | None = None,
    ) -> "Transport":
        """A transport with a limiter, a breaker and a retry of its own."""
        return Transport(
            endpoint,
            dialect,
            bounds=bounds,
            limiter=RateLimiter(
                windows,
                monotonic=self.monotonic,
                wall_clock=lambda: self.utc_now().timestamp(),
                sleep=self.sleep,
            ),
            breaker=CircuitBreaker(
                endpoint.host,
                failure_threshold=self.failure_threshold,
                recovery_s=self.recovery_s,
                monotonic=self.monotonic,
            ),
            retry=Retry(self.retry, sleep=self.sleep),
            haste=HasteRefusals(most=self.retry.max_attempts, monotonic=self.monotonic),
            monotonic=self.monotonic,
            utc_now=self.utc_now,
            redact=redact,
            allowance=allowance,
        )


class Transport:
    """One per provider, for the life of the process."""

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        *,
        bounds: Bounds,
        limiter: RateLimiter,
        breaker: CircuitBreaker,
        retry: Retry,
        haste: HasteRefusals,
        monotonic: Callable[[], float],
        utc_now: Callable[[], datetime],
        redact: Callable[[str], str],
        allowance: DailyAllowance | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._dialect = dialect
        self._wire = Wire(endpoint, bounds, utc_now)
        self._limiter = limiter
        self._breaker = breaker
        self._retry = retry
        self._haste = haste
        self._monotonic = monotonic
        self._utc_now = utc_now
        self._redact = redact
        self._allowance = allowance
        self._places = asyncio.Semaphore(bounds.max_concurrent)
        self._ended: AppError | None = None
        self._last_sickness: AppError | None = None
        self._sent = self._repeated = 0

    @property
    def counts(self) -> RequestCounts:
        """What was sent so far."""
        return RequestCounts(self._sent, self._repeated)

    @track_performance(name="request with waits and repeats")
    async def send(self, request: Request) -> Result[Reply]:
        """Asks until there is a usable body or a reason why not.

        Errors: AUTH, QUOTA, CONFIG (and then nothing more is asked), RATELIMIT, TIMEOUT, NODATA, INVALID, EXTERNAL.
        """
        kept_out = self._kept_out()
        if kept_out is not None:
            return kept_out
        verdicts: list[Verdict] = []
        return await self._retry.call(lambda: self._attempt(request, verdicts))

    async def aclose(self) -> None:
        """Closes the connections; the transport may be used again."""
        await self._wire.aclose()

    async def _attempt(self, request: Request, verdicts: list[Verdict]) -> Ok[Reply] | Err | Retryable:
        """One request, or none where the breaker or the day's allowance forbids it; its verdict is appended."""
        async with self._places, self._limiter.slot() as slot:
            kept_out = self._kept_out()
            if kept_out is not None:
                return kept_out
            passed = await self._breaker.call(
                lambda: self._exchange(request, slot), _sickness, self._tell_breaker_changed
            )
            self._repeated += slot.sent and bool(verdicts)
        if isinstance(passed, Err):
            return self._refused(passed)
        verdict, answer = passed.value
        verdicts.append(verdict)
        if verdict.error is None:
            assert answer is not None
            return Ok(Reply(answer.status, answer.body, answer.served_at))
        error = self._told(verdict.error) if slot.sent else verdict.error  # the allowance names itself
        if verdict.sick:
            self._last_sickness = error
        alike = sum(1 for one in verdicts if one.error is not None and one.error.code is error.code)
        hopeless = error.code is ErrorCode.RATELIMIT and self._haste.exhausted
        may_pass = verdict.again and not hopeless and (verdict.tolerated is None or alike <= verdict.tolerated)
        if may_pass and len(verdicts) < self._retry.max_attempts:
            _log.info("attempt failed: %s", error, extra=fields(attempt=len(verdicts), wait_s=verdict.wait_s))
            return Retryable(error, verdict.wait_s)
        if verdict.ends_provider:
            self._ended = error
        return Err(error)

    def _kept_out(self) -> Err | None:
        """Why nobody is asked now: the provider has ended for us, or has refused window after window for haste."""
        if self._ended is not None:
            return Err(self._ended)
        left_s = self._haste.closed_for_s
        if left_s == 0:
            return None
        told = f"{self._endpoint.host}: refuses for going too fast, not asked until {self._clock_in(left_s)}"
        # The words of a breaker: rows of a list are asked about again once it lets them through.
        return err(ErrorCode.RATELIMIT, told, breaker="refusing", wait_s=f"{left_s:.3f}")

    def _clock_in(self, seconds: float) -> str:
        return f"{(self._utc_now() + timedelta(seconds=seconds)).astimezone(UTC):%H:%M:%S} UTC"

    def _tell_breaker_changed(self, state: BreakerState, outcome: tuple[Verdict, Answer | None]) -> None:
        """One line where the provider is given up for a while, and one where it is back."""
        verdict, _ = outcome
        if verdict.error is None or not verdict.sick:
            _log.info("%s: answers again, the breaker is closed", self._endpoint.host, extra=fields(breaker=state))
            return
        until = self._utc_now() + timedelta(seconds=self._breaker.recovery_s)
        _log.warning(
            "%s; not asked for %g s, until %s",
            self._told(verdict.error).message,
            self._breaker.recovery_s,
            self._clock_in(self._breaker.recovery_s),
            extra=fields(breaker=state, until=until.isoformat()),
        )

    def _refused(self, refusal: Err) -> Err:
        """The breaker's word, with the failure that made it speak."""
        error, last = refusal.error, self._last_sickness
        if last is None:
            return refusal
        cause = last.message.removeprefix(f"{self._endpoint.host}: ")
        return Err(AppError(error.code, f"{error.message}; the last failure: {cause}", error.context))

    async def _exchange(self, request: Request, slot: Slot) -> tuple[Verdict, Answer | None]:
        spent = self._allowance.spend() if self._allowance is not None else Ok(None)
        if isinstance(spent, Err):
            return Verdict(spent.error, ends_provider=spent.error.code is ErrorCode.QUOTA), None
        slot.sent = True
        self._sent += 1
        sent_at = self._monotonic()
        answer = await self._wire.ask(request)
        if isinstance(answer, Verdict):
            return answer, None
        verdict = self._judge(answer)
        self._heed(verdict, sent_at)
        if self._haste.closed_for_s == 0:  # else whoever waits for a turn is to hear of it at once
            self._observe(answer, slot)
        return verdict, answer

    def _judge(self, answer: Answer) -> Verdict:
        if 300 <= answer.status < 400:
            return Verdict(AppError(ErrorCode.EXTERNAL, f"answered with a redirect ({answer.status}), not followed"))
        return self._dialect.judge(answer)

    def _observe(self, answer: Answer, slot: Slot) -> None:
        served_at = answer.served_at
        rate = self._dialect.rate_headers(answer.headers)
        if rate is not None:
            server_now = None if served_at is None else served_at.timestamp()
            self._limiter.observe(slot, rate.allowed, rate.available, rate.expires_at_epoch, server_now)

    def _heed(self, verdict: Verdict, sent_at: float) -> None:
        """What one answer means for the requests after it."""
        error = verdict.error
        if error is not None and error.code is ErrorCode.RATELIMIT:
            self._slow_down(error, sent_at, verdict.wait_s or 0.0)
            return
        self._haste.answered()
        if self._allowance is None:
            return
        if error is None:
            self._allowance.answered()
        elif error.code is ErrorCode.QUOTA:
            self._allowance.exhausted()
        elif error.code is ErrorCode.AUTH:
            self._allowance.key_refused()

    def _slow_down(self, refusal: AppError, sent_at: float, wait_s: float) -> None:
        """Let everybody wait for the end of the window, and say so; after too many of them, let nobody wait."""
        first = self._haste.refused(sent_at, wait_s)
        if self._haste.closed_for_s > 0:
            return
        self._limiter.pause(wait_s)
        if first and wait_s > SHORT_WAIT_S:
            _log.warning(
                "%s: waiting until %s, attempt %d of %d",
                self._told(refusal).message,
                self._clock_in(wait_s),
                self._haste.windows,
                self._retry.max_attempts,
            )

    def _told(self, error: AppError) -> AppError:
        """The error as people may see it: host first, secrets out before anything is cut, one printable line."""
        line = printable(" ".join(self._redact(error.message).split()), _LONGEST_MESSAGE)
        return AppError(error.code, f"{self._endpoint.host}: {line}", error.context)


def _sickness(outcome: tuple[Verdict, Answer | None]) -> bool | None:
    """Whether the provider is down; None where it was not asked."""
    verdict, answer = outcome
    return None if answer is None and not verdict.sick else verdict.sick
