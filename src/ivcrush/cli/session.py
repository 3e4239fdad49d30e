"""What every command shares: settings, log, container, signals, output, exit code. A command itself is `Command`.

Results go to stdout or to `--output`, everything else to stderr. The one broad handler of the program is here: a defect
of ours ends with code 70 and a report number, its traceback in the log.
"""

import argparse
import asyncio
import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ivcrush.cli.demo import DEMO_AS_OF, demo_market
from ivcrush.cli.exit_codes import Exit, exit_of
from ivcrush.config.settings import AppSettings, Provider
from ivcrush.config.validation import ConfigurationError, load_settings
from ivcrush.container import Container, RunOptions
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result
from ivcrush.utils.files import write_whole
from ivcrush.utils.logging import configure_logging
from ivcrush.utils.redaction import Redactor
from ivcrush.utils.text import printable
from ivcrush.utils.timezone import SystemClock, parse_as_of
from ivcrush.utils.tracing import correlation_id, correlation_scope

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command leaves: its text, its exit code, and the lines for stderr."""

    text: str
    code: Exit
    messages: tuple[str, ...] = ()


class UsageError(Exception):
    """Arguments that are well formed and cannot be meant; the message names the argument, the value and the need."""


class InputError(Exception):
    """An input file that cannot be used at all; the message names the file, the line and the need."""


class Command(Protocol):
    """A module of this package that implements one command."""

    def prepare(self, arguments: argparse.Namespace) -> Any:
        """Check the arguments; raises UsageError."""
        ...

    async def execute(self, prepared: Any, container: Container, style: "Style") -> Outcome:
        """Do the work and render it."""
        ...


@dataclass(frozen=True, slots=True)
class Style:
    """How the result is to look: `form` table, json or csv; colours only on a terminal."""

    form: str
    color: bool
    simulated: bool


def run(name: str, command: Command, arguments: argparse.Namespace) -> int:
    """One command from arguments to exit code."""
    logging.getLogger().addHandler(logging.NullHandler())  # before the log is open nothing prints by itself
    with correlation_scope():
        try:
            as_of = required(parse_as_of(arguments.as_of)) if arguments.as_of else None
            prepared = command.prepare(arguments)
            output = _output_path(arguments.output)
        except UsageError as error:
            return _refuse(str(error), Exit.USAGE)
        except InputError as error:
            return _refuse(str(error), Exit.BAD_INPUT)
        try:
            return _guarded(command, prepared, arguments, as_of, output)
        except ConfigurationError as error:
            for problem in error.problems:
                _say(problem)
            return Exit.CONFIGURATION
        except BrokenPipeError:
            _silence_stdout()
            return Exit.DONE
        except Exception:  # noqa: BLE001  a defect of ours: the log gets the traceback, the user one line
            _log.critical("defect in %s", name, exc_info=True)
            return _refuse(
                f"defect in ivcrush, report {correlation_id()}: see the log, or run again with --log-level DEBUG",
                Exit.DEFECT,
            )


def required(result: Result[T]) -> T:
    """The value of an argument's parser, or a usage error with its message."""
    if isinstance(result, Err):
        raise UsageError(result.error.message)
    return result.value


def _guarded(
    command: Command,
    prepared: Any,
    arguments: argparse.Namespace,
    as_of: datetime | None,
    output: Path | None,
) -> int:
    clock = SystemClock()
    style = Style(arguments.format, _colored(arguments, output), arguments.demo)
    with demo_market(as_of) if arguments.demo else nullcontext() as overrides:
        settings = load_settings(
            os.environ,
            Path.cwd(),
            required_keys=() if arguments.demo else (Provider.TRADIER,),
            overrides=overrides,
        )
        opened = _open_log(settings, arguments.log_level)
        if isinstance(opened, Err):
            return _fail(opened.error)
        simulated_at = as_of or DEMO_AS_OF if arguments.demo else as_of
        options = RunOptions(as_of=simulated_at, refresh=arguments.refresh, simulated=arguments.demo)
        container = Container.open(settings, options, clock)
        if isinstance(container, Err):
            return _fail(container.error)
        outcome = _interruptible(lambda: _executed(command, prepared, container.value, style))
    if isinstance(outcome, Exit):
        return outcome
    return _deliver(outcome, output)


async def _executed(command: Command, prepared: Any, container: Container, style: Style) -> Outcome:
    try:
        return await command.execute(prepared, container, style)
    finally:
        await container.aclose()


def _interruptible(work: Callable[[], Coroutine[Any, Any, Outcome]]) -> Outcome | Exit:
    """Run to the end, or to the first SIGINT or SIGTERM; a second one ends the process at once."""
    received: list[int] = []

    async def guarded() -> Outcome:
        task = asyncio.current_task()
        assert task is not None

        def stop(number: int) -> None:
            if received:
                os._exit(128 + number)
            received.append(number)
            task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        return await work()

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        _say("interrupted; what was finished is kept")
        return Exit(128 + received[0])


def _deliver(outcome: Outcome, output: Path | None) -> int:
    """Write the result, then the messages; a result that cannot be written is a storage failure."""
    if output is not None:
        written = write_whole(output, outcome.text.encode())
        if isinstance(written, Err):
            return _fail(written.error)
    else:
        try:
            sys.stdout.write(outcome.text)
            sys.stdout.flush()
        except BrokenPipeError:
            _silence_stdout()
        except OSError as error:
            _silence_stdout()
            reason = "disk full" if error.errno == errno.ENOSPC else error.strerror
            return _refuse(f"stdout: {reason}; the result is kept in the database", Exit.STORAGE)
    for message in outcome.messages:
        _say(message)
    return outcome.code


def _open_log(settings: AppSettings, terminal_level: str | None) -> Result[None]:
    opened = configure_logging(
        level=settings.log.level,
        log_format=settings.log.log_format,
        log_file=settings.log.file,
        terminal_level=terminal_level,
        journal="JOURNAL_STREAM" in os.environ,
        redact=Redactor(settings.secrets),
        stderr=sys.stderr,
    )
    if isinstance(opened, Ok):
        for warning in settings.warnings:
            _log.warning(warning)
    return opened


def _output_path(text: str | None) -> Path | None:
    if text is None:
        return None
    path = Path(text)
    if not path.parent.is_dir():
        raise UsageError(f"--output {printable(text)}: {path.parent} is no directory; an existing one is needed")
    return path


def _colored(arguments: argparse.Namespace, output: Path | None) -> bool:
    return output is None and not arguments.no_color and not os.environ.get("NO_COLOR") and sys.stdout.isatty()


def _fail(error: AppError) -> int:
    code = Exit.CONFIGURATION if error.code is ErrorCode.CONFIG else exit_of(error)
    return _refuse(error.message, code)


def _refuse(message: str, code: Exit) -> int:
    _say(message)
    return code


def _say(message: str) -> None:
    with suppress(OSError):
        print(printable(message, 2_000), file=sys.stderr, flush=True)


def _silence_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's own flush at exit finds no broken pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
