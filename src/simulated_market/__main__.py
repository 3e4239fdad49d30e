"""`python -m simulated_market`: serve a seeded world until told to stop or the process that started it is gone."""

import argparse
import json
import os
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path

from simulated_market import SimulatedMarket, Switches, World
from simulated_market.session_calendar import EASTERN

_WATCH_S = 0.25


def main(arguments: list[str] | None = None) -> int:
    """Serves until SIGTERM, SIGINT or the parent's end; prints the two base URLs and the market's now first."""
    options = _parser().parse_args(arguments)
    as_of = datetime.now(EASTERN) if options.host_clock else options.as_of
    world = World(options.seed, as_of, size=options.tickers)
    with SimulatedMarket(
        world, switches=_switches(options), port=options.port, host_clock=options.host_clock
    ) as market:
        lines = (
            f"TRADIER_BASE_URL={market.tradier_base_url}",
            f"ALPHA_VANTAGE_BASE_URL={market.alpha_vantage_base_url}",
            f"AS_OF={world.as_of.isoformat()}",
        )
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        _wait_for_the_end()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulated_market", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="the world's seed (7)")
    default = "2026-05-15T15:45:00-04:00"
    parser.add_argument("--as-of", type=_moment, default=_moment(default), help=f"the market's frozen now ({default})")
    parser.add_argument("--host-clock", action="store_true", help="let the market's now follow this machine's clock")
    parser.add_argument("--port", type=int, default=0, help="the loopback port (any free one)")
    parser.add_argument("--tickers", type=int, default=100, help="how many tickers are listed (100)")
    parser.add_argument("--switches", type=Path, help="a JSON file with switches and faults")
    parser.add_argument("--latency-ms", type=float, help="think this long before each reply")
    parser.add_argument("--per-minute", type=int, help="Tradier's requests a minute; more get 429")
    return parser


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=EASTERN)


def _switches(options: argparse.Namespace) -> Switches:
    values = {} if options.switches is None else json.loads(options.switches.read_text(encoding="utf-8"))
    if options.latency_ms is not None:
        values["latency_ms"] = options.latency_ms
    if options.per_minute is not None:
        values["rate_limit"] = options.per_minute
    return Switches.from_json(values)


def _wait_for_the_end() -> None:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    parent = os.getppid()
    while os.getppid() == parent and not ended.wait(_WATCH_S):
        pass


if __name__ == "__main__":
    sys.exit(main())
