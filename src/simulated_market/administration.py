"""The simulator's own pages, which no provider has: /_stats, /_truth, /_log, /_switches."""

import json
from dataclasses import asdict
from typing import Protocol

from simulated_market.messages import Reply, Request, encode_json, refusal
from simulated_market.switches import Switches
from simulated_market.world import World


class Administered(Protocol):
    """What the pages show and set."""

    world: World
    switches: Switches

    def stats(self) -> dict[str, object]:
        """The counts by name."""
        ...

    def log_rows(self) -> list[dict[str, object]]:
        """The latest requests as JSON objects."""
        ...

    def set_switches(self, switches: Switches) -> None:
        """Takes other switches."""
        ...


def page(application: Administered, request: Request) -> Reply:
    """The page that `request` asks for."""
    match request.path:
        case "/_stats":
            return Reply(encode_json(application.stats()))
        case "/_truth":
            return _truth(application.world, request.parameters.get("symbol", ""))
        case "/_log":
            return Reply(encode_json(application.log_rows()))
        case "/_switches" if request.method == "POST":
            return _switched(application, request.body)
        case "/_switches":
            return Reply(encode_json(asdict(application.switches)))
    return refusal(404, "Not Found", "Not Found")


def _truth(world: World, ticker: str) -> Reply:
    try:
        truth = world.truth(ticker)
    except LookupError as error:
        return refusal(404, "Not Found", str(error))
    return Reply(json.dumps(asdict(truth), default=str).encode())


def _switched(application: Administered, body: bytes) -> Reply:
    try:
        application.set_switches(Switches.from_json(json.loads(body)))
    except ValueError as error:
        return refusal(400, "Bad Request", str(error))
    return Reply(encode_json(asdict(application.switches)))
