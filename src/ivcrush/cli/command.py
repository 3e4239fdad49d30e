"""What every command and the session that runs it agree on: the command's face, its outcome, and how it refuses.

Values and exceptions only; nothing here does anything.
"""

import argparse
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from ivcrush.cli.exit_codes import Exit
from ivcrush.config.settings import Provider
from ivcrush.domain.errors import Err, Result
from ivcrush.utils.text import printable

if TYPE_CHECKING:
    from ivcrush.container import Container
    from ivcrush.health_container import HealthContainer
    from ivcrush.operations_container import OperationsContainer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Style:
    """How the result is to look: `form` table, json or csv; `simulated` labels it as such."""

    form: str
    color: bool
    simulated: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """What a run came to, for whoever watches many: `rows` by result, tradeable ones, `checks` by being healthy."""

    rows: tuple[tuple[str, int], ...] = ()
    tradeable: int | None = None
    checks: tuple[tuple[str, bool], ...] = ()


def nothing_more() -> None:
    """What most commands have left to do once their result is delivered."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command leaves: its text in pieces, its exit code, and the lines for stderr.

    `delivered` is called once the text is where it belongs, and not at all where it does not get there.
    """

    pieces: tuple[str, ...] | Iterator[str]
    code: Exit
    messages: tuple[str, ...] = ()
    delivered: Callable[[], None] = nothing_more
    tally: Tally | None = None


class UsageError(Exception):
    """Arguments that are well formed and cannot be meant; the message names the argument, the value and the need."""


class InputError(Exception):
    """An input file that cannot be used at all; the message names the file, the line and the need."""


class Command(Protocol):
    """A module of this package that implements one command."""

    def prepare(self, arguments: argparse.Namespace) -> Any:
        """Check the arguments; raises UsageError, or InputError for a file they name."""
        ...

    def needed_keys(self, prepared: Any) -> Collection[Provider]:
        """Whose keys the work cannot begin without."""
        ...

    async def execute(self, prepared: Any, container: "Container", style: Style) -> Outcome:
        """Do the work and render it."""
        ...


@runtime_checkable
class Examination(Protocol):
    """A command that looks at what may be broken: neither a wrong setting nor a missing database keeps it from it."""

    def prepare(self, arguments: argparse.Namespace) -> Any:
        """Check the arguments; raises UsageError."""
        ...

    async def examine(self, container: "HealthContainer", style: Style) -> Outcome:
        """Look, and render what was found."""
        ...


@runtime_checkable
class Operation(Protocol):
    """A command that looks after the machine's own files: it meets them as they are and asks no provider."""

    def prepare(self, arguments: argparse.Namespace) -> Any:
        """Check the arguments; raises UsageError, or InputError for a file they name."""
        ...

    def operate(self, prepared: Any, operations: "OperationsContainer", style: Style) -> Outcome:
        """Do it and render it; runs in a thread of its own. Raises InputError for a file that cannot be used."""
        ...


def required(flag: str, result: Result[T]) -> T:
    """The value of an argument's parser; raises UsageError naming the flag (empty for the tickers)."""
    if isinstance(result, Err):
        raise UsageError(f"{flag}: {result.error.message}" if flag else result.error.message)
    return result.value


def parsed(flag: str, text: str, rule: Callable[[str], T]) -> T:
    """The value that a rule makes of an argument; raises UsageError naming the flag, the text and the need."""
    try:
        return rule(text)
    except ValueError as need:
        raise UsageError(f"{flag} {printable(text, 40)}: {need} is needed") from None


def parsed_if_given(flag: str, text: str | None, rule: Callable[[str], T]) -> T | None:
    """The same, and None for an argument that was left out."""
    return None if text is None else parsed(flag, text, rule)
