"""A machine on which waiting takes no time, and the program's own parts run there."""

import argparse
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import ModuleType

from ivcrush.cli.arguments import command_parser
from ivcrush.cli.command import Outcome, Style
from ivcrush.config.validation import load_settings
from ivcrush.container import Container, RunOptions
from ivcrush.domain.errors import Ok
from tests.integration.conftest import AS_OF, Desk


@dataclass
class Patience:
    """Who sleeps finds the clock further on, and nobody has waited."""

    moment_s: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime.fromtimestamp(AS_OF.timestamp() + self.moment_s, UTC)

    def monotonic(self) -> float:
        return 1000.0 + self.moment_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment_s += seconds


async def patiently(desk: Desk, machine: Patience, command: ModuleType, name: str, *arguments: str) -> Outcome:
    """A command on that machine; its files are the desk's."""
    settings = load_settings({}, desk.directory, required_keys=(), overrides=desk.environment)
    opened = Container.open(settings, RunOptions(as_of=AS_OF), machine)
    assert isinstance(opened, Ok)
    container = opened.value
    typed: argparse.Namespace = command_parser(name, name).parse_args([*arguments])
    try:
        outcome: Outcome = await command.execute(
            command.prepare(typed), container, Style("json", color=False, simulated=False)
        )
        return replace(outcome, pieces=tuple(outcome.pieces))
    finally:
        await container.aclose()
