"""The one way to a provider: every request is paced, guarded, bounded, retried and judged here.

Retry is outermost; each attempt takes a place among the concurrent requests and a token, passes the breaker and is
sent. What an answer means is the provider's `Dialect`. The outcome is a `Result`: no exception of the HTTP library
leaves, and no URL, header or body of a provider reaches a message before it was redacted.

Never follows redirects, never reads proxies, `.netrc` or certificate paths from the environment (`trust_env=False`):
the bearer token goes to the configured host and nowhere else. TLS is verified against certifi's roots. `timeout_s` is
the total time of one request from connecting to the last byte; waiting for a token is ours and not counted in it.
"""

import asyncio
import importlib.util
import logging
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result
from ivcrush.infrastructure.api.body import read_body
from ivcrush.infrastructure.api.dialect import Answer, Dialect, Verdict
from ivcrush.infrastructure.api.json_wire import BOM
from ivcrush.utils.circuit_breaker import BreakerState, CircuitBreaker
from ivcrush.utils.logging import fields
from ivcrush.utils.performance import track_performance
from ivcrush.utils.rate_limiter import RateLimiter, Slot, Window
from ivcrush.utils.retry import Retry, Retryable, RetryPolicy
from ivcrush.utils.text import printable

if TYPE_CHECKING:
    import httpx

