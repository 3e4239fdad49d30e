"""Knocking at a provider's door over real sockets: not a byte of a request is sent."""

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.infrastructure.api.probes import TradierProbe, knock
from ivcrush.infrastructure.api.tradier import tradier_transport
from ivcrush.infrastructure.api.transport import Resilience
from ivcrush.infrastructure.api.wire import Bounds
from ivcrush.utils.rate_limiter import Window
from ivcrush.utils.retry import RetryPolicy
from ivcrush.utils.timezone import SystemClock
from tests.integration.fault_server import answer, fault_server, silence

CLOCK = b'{"clock": {"state": "open"}}'
SERVED = "Fri, 15 May 2026 19:45:00 GMT"


def probe(url: str) -> TradierProbe:
    clock = SystemClock()
    transport = tradier_transport(
        url,
        "token",
        windows=(Window(120, 60.0),),
        bounds=Bounds(timeout_s=5),
        resilience=Resilience(clock.now, clock.monotonic, retry=RetryPolicy(max_attempts=1)),
        redact=str,
    )
    return TradierProbe(url, transport)


async def test_a_knock_meets_the_host_and_asks_nothing() -> None:
    async with fault_server(answer()) as server:
        assert await knock(server.url + "/query") == Ok("127.0.0.1")
        await asyncio.sleep(0)
        assert server.requests == []


async def test_a_closed_door_is_told_by_host_and_kind() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        found = await knock(f"http://127.0.0.1:{unused.getsockname()[1]}/query")
    assert isinstance(found, Err)
    assert found.error.code is ErrorCode.EXTERNAL
    assert found.error.message == "127.0.0.1: connection failed (ConnectionRefusedError)"


async def test_a_server_without_tls_is_no_https_server() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        found = await knock(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert isinstance(found, Err)
    assert found.error.message == "127.0.0.1: connection failed (SSLError)"


async def test_a_name_without_an_address_is_told() -> None:
    found = await knock("https://nobody.invalid/query")
    assert isinstance(found, Err)
    assert found.error.message.startswith("nobody.invalid: the name has no address (")


async def test_two_who_ask_share_one_request_and_one_who_gives_up_spoils_it_for_nobody() -> None:
    async with fault_server(answer(200, CLOCK, Date=SERVED, Content_Type="application/json")) as server:
        tradier = probe(server.url)
        hasty = asyncio.create_task(tradier.served_at())
        await asyncio.sleep(0)
        hasty.cancel()
        served_at = datetime(2026, 5, 15, 19, 45, tzinfo=UTC)
        assert await tradier.served_at() == Ok(served_at)
        assert await tradier.served_at() == Ok(served_at)
        assert len(server.requests) == 1
        await tradier.aclose()


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
async def test_a_reply_without_a_date_has_none(headers: dict[str, str]) -> None:
    async with fault_server(answer(200, CLOCK, **headers)) as server:
        tradier = probe(server.url)
        assert await tradier.served_at() == Ok(None)
        await tradier.aclose()


async def test_a_failure_is_not_asked_about_again() -> None:
    async with fault_server(answer(500, b"{}")) as server:
        tradier = probe(server.url)
        assert isinstance(await tradier.served_at(), Err)
        assert len(server.requests) == 1
        await tradier.aclose()


async def test_closing_gives_up_a_request_that_nobody_answers() -> None:
    async with fault_server(silence) as server:
        tradier = probe(server.url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await tradier.served_at()
        await tradier.aclose()
        await tradier.aclose()
