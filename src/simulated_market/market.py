"""The simulated market as a thing to start: a thread with its own event loop and a random loopback port, many times in
one process.
"""

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from simulated_market.application import Application, LogEntry
from simulated_market.http_server import Gauge, listen
from simulated_market.messages import Framing, Reply
from simulated_market.switches import Switches
from simulated_market.world import World

Value = TypeVar("Value")


class SimulatedMarket:
    """Serves `world` while entered; `host_clock` lets the market's now follow the machine's clock instead of standing
    still.
    """

    def __init__(
        self, world: World, *, switches: Switches | None = None, port: int = 0, host_clock: bool = False
    ) -> None:
        self._application = Application(world, switches or Switches(), host_clock=host_clock)
        self._gauge = Gauge()
        self._application.gauge = self._gauge.reading
        self._asked_port = port
        self._port: int | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._failures: list[OSError] = []
        self._thread = threading.Thread(target=self._run, name="simulated-market", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failures:
            self._thread.join()
            raise self._failures[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._port = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._port is not None, "the market is not open"
        return self._port

    @property
    def tradier_base_url(self) -> str:
        """What a Tradier client takes as its v1 base."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def alpha_vantage_base_url(self) -> str:
        """What an Alpha Vantage client takes as its query URL."""
        return f"http://127.0.0.1:{self.port}/query"

    @property
    def world(self) -> World:
        """The world being served."""
        return self._application.world

    def stats(self) -> dict[str, object]:
        """Requests in all and by path, refusals by limits, connections, and the most requests at once."""
        return self._on_loop(self._application.stats)

    def log(self) -> tuple[LogEntry, ...]:
        """The latest requests, oldest first."""
        return self._on_loop(lambda: tuple(self._application.log))

    def set_switches(self, switches: Switches) -> None:
        """Takes other switches from the next request on; counters start anew."""
        self._on_loop(lambda: self._application.set_switches(switches))

    def replay(
        self,
        path: str,
        parameters: dict[str, str],
        body: bytes,
        *,
        status: int = 200,
        content_type: str = "application/json;charset=UTF-8",
    ) -> None:
        """Serves a recorded body for a path (`/v1/…` or `/query`) and parameters, byte for byte."""
        reply = Reply(body, status, "", content_type, framing=Framing.LENGTH)
        self._on_loop(lambda: self._application.replay(path, parameters, reply))

    def prepare(self, tickers: tuple[str, ...], *, expirations: int = 4) -> None:
        """Draws and prices what a load test will ask for, so that it measures the client and not this simulation."""
        self._on_loop(lambda: self._application.prepare(tickers, expirations))

    def _on_loop(self, work: Callable[[], Value]) -> Value:
        """Runs `work` on the server's thread and hands back what it gave."""

        async def run() -> Value:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        try:
            server = await listen(self._application, self._gauge, self._asked_port)
        except OSError as error:
            self._failures.append(error)
            return
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in tuple(self._gauge.open):
            connection.abort()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # one turn of the loop lets the dropped connections close their sockets
