"""The transport against a provider that misbehaves on real sockets: what is retried, told, and never leaked."""

import asyncio
import gzip
import logging
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import Ticker
from ivcrush.infrastructure.api.alpha_vantage import AlphaVantageClient, alpha_vantage_transport
from ivcrush.infrastructure.api.probes import knock
from ivcrush.infrastructure.api.tradier import TradierClient, tradier_transport
from ivcrush.infrastructure.api.transport import Reply, RequestCounts, Resilience, Transport
from ivcrush.infrastructure.api.wire import Bounds, Request
from ivcrush.utils.rate_limiter import Window
from ivcrush.utils.redaction import Redactor
from ivcrush.utils.retry import RetryPolicy
from tests.integration.fault_server import Act, FaultServer, answer, drip, fault_server, head, raw, reset, silence

TOKEN, KEY = "canary-token-7Q", "CANARYKEY42"
NOW = datetime(2024, 6, 28, 16, 6, 1, tzinfo=UTC)
DATE = "Fri, 28 Jun 2024 16:06:01 GMT"
DATA = b'{"clock":{"state":"open"}}'
CLOCK = Request("/markets/clock")


@dataclass
class Waits:
    """Time that passes only when somebody waits for it."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def resilience(waits: Waits, attempts: int = 3) -> Resilience:
    return Resilience(
        utc_now=lambda: NOW, monotonic=lambda: waits.now, sleep=waits.sleep, retry=RetryPolicy(max_attempts=attempts)
    )


def transport_to(
    url: str, waits: Waits, *, timeout_s: float = 5.0, max_body_bytes: int = 10_000, attempts: int = 3
) -> Transport:
    return tradier_transport(
        url,
        TOKEN,
        windows=(Window(1000, 60.0),),
        bounds=Bounds(timeout_s, max_body_bytes, max_concurrent=4),
        resilience=resilience(waits, attempts),
        redact=Redactor([TOKEN, KEY]),
    )


@asynccontextmanager
async def provider(*acts: Act, **bounds: float) -> AsyncIterator[tuple[Transport, FaultServer, Waits]]:
    waits = Waits()
    async with fault_server(*acts) as server:
        transport = transport_to(server.url, waits, **bounds)  # type: ignore[arg-type]
        try:
            yield transport, server, waits
        finally:
            await transport.aclose()


def error_of(result: Result[Reply]) -> AppError:
    assert isinstance(result, Err), result
    return result.error


async def test_data_comes_back_with_the_providers_date() -> None:
    async with provider(answer(200, b"\xef\xbb\xbf" + DATA, Date=DATE)) as (transport, server, _):
        assert await transport.send(CLOCK) == Ok(Reply(200, DATA, NOW))
        assert transport.counts == RequestCounts(sent=1)
        assert server.requests[0].startswith("GET /markets/clock HTTP/1.1")


async def test_a_request_after_the_first_searches_for_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    class Listener:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            searched.append(name)

    async with provider(answer(200, DATA)) as (transport, _, _):
        await transport.send(CLOCK)
        monkeypatch.setattr(sys, "meta_path", [Listener, *sys.meta_path])
        await transport.send(CLOCK)
    assert searched == []


@pytest.mark.parametrize(
    "sent", ["", "yesterday", "Fri, 99 Jun 2024 16:06:01 GMT", f"Fri, 28 Jun {'9' * 20} 16:06:01 GMT"]
)
async def test_a_date_that_is_none_is_none(sent: str) -> None:
    async with provider(answer(200, DATA, Date=sent)) as (transport, _, _):
        assert await transport.send(CLOCK) == Ok(Reply(200, DATA, None))


PASSING: dict[str, tuple[Act, ErrorCode]] = {
    "reset before an answer": (reset, ErrorCode.EXTERNAL),
    "empty reply": (raw(b""), ErrorCode.EXTERNAL),
    "cut in the headers": (raw(b"HTTP/1.1 200 OK\r\nContent-Le"), ErrorCode.EXTERNAL),
    "cut, with a length": (raw(head(200, {"Content-Length": "99"}) + DATA[:10]), ErrorCode.EXTERNAL),
    "cut, chunked": (raw(head(200, {"Transfer-Encoding": "chunked"}) + b"1a\r\n" + DATA[:10]), ErrorCode.EXTERNAL),
    "cut, without a length": (raw(head(200, {}) + DATA[:10]), ErrorCode.EXTERNAL),
    "no HTTP at all": (raw(b"SSH-2.0-OpenSSH\r\n"), ErrorCode.EXTERNAL),
    "HTML with status 200": (answer(200, b"<!DOCTYPE html><title>Tradier API</title>"), ErrorCode.EXTERNAL),
    "nothing with status 200": (answer(200, b""), ErrorCode.EXTERNAL),
    "gzip that is none": (answer(200, DATA, Content_Encoding="gzip"), ErrorCode.EXTERNAL),
    "gzip cut short": (answer(200, gzip.compress(DATA)[:-12], Content_Encoding="gzip"), ErrorCode.EXTERNAL),
    "a coding not asked for": (answer(200, DATA, Content_Encoding="br"), ErrorCode.EXTERNAL),
    "502": (answer(502, b"<html>Bad Gateway</html>"), ErrorCode.EXTERNAL),
    "404": (answer(404, b"not found"), ErrorCode.EXTERNAL),
}


@pytest.mark.parametrize("fault", PASSING)
async def test_a_failure_that_may_pass_is_tried_three_times_and_then_told(fault: str) -> None:
    act, code = PASSING[fault]
    async with provider(act) as (transport, server, waits):
        error = error_of(await transport.send(CLOCK))
        assert error.code is code
        assert error.message.startswith("127.0.0.1: ")
        assert len(server.requests) == 3
        assert transport.counts == RequestCounts(sent=3, repeated=2)
        assert 1.0 <= waits.slept[0] <= 2.0 <= waits.slept[1] <= 4.0


async def test_a_failed_attempt_is_logged_with_its_number_and_the_wait_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ivcrush")
    async with provider(answer(503, b""), answer(401, b"Invalid Access Token"), answer(200, DATA)) as (transport, _, _):
        await transport.send(CLOCK)
    assert [(record.getMessage(), record.__dict__["fields"]) for record in caplog.records] == [
        ("attempt failed: " + told, {"attempt": attempt, "wait_s": wait_s})
        for told, attempt, wait_s in [
            (str(AppError(ErrorCode.EXTERNAL, "127.0.0.1: Tradier failed with status 503")), 1, None),
            (
                str(
                    AppError(ErrorCode.AUTH, "127.0.0.1: Tradier token refused (TRADIER_API_KEY): Invalid Access Token")
                ),
                2,
                1.0,
            ),
        ]
    ]


@pytest.mark.parametrize("fault", PASSING)
async def test_after_one_such_failure_the_data_still_comes(fault: str) -> None:
    async with provider(PASSING[fault][0], answer(200, DATA)) as (transport, _, _):
        assert isinstance(await transport.send(CLOCK), Ok)
        assert transport.counts == RequestCounts(sent=2, repeated=1)


@pytest.mark.parametrize(
    "act", [silence, drip(head(200, {}) + DATA, 0.02), drip(b"HTTP/1.1 200", 0.02)], ids=["silent", "drip", "drip head"]
)
async def test_the_deadline_covers_the_last_byte(act: Act) -> None:
    async with provider(act, timeout_s=0.1) as (transport, _, _):
        began = time.monotonic()
        error = error_of(await transport.send(CLOCK))
        assert (error.code, error.message) == (ErrorCode.TIMEOUT, "127.0.0.1: no complete answer within 0.1 s")
        assert time.monotonic() - began < 1.0


async def test_a_refused_connection_is_told_by_host() -> None:
    transport = transport_to("http://127.0.0.1:9/v1", Waits())
    error = error_of(await transport.send(CLOCK))
    assert error == AppError(ErrorCode.EXTERNAL, "127.0.0.1: connection failed (ConnectError)")
    await transport.aclose()


@pytest.mark.parametrize(
    "act",
    [
        answer(200, gzip.compress(b"0" * 50_000_000), Content_Encoding="gzip"),
        answer(200, b"[" + b"1," * 20_000),
        raw(head(200, {}) + b"[" + b"1," * 20_000),
    ],
    ids=["gzip bomb", "with a length", "endless"],
)
async def test_a_body_past_the_cap_is_given_up_at_once(act: Act) -> None:
    async with provider(act) as (transport, server, _):
        error = error_of(await transport.send(CLOCK))
        assert error == AppError(ErrorCode.INVALID, "127.0.0.1: body larger than 10000 bytes")
        assert len(server.requests) == 1


async def test_a_gzip_body_is_decoded() -> None:
    async with provider(answer(200, gzip.compress(DATA), Content_Encoding="gzip")) as (transport, _, _):
        assert await transport.send(CLOCK) == Ok(Reply(200, DATA, None))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_refused_and_the_token_stays_here(status: int) -> None:
    async with fault_server(answer(200, DATA)) as elsewhere:
        async with provider(answer(status, b"", Location=elsewhere.url)) as (transport, server, _):
            error = error_of(await transport.send(CLOCK))
            assert error.message == f"127.0.0.1: answered with a redirect ({status}), not followed"
            assert len(server.requests) == 1
        assert elsewhere.requests == []


async def test_a_refused_token_is_tried_twice_and_then_never_again() -> None:
    async with provider(answer(401, b"Invalid Access Token")) as (transport, server, waits):
        first = error_of(await transport.send(CLOCK))
        assert first == AppError(
            ErrorCode.AUTH, "127.0.0.1: Tradier token refused (TRADIER_API_KEY): Invalid Access Token"
        )
        assert waits.slept == [1.0]
        assert error_of(await transport.send(CLOCK)) == first
        assert len(server.requests) == 2


@pytest.mark.parametrize(("attempts", "failures_before"), [(1, 0), (3, 2)])
async def test_a_token_refused_at_the_last_attempt_ends_the_provider_too(attempts: int, failures_before: int) -> None:
    acts = [answer(503, b"")] * failures_before + [answer(401, b"Invalid Access Token"), answer(200, DATA)]
    async with provider(*acts, attempts=attempts) as (transport, server, _):
        for _ in range(3):
            assert error_of(await transport.send(CLOCK)).code is ErrorCode.AUTH
        assert len(server.requests) == attempts


async def test_a_single_401_before_the_last_attempt_does_not_end_the_provider() -> None:
    acts = [answer(401, b"Invalid Access Token"), answer(503, b""), answer(503, b""), answer(200, DATA)]
    async with provider(*acts) as (transport, _, _):
        assert error_of(await transport.send(CLOCK)).code is ErrorCode.EXTERNAL
        assert isinstance(await transport.send(CLOCK), Ok)


async def test_a_passing_401_is_survived() -> None:
    async with provider(answer(401, b"Invalid Access Token"), answer(200, DATA)) as (transport, _, _):
        assert isinstance(await transport.send(CLOCK), Ok)
        assert isinstance(await transport.send(CLOCK), Ok)


async def test_a_bad_parameter_is_told_in_the_providers_words_and_not_asked_again() -> None:
    body = b"Invalid parameter, \x1b[31msymbol\n" + TOKEN.encode() + b": must be \xff" + b"x" * 500
    async with provider(answer(400, body)) as (transport, server, _):
        error = error_of(await transport.send(CLOCK))
        assert error.code is ErrorCode.INVALID
        assert TOKEN not in error.message
        assert "\x1b" not in error.message
        assert len(error.message) < 300
        assert len(server.requests) == 1


async def test_a_429_holds_everybody_to_the_windows_end() -> None:
    expiry = int(NOW.timestamp() * 1000) + 9000
    refusal = answer(429, f"Quota Violation {expiry}".encode(), Date=DATE)
    async with provider(refusal, answer(200, DATA)) as (transport, _, waits):
        assert isinstance(await transport.send(CLOCK), Ok)
        assert waits.slept == [9.0]
        assert transport.counts == RequestCounts(sent=2, repeated=1)


async def test_rate_headers_pace_the_next_request() -> None:
    spent = {"X_Ratelimit_Allowed": "120", "X_Ratelimit_Available": "0", "X_Ratelimit_Expiry": "1719590820000"}
    async with provider(answer(200, DATA, Date=DATE, **spent)) as (transport, _, waits):
        await transport.send(CLOCK)
        await transport.send(CLOCK)
        assert waits.slept == [59.0]  # 16:06:01 to 16:07:00


async def test_five_failures_in_a_row_open_the_breaker_and_nothing_more_is_sent() -> None:
    async with provider(answer(503, b"")) as (transport, server, _):
        await transport.send(CLOCK)
        for _ in range(2):  # of the first of these, two attempts are sent and the third is not
            error = error_of(await transport.send(CLOCK))
            assert error.code is ErrorCode.EXTERNAL
            assert error.message.startswith("127.0.0.1: down, not asked for another 5")
            assert error.message.endswith("s; the last failure: Tradier failed with status 503")
        assert len(server.requests) == transport.counts.sent == 5


async def test_a_breaker_is_logged_once_when_it_opens_with_the_reason_and_the_hour_and_once_when_it_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ivcrush")
    async with provider(*[answer(503, TOKEN.encode())] * 5, answer(200, DATA), attempts=1) as (transport, _, waits):
        for _ in range(7):
            await transport.send(CLOCK)
        opened = "127.0.0.1: Tradier failed with status 503; not asked for 60 s, until 16:07:01 UTC"
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("WARNING", opened)]
        waits.now += 60.0
        await transport.send(CLOCK)
        await transport.send(CLOCK)
        closed = "127.0.0.1: answers again, the breaker is closed"
        assert [(record.levelname, record.getMessage()) for record in caplog.records[1:]] == [("INFO", closed)]


async def test_a_cancelled_request_passes_the_cancellation_on_and_leaves_the_transport_usable() -> None:
    asked = asyncio.Event()

    async def never(writer: asyncio.StreamWriter) -> None:
        asked.set()
        await silence(writer)

    async with provider(never, answer(200, DATA)) as (transport, _, _):
        task = asyncio.create_task(transport.send(CLOCK))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(await transport.send(CLOCK), Ok)


@pytest.mark.parametrize("act", [silence, reset, drip(DATA, 0.05)], ids=["silent", "reset", "drip"])
async def test_a_place_whose_request_failed_serves_the_next_one(act: Act) -> None:
    async with provider(act, answer(200, DATA), timeout_s=0.1, attempts=1) as (transport, server, _):
        assert isinstance(await transport.send(CLOCK), Err)
        assert isinstance(await transport.send(CLOCK), Ok)
        assert isinstance(await transport.send(CLOCK), Ok)
        assert len(server.requests) == 3


async def test_an_outer_deadline_is_not_taken_for_ours() -> None:
    async with provider(silence) as (transport, _, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await transport.send(CLOCK)


async def test_a_token_that_no_header_can_carry_is_a_matter_of_configuration_and_not_shown() -> None:
    waits = Waits()
    async with fault_server(answer(200, DATA)) as server:
        transport = tradier_transport(
            server.url,
            TOKEN + "\n",
            windows=(Window(10, 60.0),),
            bounds=Bounds(),
            resilience=resilience(waits),
            redact=Redactor([]),
        )
        error = error_of(await transport.send(CLOCK))
        await transport.aclose()
    assert error == AppError(ErrorCode.CONFIG, "127.0.0.1: token or address unusable (LocalProtocolError)")


async def test_a_defect_of_ours_is_neither_wrapped_nor_retried() -> None:
    def defective() -> datetime:
        raise TypeError("ours")

    waits = Waits()
    async with fault_server(answer(200, DATA)) as server:
        broken = Resilience(utc_now=defective, monotonic=lambda: waits.now, sleep=waits.sleep)
        transport = tradier_transport(
            server.url, TOKEN, windows=(Window(10, 60.0),), bounds=Bounds(), resilience=broken, redact=Redactor([])
        )
        with pytest.raises(TypeError, match="ours"):
            await transport.send(CLOCK)
        await transport.aclose()
        assert len(server.requests) == 1


async def test_proxies_and_netrc_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password stolen\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with provider(answer(200, DATA)) as (transport, server, _):
        assert isinstance(await transport.send(CLOCK), Ok)
        assert f"authorization: bearer {TOKEN}".lower() in server.requests[0].lower()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*command, "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"],
        check=True,
        capture_output=True,
    )
    return certificate, key


async def test_a_certificate_of_nobodys_is_refused_once_with_the_reason(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    transport = transport_to(url, Waits())
    error = error_of(await transport.send(CLOCK))
    knocked = await knock(url)
    await transport.aclose()
    server.close()
    assert error == AppError(ErrorCode.EXTERNAL, "127.0.0.1: TLS: self-signed certificate")
    assert transport.counts == RequestCounts(sent=1)
    assert knocked == err(ErrorCode.EXTERNAL, "127.0.0.1: TLS: self-signed certificate")


async def test_plain_http_where_tls_is_spoken_is_refused_once() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    transport = transport_to(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", Waits())
    error = error_of(await transport.send(CLOCK))
    await transport.aclose()
    server.close()
    assert error.message.startswith("127.0.0.1: TLS: ")
    assert transport.counts.sent == 1


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    under_way = most = 0

    async def slow(writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        await answer(200, DATA)(writer)

    async with provider(slow) as (transport, server, _):
        results = await asyncio.gather(*(transport.send(CLOCK) for _ in range(20)))
        assert all(isinstance(result, Ok) for result in results)
        assert len(server.requests) == 20
        assert most == 4


async def test_a_long_list_of_symbols_goes_by_post_and_a_short_one_by_get() -> None:
    body = b'{"quotes":{"quote":{"symbol":"BRK/B","bid":1,"ask":2}}}'
    async with provider(answer(200, body)) as (transport, server, _):
        client = TradierClient(transport)
        assert isinstance(await client.quotes([Ticker("BRK.B")]), Ok)
        many = [Ticker(a + b + c) for a in "ABCDEFGHIJ" for b in "KLMNOPQRST" for c in "UVWXYZ"]
        assert isinstance(await client.quotes(many), Ok)
        assert await client.quotes([]) == Ok({})
        short, long = server.requests
        assert short.startswith("GET /markets/quotes?symbols=BRK%2FB&greeks=false HTTP/1.1")
        assert long.startswith("POST /markets/quotes HTTP/1.1")
        assert "symbols=AKU%2CAKV%2C" in long


TSLA = Ticker("TSLA")
QUESTIONS: dict[str, tuple[Callable[[TradierClient], object], str, bytes]] = {
    "expirations": (lambda c: c.expirations(TSLA), "/markets/options/expirations?symbol=TSLA", b'{"expirations":null}'),
    "chain": (
        lambda c: c.option_chain(TSLA, date(2026, 1, 30)),
        "/markets/options/chains?symbol=TSLA&expiration=2026-01-30&greeks=true",
        b'{"options":null}',
    ),
    "bars": (
        lambda c: c.daily_bars(TSLA, date(2026, 1, 2), date(2026, 1, 9)),
        "/markets/history?symbol=TSLA&interval=daily&start=2026-01-02&end=2026-01-09",
        b'{"history":null}',
    ),
    "clock": (lambda c: c.clock(), "/markets/clock", b'{"clock":null}'),
    "calendar": (lambda c: c.session_days(2026, 1), "/markets/calendar?month=01&year=2026", b'{"calendar":null}'),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("works", [True, False])
async def test_each_question_is_asked_as_the_documentation_spells_it(question: str, works: bool) -> None:
    ask, target, nothing = QUESTIONS[question]
    async with provider(answer(200, nothing) if works else answer(400, b"no")) as (transport, server, _):
        result = await ask(TradierClient(transport))  # type: ignore[misc]
        assert isinstance(result, Err)
        assert result.error.code in ({ErrorCode.NODATA, ErrorCode.INVALID} if works else {ErrorCode.INVALID})
        assert server.requests[0].startswith(f"GET {target} HTTP/1.1\r\n")


SPENT = AppError(ErrorCode.QUOTA, "25 of 25 spent")


class Allowance:
    """A day of so many requests."""

    def __init__(self, left: int, refusal: AppError = SPENT) -> None:
        self.left = left
        self.refusal = refusal
        self.told_exhausted = False
        self.told: list[str] = []

    def spend(self) -> Result[None]:
        self.left -= 1
        return Ok(None) if self.left >= 0 else Err(self.refusal)

    def exhausted(self) -> None:
        self.told_exhausted = True

    def key_refused(self) -> None:
        self.told.append("refused")

    def answered(self) -> None:
        self.told.append("answered")


@asynccontextmanager
async def alpha_vantage(
    *acts: Act, allowance: Allowance | None = None
) -> AsyncIterator[tuple[AlphaVantageClient, FaultServer, Waits, Transport]]:
    waits = Waits()
    async with fault_server(*acts) as server:
        transport = alpha_vantage_transport(
            server.url + "/query",
            windows=(Window(1, 1.0), Window(5, 60.0)),
            bounds=Bounds(),
            resilience=resilience(waits),
            redact=Redactor([KEY]),
            allowance=allowance,
        )
        try:
            yield AlphaVantageClient(transport, KEY, today=lambda: date(2026, 5, 15)), server, waits, transport
        finally:
            await transport.aclose()


async def test_alpha_vantage_is_asked_with_the_key_and_a_dash() -> None:
    async with alpha_vantage(answer(200, b"{}"), answer(200, b"symbol,name,reportDate\n")) as (client, server, _, _):
        brk = Ticker("BRK.B")
        assert isinstance(await client.past_reports(brk), Err)
        assert await client.scheduled_reports(None) == Ok(())
        assert await client.scheduled_reports(brk) == Ok(())
        assert [request.split()[1] for request in server.requests] == [
            f"/query?function=EARNINGS&symbol=BRK-B&apikey={KEY}",
            f"/query?function=EARNINGS_CALENDAR&horizon=3month&apikey={KEY}",
            f"/query?function=EARNINGS_CALENDAR&symbol=BRK-B&horizon=12month&apikey={KEY}",
        ]


async def test_dividends_splits_and_raw_bars_are_asked_for_one_a_second() -> None:
    async with alpha_vantage(answer(200, b"{}")) as (client, server, waits, _):
        assert await client.dividends(TSLA) == Ok(())
        assert await client.splits(TSLA) == Ok(())
        assert isinstance(await client.raw_daily_bars(TSLA), Err)
        functions = [request.split("function=")[1].split("&")[0] for request in server.requests]
        assert functions == ["DIVIDENDS", "SPLITS", "TIME_SERIES_DAILY"]
        assert "outputsize=compact" in server.requests[2]
        assert waits.slept == [1.0, 1.0]


async def test_what_becomes_of_the_key_is_passed_on() -> None:
    allowance = Allowance(25)
    refusal = answer(200, b'{"Error Message": "the parameter apikey is invalid or missing."}')
    async with alpha_vantage(answer(200, b"symbol,name,reportDate\n"), refusal, allowance=allowance) as (client, *_):
        assert isinstance(await client.scheduled_reports(None), Ok)
        assert error_of(await client.dividends(TSLA)).code is ErrorCode.AUTH
    assert allowance.told == ["answered", "refused"]


async def test_the_days_quota_stops_alpha_vantage_and_is_passed_on() -> None:
    body = f'{{"Information":"We have detected your API key as {KEY} and our limit is 25 requests per day."}}'.encode()
    allowance = Allowance(25)
    async with alpha_vantage(answer(200, body), allowance=allowance) as (client, server, _, _):
        for ask in (client.past_reports, client.dividends, client.splits, client.raw_daily_bars):
            result = await ask(TSLA)
            assert isinstance(result, Err)
            assert result.error.code is ErrorCode.QUOTA
        assert isinstance(await client.scheduled_reports(None), Err)
        assert allowance.told_exhausted
        assert len(server.requests) == 1


async def test_an_allowance_that_is_spent_sends_nothing() -> None:
    async with alpha_vantage(answer(200, b"{}"), allowance=Allowance(1)) as (client, server, _, transport):
        assert await client.dividends(TSLA) == Ok(())
        refused = await client.dividends(TSLA)
        assert isinstance(refused, Err)
        assert refused.error == SPENT
        assert len(server.requests) == transport.counts.sent == 1


async def test_a_count_that_cannot_be_kept_is_told_of_the_database_and_not_of_the_host_that_was_not_asked() -> None:
    fault = AppError(ErrorCode.DBERROR, "/data/ivcrush.db: disk I/O error")
    async with alpha_vantage(answer(200, b"{}"), allowance=Allowance(0, fault)) as (client, server, _, _):
        assert await client.dividends(TSLA) == Err(fault)
        assert server.requests == []


async def test_a_burst_refusal_is_retried_after_more_than_a_second() -> None:
    burst = b'{"Information":"Please consider 1 request per second, or 25 requests per day."}'
    async with alpha_vantage(answer(200, burst), answer(200, b"{}")) as (client, _, waits, transport):
        assert await client.dividends(TSLA) == Ok(())
        assert waits.slept[0] == 1.2
        assert transport.counts == RequestCounts(sent=2, repeated=1)


async def test_the_key_is_in_no_message_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    echo = f'{{"Information":"key {KEY} is odd"}}'.encode()
    for act in (reset, answer(500, b""), answer(200, echo), answer(302, b"", Location=f"http://x/?apikey={KEY}")):
        async with alpha_vantage(act) as (client, _, _, _):
            result = await client.past_reports(TSLA)
            assert isinstance(result, Err)
            texts += [str(result.error), repr(result)]
    assert KEY not in caplog.text
    assert not [text for text in texts if KEY in text]
    assert KEY not in repr(Request("", (("apikey", KEY),)))
