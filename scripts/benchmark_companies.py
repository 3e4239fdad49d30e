"""A simulated market of thousands of companies, as a process: `python scripts/benchmark_companies.py`.

A hundred companies are drawn and priced; each of the others has one of these for a model and its replies with another
name in them, so that what is measured is the client and not the drawing. Prints its Tradier and Alpha Vantage
addresses, then serves until its standard input ends.
"""

import asyncio
import json
import sys
import time
from dataclasses import replace
from datetime import datetime
from functools import cache

from ivcrush.domain.market_calendar import NEW_YORK
from simulated_market import World
from simulated_market.application import Application, Delivery
from simulated_market.http_server import Gauge, listen
from simulated_market.messages import Reply, Request, encode_json
from simulated_market.switches import Switches

AS_OF = datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK)
MODELS = 100
PAST_REPORTS = 12
CPU_PAGE = "/_cpu"
_WORLD = World(7, AS_OF, size=300)
_MODEL, _COPY = "SMA", "Q"  # the first letters of invented companies, and the first of their copies'
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@cache
def models() -> tuple[str, ...]:
    """Companies that report soon and have a past."""
    invented = (ticker for ticker in _WORLD.tickers if ticker.startswith(_MODEL))
    reporting = (one for one in invented if _WORLD.upcoming(one) and len(_WORLD.past_reports(one)) >= PAST_REPORTS)
    return tuple(reporting)[:MODELS]


def companies(count: int) -> tuple[str, ...]:
    """So many tickers: the models, then their copies."""
    return tuple(_ticker(*divmod(number, MODELS)) for number in range(count))


def model(ticker: str) -> str:
    """The company that this one is a copy of; itself where it is none."""
    return _MODEL + ticker[3:] if ticker.startswith(_COPY) and len(ticker) == len(models()[0]) else ticker


def report(ticker: str) -> tuple[str, str]:
    """Day and session of the coming report, as a calendar file has them."""
    coming = _WORLD.upcoming(model(ticker))
    if coming is None:
        raise LookupError(f"{ticker}: reports no earnings")
    return coming.day.isoformat(), coming.timing.value


class ManyCompanies(Application):
    """The simulated services, answering for copies too."""

    def handle(self, request: Request) -> Delivery:
        """The model's delivery with the copy's name in it."""
        if request.path == CPU_PAGE:
            return Delivery(Reply(str(time.process_time()).encode()))
        if request.path.endswith("/markets/quotes"):
            return self._quotes(request)
        asked = request.parameters.get("symbol", "")
        if model(asked) == asked:
            return super().handle(request)
        delivery = super().handle(replace(request, parameters=request.parameters | {"symbol": model(asked)}))
        body = delivery.reply.body.replace(f'"{model(asked)}'.encode(), f'"{asked}'.encode())
        return replace(delivery, reply=replace(delivery.reply, body=body))

    def _quotes(self, request: Request) -> Delivery:
        """Every quote by itself, renamed, and all in one list, where copies are among them."""
        if all(model(ticker) == ticker for ticker in request.symbols):
            return super().handle(request)
        rows = []
        for ticker in request.symbols:
            delivery = super().handle(replace(request, parameters={"symbols": model(ticker)}))
            rows.append(json.loads(delivery.reply.body)["quotes"]["quote"] | {"symbol": ticker, "root_symbols": ticker})
        return replace(delivery, reply=replace(delivery.reply, body=encode_json({"quotes": {"quote": rows}})))


def _ticker(generation: int, number: int) -> str:
    name = models()[number]
    if generation == 0:
        return name
    return _COPY + _LETTERS[generation // 26] + _LETTERS[generation % 26] + name[3:]


async def _serve() -> None:
    server = await listen(ManyCompanies(_WORLD, Switches()), Gauge(), 0)
    root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    sys.stdout.write(f"{root}/v1 {root}/query\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
