"""Starting, stopping, steering and measuring the market, in a thread and as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from simulated_market import SimulatedMarket, Switches, World
from simulated_market.__main__ import main
from simulated_market.application import Application
from simulated_market.messages import Reply, Request
from simulated_market.reply_cache import ReplyCache
from simulated_market.switches import FaultRule
from tests.unit.simulated_market.conftest import FRIDAY_AFTERNOON, NEW_YORK, Ask

HEADERS = {"authorization": "Bearer t", "accept": "application/json"}


def test_many_markets_run_one_after_the_other_and_side_by_side(world: World) -> None:
    for _ in range(3):
        with SimulatedMarket(world) as one, SimulatedMarket(world) as other:
            assert one.port != other.port
            assert httpx.get(f"{one.tradier_base_url}/markets/clock", trust_env=False).status_code == 401


def test_a_market_can_be_opened_again(world: World) -> None:
    market = SimulatedMarket(world)
    for _ in range(2):
        with market:
            assert httpx.get(f"{market.tradier_base_url}/markets/clock", trust_env=False).status_code == 401


def test_a_taken_port_is_an_error_at_the_door(market: SimulatedMarket, world: World) -> None:
    with pytest.raises(OSError, match="address already in use"), SimulatedMarket(world, port=market.port):
        pass


def test_open_connections_do_not_keep_it_from_closing(world: World) -> None:
    with SimulatedMarket(world, switches=Switches(faults=(FaultRule("silent"),))) as market:
        left_open = socket.create_connection(("127.0.0.1", market.port))
        left_open.sendall(b"GET /v1/markets/clock HTTP/1.1\r\nAuthorization: Bearer t\r\n\r\n")
        while not market.stats()["requests"]:
            time.sleep(0.005)
    assert left_open.recv(1) == b"" if not _was_reset(left_open) else True
    left_open.close()


def _was_reset(connection: socket.socket) -> bool:
    try:
        connection.recv(1, socket.MSG_PEEK)
    except ConnectionResetError:
        return True
    return False


def test_stats_count_by_path_and_the_most_requests_at_once(market: SimulatedMarket, client: httpx.Client) -> None:
    before = market.stats()["paths"].get("/v1/markets/clock", 0)
    market.set_switches(Switches(latency_ms=60.0, latency_jitter_ms=5.0))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.get(f"{market.tradier_base_url}/markets/clock"), range(4)))
    stats = market.stats()
    assert stats["paths"]["/v1/markets/clock"] == before + 4
    assert stats["max_in_flight"] >= 3
    served = client.get(f"http://127.0.0.1:{market.port}/_stats").json()
    assert served["max_in_flight"] == stats["max_in_flight"]


def test_truth_log_and_switches_have_pages(market: SimulatedMarket, client: httpx.Client) -> None:
    address = f"http://127.0.0.1:{market.port}"
    truth = client.get(f"{address}/_truth?symbol=AAPL").json()
    assert truth["earnings_date"] == "2026-05-18"
    assert truth["jump_sigma_pct"] == pytest.approx(4.3)
    assert client.get(f"{address}/_truth?symbol=NOPE").status_code == 404
    assert client.get(f"{address}/_nothing").status_code == 404
    switched = client.post(f"{address}/_switches", json={"faults": [{"fault": "500", "nth": 1}], "rate_limit": 5})
    assert switched.json()["rate_limit"] == 5
    assert client.get(f"{market.tradier_base_url}/markets/clock").status_code == 500
    assert client.get(f"{address}/_switches").json()["faults"][0]["fault"] == "500"
    assert client.get(f"{address}/_log").json()[-1]["faults"] == ["500"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "Expecting property name"),
        (b"[]", "[] is no object"),
        (b'{"faults": 1}', "faults: 1 is no list"),
        (b'{"colour": "red"}', "Switches: unknown field colour"),
        (b'{"faults": [{"fault": "500", "when": 1}]}', "FaultRule: unknown field when"),
        (b'{"faults": [{"fault": "nonsense"}]}', "unknown fault nonsense"),
        (b'{"session_state": "lunch"}', "session_state is 'lunch'"),
    ],
)
def test_unusable_switches_are_refused_with_a_reason(
    market: SimulatedMarket, client: httpx.Client, body: bytes, words: str
) -> None:
    refused = client.post(f"http://127.0.0.1:{market.port}/_switches", content=body)
    assert (refused.status_code, words in refused.text) == (400, True)


def test_the_log_holds_no_key_and_no_token(market: SimulatedMarket, client: httpx.Client) -> None:
    client.get(f"{market.alpha_vantage_base_url}?function=EARNINGS&symbol=AAPL&apikey=CANARY")
    client.get(f"{market.tradier_base_url}/markets/clock", headers={"Authorization": "Bearer CANARY"})
    assert "CANARY" not in repr(market.log())
    assert market.log()[-2].question == "/query?function=EARNINGS&symbol=AAPL"


def test_the_date_header_can_be_wrong_by_a_year(market: SimulatedMarket, tradier: Ask) -> None:
    market.set_switches(Switches(date_header_offset_s=-366 * 86400.0))
    told = datetime.strptime(tradier("clock").headers["date"], "%a, %d %b %Y %H:%M:%S GMT").astimezone(NEW_YORK)
    assert told < datetime.now(NEW_YORK) - timedelta(days=360)


def test_a_market_by_the_host_s_clock_moves_on(world: World) -> None:
    seconds = FRIDAY_AFTERNOON.timestamp()
    now = [seconds]
    application = Application(world, Switches(), clock=lambda: now[0], host_clock=True)
    clock = Request("GET", "/v1/markets/clock", {}, HEADERS)
    first = json.loads(application.handle(clock).reply.body)["clock"]["timestamp"]
    now[0] = seconds + 10.0
    assert json.loads(application.handle(clock).reply.body)["clock"]["timestamp"] == first
    now[0] = seconds + 1200.0
    moved = json.loads(application.handle(clock).reply.body)["clock"]
    assert (moved["timestamp"], moved["state"]) == (first + 1200, "postmarket")


def test_rate_windows_are_aligned_to_the_clock(world: World) -> None:
    now = [1_719_590_761.0]  # 2024-06-28 16:06:01 GMT, as in the recorded headers
    application = Application(world, Switches(rate_limit=1), clock=lambda: now[0])
    clock = Request("GET", "/v1/markets/clock", {}, HEADERS)
    assert dict(application.handle(clock).reply.headers)["X-Ratelimit-Expiry"] == "1719590820000"
    assert application.handle(clock).reply.status == 429
    now[0] = 1_719_590_820.0
    assert application.handle(clock).reply.status == 200


def test_bursts_are_forgotten_after_a_second(world: World) -> None:
    now = [0.0]
    application = Application(world, Switches(per_second=1), monotonic=lambda: now[0])
    splits = Request("GET", "/query", {"function": "SPLITS", "symbol": "NVDA", "apikey": "k"})
    bodies = [application.handle(splits).reply.body for _ in range(2)]
    now[0] = 1.0
    bodies.append(application.handle(splits).reply.body)
    assert [b"per second" in body for body in bodies] == [False, True, False]


def test_cached_replies_are_bounded_by_bytes_and_the_oldest_goes_first() -> None:
    cache, built = ReplyCache(limit_bytes=100), []

    def ask(name: str) -> None:
        cache.get(name, lambda: built.append(name) or Reply(b"x" * 40))  # type: ignore[func-returns-value]

    for name in ("a", "b", "a", "c", "a", "b"):
        ask(name)
    assert built == ["a", "b", "c", "b"]
    assert len(cache) == 2


def test_prepared_chains_are_answered_from_the_cache(market: SimulatedMarket, tradier: Ask) -> None:
    market.prepare(("BRK.B",), expirations=2)
    start = time.perf_counter()
    reply = tradier("options/chains", symbol="BRK/B", expiration="2026-05-22", greeks="true")
    assert reply.status_code == 200
    assert time.perf_counter() - start < 1.0


def test_malformed_and_oversized_requests_end_the_connection(market: SimulatedMarket) -> None:
    def exchange(*parts: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", market.port)) as connection:
            for part in parts:
                connection.sendall(part)
            connection.settimeout(5.0)
            received = b""
            try:
                while piece := connection.recv(65536):
                    received += piece
            except ConnectionResetError:
                pass
            return received

    assert exchange(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request")
    assert exchange(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert exchange(b"GET /" + b"x" * 4_100_000) == b""
    old = exchange(b"GET /_stats HTTP/1.0\r\n\r\n")
    assert b"Connection: close" in old
    split = exchange(
        b"POST /v1/markets/quotes HTTP/1.1\r\nContent-Le", b"ngth: 4\r\nConnection: close\r\n\r\nab", b"cd"
    )
    assert split.startswith(b"HTTP/1.1 401")


def test_two_requests_sent_at_once_are_answered_in_order(market: SimulatedMarket) -> None:
    one = b"GET /_truth?symbol=NOPE HTTP/1.1\r\n\r\n"
    last = b"GET /_truth?symbol=SPY HTTP/1.1\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", market.port)) as connection:
        connection.sendall(one + last)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert received.index(b"NOPE: not listed") < received.index(b"SPY: reports no earnings")


def test_slow_requests_sent_at_once_are_answered_in_order(market: SimulatedMarket) -> None:
    market.set_switches(Switches(latency_ms=1.0))
    one = b"GET /v1/markets/nothing HTTP/1.1\r\n\r\n"
    last = b"GET /v1/markets/clock HTTP/1.1\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", market.port)) as connection:
        connection.sendall(one + last)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert received.index(b"404 Not Found") < received.index(b"401 Unauthorized")


def test_recorded_bodies_are_served_byte_for_byte(
    market: SimulatedMarket, shared_dir: Path, client: httpx.Client
) -> None:
    files = [path for path in sorted((shared_dir / "payloads").glob("*/*")) if path.suffix in {".json", ".csv"}]
    for path in files:
        body = path.read_bytes()
        if path.parent.name == "tradier":
            market.replay("/v1/markets/options/chains", {"symbol": path.stem}, body)
            reply = client.get(f"{market.tradier_base_url}/markets/options/chains", params={"symbol": path.stem})
        else:
            market.replay("/query", {"function": path.stem}, body, content_type="application/x-download")
            reply = client.get(market.alpha_vantage_base_url, params={"function": path.stem, "apikey": "k"})
        assert reply.content == body, path.name
    assert len(files) > 60


def test_a_recording_keeps_its_status_and_type(market: SimulatedMarket, tradier: Ask) -> None:
    market.replay("/v1/markets/clock", {"delayed": "true"}, b"{}", status=503, content_type="text/html")
    reply = tradier("clock", delayed="true")
    assert (reply.status_code, reply.headers["content-type"], reply.content) == (503, "text/html", b"{}")


def started(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulated_market", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(3)]
    return process, dict(line.split("=", 1) for line in lines)


def test_the_command_prints_its_addresses_and_ends_at_sigterm(tmp_path: Path) -> None:
    path = tmp_path / "switches.json"
    path.write_text('{"faults": [{"fault": "500", "nth": 1}]}', encoding="utf-8")
    process, told = started("--as-of", "2026-05-15T15:45", "--tickers", "2", "--switches", str(path))
    assert told["AS_OF"] == "2026-05-15T15:45:00-04:00"
    url = f"{told['TRADIER_BASE_URL']}/markets/clock"
    statuses = [httpx.get(url, headers=HEADERS, trust_env=False).status_code for _ in range(2)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 0
    assert statuses == [500, 200]
    assert process.stdout is not None
    process.stdout.close()


def test_the_command_ends_when_the_process_that_started_it_is_gone() -> None:
    script = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-m', 'simulated_market', '--tickers', '1'], stdout=subprocess.PIPE)\n"
        "[p.stdout.readline() for _ in range(3)]\n"
        "print(p.pid)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    orphan = int(ended.stdout)
    deadline = time.monotonic() + 5.0
    while _is_running(orphan) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_running(orphan)


def _is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_command_serves_in_this_process_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    parents = iter([1, 2])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))  # the parent is gone at the second look
    try:
        assert main(["--host-clock", "--tickers", "1", "--latency-ms", "1", "--per-minute", "60"]) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert capsys.readouterr().out.startswith("TRADIER_BASE_URL=http://127.0.0.1:")