MAX_BODY_BYTES = 20_000_000
_LONGEST_MESSAGE = 240
_log = logging.getLogger(__name__)

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask; `parameters` may hold a key and are never shown. With `form` it is a POST."""

    path: str
    parameters: Pairs = field(default=(), repr=False)
    form: Pairs = field(default=(), repr=False)


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


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """What a run cost: requests sent, and how many of them were repeats of one that failed."""

    sent: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider lives and what every request to it carries; headers are secret."""

    base_url: str
    headers: Pairs = field(default=(), repr=False)

    @property
    def host(self) -> str:
        """The only part of an address that messages name."""
        return urlsplit(self.base_url).hostname or self.base_url


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one request may cost: seconds in all, decoded bytes, and how many may be under way at once."""

    timeout_s: float = 30.0
    max_body_bytes: int = MAX_BODY_BYTES
    max_concurrent: int = 10


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
            utc_now=self.utc_now,
            redact=redact,
            allowance=allowance,
        )


class Transport:
    """One per provider, for the life of the process; the HTTP library is loaded at the first request."""

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        *,
        bounds: Bounds,
        limiter: RateLimiter,
        breaker: CircuitBreaker,
        retry: Retry,
        utc_now: Callable[[], datetime],
        redact: Callable[[str], str],
        allowance: DailyAllowance | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._dialect = dialect
        self._bounds = bounds
        self._limiter = limiter
        self._breaker = breaker
        self._retry = retry
        self._utc_now = utc_now
        self._redact = redact
        self._allowance = allowance
        self._places = asyncio.Semaphore(bounds.max_concurrent)
        self._idle: list[httpx.AsyncClient] = []
        self._verify: ssl.SSLContext | None = None
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
        if self._ended is not None:
            return Err(self._ended)
        verdicts: list[Verdict] = []
        return await self._retry.call(lambda: self._attempt(request, verdicts))

    async def aclose(self) -> None:
        """Closes the connections; the transport may be used again."""
        while self._idle:
            await self._idle.pop().aclose()

    async def _attempt(self, request: Request, verdicts: list[Verdict]) -> Ok[Reply] | Err | Retryable:
        """One request, or none where the breaker or the day's allowance forbids it; its verdict is appended."""
        async with self._places, self._limiter.slot() as slot:
            if self._ended is not None:
                return Err(self._ended)
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
        may_pass = verdict.again and (verdict.tolerated is None or alike <= verdict.tolerated)
        if may_pass and len(verdicts) < self._retry.max_attempts:
            _log.info("attempt failed: %s", error, extra=fields(attempt=len(verdicts), wait_s=verdict.wait_s))
            return Retryable(error, verdict.wait_s)
        if verdict.ends_provider:
            self._ended = error
        return Err(error)

    def _tell_breaker_changed(self, state: BreakerState, outcome: tuple[Verdict, Answer | None]) -> None:
        """One line where the provider is given up for a while, and one where it is back."""
        verdict, _ = outcome
        if verdict.error is None or not verdict.sick:
            _log.info("%s: answers again, the breaker is closed", self._endpoint.host, extra=fields(breaker=state))
            return
        until = self._utc_now() + timedelta(seconds=self._breaker.recovery_s)
        _log.warning(
            "%s; not asked for %g s, until %s UTC",
            self._told(verdict.error).message,
            self._breaker.recovery_s,
            f"{until.astimezone(UTC):%H:%M:%S}",
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
        answer = await self._ask(request)
        if isinstance(answer, Verdict):
            return answer, None
        return self._judge(answer, slot), answer

    @track_performance(name="request on the wire", threshold_s=10.0)
    async def _ask(self, request: Request) -> Answer | Verdict:
        """The answer, or the verdict on a way that failed; the total deadline covers the last byte of the body."""
        import httpx

        try:
            async with asyncio.timeout(self._bounds.timeout_s):
                return await self._receive(request)
        except TimeoutError:
            return _passing(ErrorCode.TIMEOUT, f"no complete answer within {self._bounds.timeout_s:g} s")
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as fault:
            return Verdict(AppError(ErrorCode.CONFIG, f"token or address unusable ({type(fault).__name__})"))
        except httpx.TransportError as fault:
            refusal = _tls_refusal(fault)
            if refusal is not None:
                return Verdict(AppError(ErrorCode.EXTERNAL, f"TLS: {refusal}"))
            return _passing(ErrorCode.EXTERNAL, f"connection failed ({type(fault).__name__})")

    async def _receive(self, request: Request) -> Answer | Verdict:
        """By the client that was idle last: its connection is the likeliest to be open still."""
        client = self._idle.pop() if self._idle else self._client()
        try:
            return await self._receive_by(client, request)
        finally:
            self._idle.append(client)

    async def _receive_by(self, client: "httpx.AsyncClient", request: Request) -> Answer | Verdict:
        async with client.stream(
            "POST" if request.form else "GET",
            self._endpoint.base_url.rstrip("/") + request.path,
            params=list(request.parameters),
            data=dict(request.form) or None,
        ) as response:
            headers = dict(response.headers)
            coding = headers.get("content-encoding", "")
            body = await read_body(response.aiter_raw(), coding, self._bounds.max_body_bytes)
            if isinstance(body, Err):
                transient = body.error.code is ErrorCode.EXTERNAL
                return Verdict(body.error, again=transient, sick=transient)
            return Answer(response.status_code, headers, body.value.removeprefix(BOM), self._utc_now())

    def _judge(self, answer: Answer, slot: Slot) -> Verdict:
        served_at = answer.served_at
        rate = self._dialect.rate_headers(answer.headers)
        if rate is not None:
            server_now = None if served_at is None else served_at.timestamp()
            self._limiter.observe(slot, rate.allowed, rate.available, rate.expires_at_epoch, server_now)
        if 300 <= answer.status < 400:
            return Verdict(AppError(ErrorCode.EXTERNAL, f"answered with a redirect ({answer.status}), not followed"))
        verdict = self._dialect.judge(answer)
        if verdict.error is not None:
            self._heed(verdict, verdict.error.code)
        return verdict

    def _heed(self, verdict: Verdict, code: ErrorCode) -> None:
        """What one refusal means for the requests after it."""
        if code is ErrorCode.RATELIMIT:
            self._limiter.pause(verdict.wait_s or 0.0)
        elif code is ErrorCode.QUOTA and self._allowance is not None:
            self._allowance.exhausted()

    def _told(self, error: AppError) -> AppError:
        """The error as people may see it: host first, secrets out before anything is cut, one printable line."""
        line = printable(" ".join(self._redact(error.message).split()), _LONGEST_MESSAGE)
        return AppError(error.code, f"{self._endpoint.host}: {line}", error.context)

    def _client(self) -> "httpx.AsyncClient":
        """A client with one connection; of several in one pool every request looks over all, for half its own time."""
        import httpx

        if self._verify is None:
            _calm_libraries()
            self._verify = _trust(self._endpoint.base_url)
        return httpx.AsyncClient(
            headers=[*self._endpoint.headers, ("Accept-Encoding", "gzip"), ("User-Agent", "ivcrush")],
            timeout=None,  # noqa: S113  the total deadline is stricter than any of httpx's
            follow_redirects=False,
            trust_env=False,
            verify=self._verify,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        )


def _calm_libraries() -> None:
    for chatty in ("httpx", "httpcore"):  # their lines below WARNING hold whole URLs, keys included
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if importlib.util.find_spec("sniffio") is None:
        # httpcore imports it at every lock and event, and a module that is absent is searched for each time: a third of
        # the time of a request. None is Python's way to say once and for all that there is none.
        sys.modules["sniffio"] = None  # type: ignore[assignment]


def _passing(code: ErrorCode, message: str) -> Verdict:
    return Verdict(AppError(code, message), again=True, sick=True)


def _sickness(outcome: tuple[Verdict, Answer | None]) -> bool | None:
    """Whether the provider is down; None where it was not asked."""
    verdict, answer = outcome
    return None if answer is None and not verdict.sick else verdict.sick


def _trust(base_url: str) -> ssl.SSLContext:
    """certifi's roots; for plain http on loopback an empty context, which trusts nobody and loads in no time."""
    import httpx

    https = urlsplit(base_url).scheme == "https"
    return httpx.create_ssl_context(trust_env=False) if https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _tls_refusal(fault: BaseException | None) -> str | None:
    """Why TLS was refused, None where the fault is another; a connection cut during the handshake may pass."""
    while fault is not None:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return fault.verify_message
        if isinstance(fault, ssl.SSLError) and not isinstance(fault, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return fault.reason or "handshake failed"
        fault = fault.__cause__ or fault.__context__
    return None
