"""One command from its arguments to its exit code: log, settings, container, signals, result.

Knows no command by name. The one broad handler of the program is here: a defect of ours ends with code 70 and a report
number, its traceback in the log.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ivcrush.cli.command import Command, Examination, InputError, Operation, Outcome, Style, UsageError, required
from ivcrush.cli.demo import DEMO_AS_OF, demo_market
from ivcrush.cli.descriptors import enough_descriptors
from ivcrush.cli.exit_codes import Exit, exit_of
from ivcrush.cli.metrics_file import RunFigures, write_metrics
from ivcrush.cli.output import form_of, named_file, write_result
from ivcrush.cli.signals import hear_signals_at_once, interruptible
from ivcrush.cli.streams import in_journal, on_terminal, read_together, say
from ivcrush.cli.timings import timing_lines
from ivcrush.config.places import default_places, runs_from_checkout
from ivcrush.config.settings import AppSettings, Faults, Provider
from ivcrush.config.validation import ConfigurationError, load_settings
from ivcrush.container import Container, RunOptions
from ivcrush.domain.errors import AppError, Err, Ok, Result
from ivcrush.utils.logging import LogFormat, configure_logging, fields
from ivcrush.utils.own_thread import in_own_thread
from ivcrush.utils.performance import PerformanceMonitor, monitored
from ivcrush.utils.redaction import Redactor
from ivcrush.utils.text import printable
from ivcrush.utils.timezone import Clock, SystemClock, parse_as_of
from ivcrush.utils.tracing import correlation_id, correlation_scope

if TYPE_CHECKING:
    from ivcrush.health_container import HealthContainer
    from ivcrush.operations_container import OperationsContainer

_Load = Callable[[Collection[Provider]], AppSettings]  # raises ConfigurationError
_Deliver = Callable[[Outcome], int]
_USEFUL = (Exit.DONE, Exit.PARTIAL)
_KEY_NAMES = ("TRADIER_API_KEY", "ALPHA_VANTAGE_KEY")
_log = logging.getLogger(__name__)


def run(
    name: str, command: Command | Examination | Operation, arguments: argparse.Namespace, clock: Clock | None = None
) -> int:
    """The command `name`, whatever happens, as an exit code; `clock` is the run's only one, None the machine's."""
    with correlation_scope(), _timed(show=arguments.timings) as monitor:
        _open_first_log(arguments.log_level)
        figures = RunFigures(name, SystemClock() if clock is None else clock)
        code = _judged(name, command, arguments, figures)
        written = write_metrics(figures, code, monitor.summary())
        if isinstance(written, Err):
            _tell(written.error.message, logging.ERROR)
            code = Exit.STORAGE if code == Exit.DONE else code
        _log.info("%s ended", name, extra=fields(exit_code=int(code), duration_s=round(figures.elapsed_s, 3)))
        return code


def _judged(
    name: str, command: Command | Examination | Operation, arguments: argparse.Namespace, figures: RunFigures
) -> int:
    try:
        return _run(command, arguments, figures)
    except UsageError as error:
        return _refuse(str(error), Exit.USAGE)
    except InputError as error:
        return _refuse(str(error), Exit.BAD_INPUT)
    except ConfigurationError as error:
        for problem in error.problems:
            _tell(problem, logging.ERROR)
        return Exit.STORAGE if error.storage_alone else Exit.CONFIGURATION
    except Exception:  # noqa: BLE001  a defect of ours: the log gets the traceback, the user one line
        _log.critical("defect in %s", name, exc_info=True)
        return _refuse(
            f"defect in ivcrush, report {correlation_id()}: see the log, or run again with --log-level DEBUG",
            Exit.DEFECT,
        )


@contextmanager
def _timed(*, show: bool) -> Iterator[PerformanceMonitor]:
    """Operations are always timed, so that a slow one is told of in any run; the figures are shown where asked for."""
    with monitored(PerformanceMonitor()) as monitor:
        try:
            yield monitor
        finally:
            for line in timing_lines(monitor.summary()) if show else ():
                say(line)


def _run(command: Command | Examination | Operation, arguments: argparse.Namespace, figures: RunFigures) -> int:
    enough = enough_descriptors()
    if isinstance(enough, Err):
        return _fail(enough.error)
    metrics = named_file("--metrics-file", arguments.metrics_file)
    if isinstance(metrics, Err):
        return _fail(metrics.error)
    if metrics.value is not None and arguments.output and Path(arguments.output).resolve() == metrics.value.resolve():
        raise UsageError(f"--metrics-file {printable(arguments.metrics_file)}: is the file of --output too")
    figures.file = metrics.value  # from here on it is written, whatever comes
    as_of = None if arguments.as_of is None else required("--as-of", parse_as_of(arguments.as_of))
    prepared = command.prepare(arguments)
    output = named_file("--output", arguments.output)
    if isinstance(output, Err):
        return _fail(output.error)
    style = Style(form_of(arguments.format, output.value), _colored(arguments, output.value), arguments.demo)
    deliver = partial(_deliver, output=output.value, style=style, figures=figures)
    with _settings(arguments, as_of) as load:
        moment = DEMO_AS_OF if as_of is None and arguments.demo else as_of
        options = RunOptions(as_of=moment, refresh=arguments.refresh, simulated=arguments.demo)
        if isinstance(command, Examination):
            looking = _unopened(load, options, figures.clock, arguments.log_level)
            outcome = interruptible(lambda: command.examine(looking, style), _tell_of_stop)
        elif isinstance(command, Operation):
            operations = _at_hand(load, figures.clock, arguments.log_level)
            if isinstance(operations, Err):
                return _fail(operations.error)
            outcome = interruptible(lambda: _operated(command, prepared, operations.value, style), _tell_of_stop)
        else:
            container = _opened(load, command.needed_keys(prepared), options, figures.clock, arguments.log_level)
            if isinstance(container, Err):
                return _fail(container.error)
            return interruptible(
                lambda: _executed(command, prepared, container.value, style=style, deliver=deliver, figures=figures),
                _tell_of_stop,
            )
    return outcome if isinstance(outcome, Exit) else deliver(outcome)


@contextmanager
def _settings(arguments: argparse.Namespace, as_of: datetime | None) -> Iterator[_Load]:
    """How the settings are loaded; with --demo those of a market that is served meanwhile.

    A demonstration needs nothing and touches nothing of the user's: it reads neither `.env` nor credentials.
    """
    if not arguments.demo:
        yield lambda keys: load_settings(os.environ, Path.cwd(), required_keys=keys)
        return
    places = default_places(os.environ, Path.cwd(), in_checkout=runs_from_checkout())
    with demo_market(as_of, data=places.data, cache=places.cache) as prescribed:
        environ: Mapping[str, str] = {
            name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"
        }
        yield lambda _: load_settings(environ, Path.cwd(), required_keys=(), overrides=prescribed, read_env_file=False)


def _opened(
    load: _Load, keys: Collection[Provider], options: RunOptions, clock: Clock, terminal_level: str | None
) -> Result[Container]:
    """What a command works with. Raises ConfigurationError."""
    settings = load(keys)
    opened = _open_log(settings, terminal_level)
    return opened if isinstance(opened, Err) else Container.open(settings, options, clock)


def _unopened(load: _Load, options: RunOptions, clock: Clock, terminal_level: str | None) -> "HealthContainer":
    """What an examination works with: what is wrong so far is among the things to be told."""
    from ivcrush.health_container import HealthContainer  # knows parts that no other command loads

    try:
        settings, faults = load(()), Faults()
    except ConfigurationError as error:
        return HealthContainer(error.standing, error.faults, options.as_of, clock)
    opened = _open_log(settings, terminal_level)
    if isinstance(opened, Err):
        faults = Faults((opened.error.message,))
    return HealthContainer(settings, faults, options.as_of, clock)


def _at_hand(load: _Load, clock: Clock, terminal_level: str | None) -> "Result[OperationsContainer]":
    """What an operation works with; a place that cannot be written is its own to meet. Raises ConfigurationError."""
    from ivcrush.operations_container import OperationsContainer  # knows parts that no other command loads

    try:
        settings = load(())
    except ConfigurationError as error:
        if not error.storage_alone:
            raise
        settings = error.standing
    opened = _open_log(settings, terminal_level)
    return opened if isinstance(opened, Err) else Ok(OperationsContainer(settings, clock))


async def _operated(operation: Operation, prepared: Any, operations: "OperationsContainer", style: Style) -> Outcome:
    """In a thread, so that a signal is heard at once; what is under way then cleans up behind itself."""
    work = partial(operation.operate, prepared, operations, style)
    working = asyncio.ensure_future(in_own_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        operations.stop()
        await asyncio.wait((working,))
        working.exception()  # looked at, or asyncio tells of it on stderr: what gave up has said so
        raise


async def _executed(
    command: Command, prepared: Any, container: Container, *, style: Style, deliver: _Deliver, figures: RunFigures
) -> int:
    """The work and the delivery of its result, with the database open till the end: some note that it was delivered."""
    try:
        outcome = await command.execute(prepared, container, style)
        hear_signals_at_once()
        return deliver(outcome)
    finally:
        figures.spending = container.providers.spending
        await container.aclose()


def _deliver(outcome: Outcome, output: Path | None, style: Style, figures: RunFigures) -> int:
    """Write the result, then the messages; a result that cannot be written is a storage failure."""
    figures.tally = outcome.tally
    nothing = outcome.pieces == ()  # a run that did not take place leaves the result of the last one
    written = Ok(None) if nothing else write_result(outcome.pieces, output)
    if isinstance(written, Err):
        return _fail(written.error)
    outcome.delivered()
    shown = not nothing and output is None and style.form == "table" and read_together()
    level = logging.INFO if outcome.code in _USEFUL else logging.ERROR
    for message in () if shown else outcome.messages:  # the table has told them in the same window
        _tell(message, level)
    return outcome.code


def _open_first_log(terminal_level: str | None) -> None:
    """A log on stderr for what goes wrong before the settings are known; knows the environment's keys already."""
    redact = Redactor(os.environ.get(name, "") for name in _KEY_NAMES)
    configure_logging(
        level="INFO",
        log_format=LogFormat.TEXT,
        log_file=None,
        terminal_level=terminal_level,
        journal=in_journal(),
        redact=redact,
        stderr=sys.stderr,
    )


def _open_log(settings: AppSettings, terminal_level: str | None) -> Result[None]:
    opened = configure_logging(
        level=settings.log.level,
        log_format=settings.log.log_format,
        log_file=settings.log.file,
        terminal_level=terminal_level,
        journal=in_journal(),
        redact=Redactor(settings.secrets),
        stderr=sys.stderr,
    )
    if isinstance(opened, Ok):
        for warning in settings.warnings:
            _log.warning(warning)
    return opened


def _colored(arguments: argparse.Namespace, output: Path | None) -> bool:
    return output is None and not arguments.no_color and not os.environ.get("NO_COLOR") and on_terminal()


def _tell_of_stop() -> None:
    _tell("interrupted; what was finished is kept", logging.WARNING)


def _fail(error: AppError) -> int:
    return _refuse(error.message, exit_of(error))


def _refuse(message: str, code: Exit) -> int:
    _tell(message, logging.ERROR)
    return code


def _tell(message: str, level: int) -> None:
    """A line for people; in the journal an event like all others, with its priority and the run's number."""
    if in_journal():
        _log.log(level, "%s", message)
    else:
        say(message)
