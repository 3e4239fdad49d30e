"""A batch as every command that has one runs it: trading day, lock, estimate, progress, exit code, report.

Knows neither where the rows come from nor which of them matter to whom.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ivcrush.application.documents import RunFacts
from ivcrush.application.ranking import Answer
from ivcrush.application.services.batch_analyzer import Batch, BatchOutcome, BatchRow, RowOutcome, StartedBatch
from ivcrush.application.services.batch_estimate import estimate
from ivcrush.application.services.ground import Ground
from ivcrush.cli.command import Outcome, Style, Tally
from ivcrush.cli.exit_codes import Exit, exit_of_run
from ivcrush.cli.locked import taken
from ivcrush.cli.progress import Progress, duration_text
from ivcrush.cli.streams import in_journal, say
from ivcrush.config.settings import Provider
from ivcrush.container import Container
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.utils.tracing import correlation_id

# Below this an estimate only delays the answer; it is in the log all the same.
_WORTH_TELLING_S = 60
# Nobody but the row itself is to blame for these, so its user is told where it stands.
_ABOUT_THE_ROW = frozenset({ErrorCode.INVALID, ErrorCode.NODATA})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ran:
    """A batch that went to its end, or was interrupted with rows done: what came of the rows, and what it cost.

    `end` notes that it is over, and with which code; of an interrupted one it notes nothing, so that it can be taken
    up. Who calls it before the report is delivered loses what a kill in between could resume.
    """

    answers: tuple[Answer, ...]
    failures: tuple[TickerFailure, ...]
    facts: RunFacts
    end: Callable[[Exit], None]
    interrupted: bool = False


async def alone_on_its_day(
    command: str, container: Container, work: Callable[[], Awaitable[Result[Outcome]]], *, skip_closed_days: bool
) -> Outcome:
    """What `work` comes to under the run lock, or why it could not begin; nothing on a closed day that is skipped."""
    day = container.as_of.astimezone(NEW_YORK).date()
    if skip_closed_days and not container.market_calendar.is_session(day):
        return Outcome((), Exit.DONE, (f"{day:%A, %Y-%m-%d} is no trading day: nothing done",))
    held = taken(container, command)
    outcome = held if isinstance(held, Err) else await work()
    if isinstance(outcome, Err):
        return Outcome((), exit_of_run(0, 0, [outcome.error]), (outcome.error.message,))
    return outcome.value


async def run_batch(
    batch: Batch,
    container: Container,
    style: Style,
    *,
    ground: Ground | None = None,
) -> Result[Ran]:
    """Run it under the lock that the caller holds. Errors: DBERROR where it cannot even be noted.

    `ground` is what is known of the companies already.
    """
    begun = container.clock.monotonic()
    started = container.batch.start(batch, correlation_id())
    if isinstance(started, Err):
        return started
    told = _tell_what_comes(started.value, container)
    if isinstance(told, Err):
        return told
    refreshed = await _refresh_calendar(started.value, container)
    if isinstance(refreshed, Err):
        return refreshed
    outcome, interrupted = await _as_far_as_it_goes(started.value, container, ground)
    answers = tuple(row.answer.value for row in outcome.rows if isinstance(row.answer, Ok))
    pairs = zip(batch.rows, outcome.rows, strict=True)
    failures = tuple(
        TickerFailure(row.label, _placed(row, came.answer.error)) for row, came in pairs if isinstance(came.answer, Err)
    )
    usage = container.providers.usage
    facts = RunFacts(
        run_id=outcome.run_id,
        as_of=container.as_of,
        simulated=style.simulated,
        depth=container.batch_depth,
        requests=usage.requests,
        cache_hits=usage.cache_hits,
        elapsed_s=container.clock.monotonic() - begun,
        resumed=len(started.value.kept),
    )

    def end(code: Exit) -> None:
        if not interrupted:
            _end(outcome, code, container)

    return Ok(Ran(answers, failures, facts, end, interrupted))


def code_of(
    done: int,
    shown: Sequence[Answer],
    failures: Sequence[TickerFailure],
    *,
    whole: bool = True,
    empty: Exit = Exit.NO_RESULT,
) -> Exit:
    """The exit code of a run in which `done` rows were analysed: the shell is told it, and it is kept with the run.

    Only what is shown can lack a part. `whole` is whether these are all the rows there are.
    """
    incomplete = sum(answer.edge_score is None for answer in shown) + (not whole)
    return exit_of_run(done, incomplete, [failure.error for failure in failures], empty=empty)


def tallied(answers: Sequence[Answer], failures: Sequence[TickerFailure], *, rejected: int | None = None) -> Tally:
    """The rows by what came of them; `rejected` were left out on purpose, None where nobody is."""
    skipped = sum(failure.error.code is ErrorCode.SKIPPED for failure in failures)
    rows = (("analysed", len(answers)), ("failed", len(failures) - skipped), ("skipped", skipped))
    left_out = () if rejected is None else (("rejected", rejected),)
    return Tally(rows + left_out, tradeable=sum(answer.tradeable for answer in answers))


def closing_lines(ran: Ran, code: Exit) -> Iterator[str]:
    """What a person needs to know of a run that is not whole, beside its failures."""
    incomplete = [answer.ticker for answer in ran.answers if answer.edge_score is None]
    if incomplete:
        yield f"{len(incomplete)} of {len(ran.answers)} analyses lack their vrp: {', '.join(incomplete)}"
    if ran.interrupted:  # told at once
        return
    if code is Exit.STORAGE or any(failure.error.code is ErrorCode.SKIPPED for failure in ran.failures):
        total = len(ran.answers) + len(ran.failures)
        done = f"{len(ran.answers)} of {total} rows are done and kept"
        yield f"{done}; the same command goes on from there, once what failed is mended"


def _placed(row: BatchRow, error: AppError) -> AppError:
    """The error with the place of its row, where it is about what the row says and does not name it already."""
    if row.place is None or error.code not in _ABOUT_THE_ROW or error.message.startswith(row.place):
        return error
    return replace(error, message=f"{row.place}: {error.message.removeprefix(f'{row.label}: ')}")


def _end(outcome: BatchOutcome, code: Exit, container: Container) -> None:
    ended = container.batch.end(outcome, code)
    if isinstance(ended, Err):  # the rows are kept; that the run is over is not, so the next one takes it up
        _log.warning("run %s: its end is not kept: %s", outcome.run_id, ended.error)


def _tell_what_comes(started: StartedBatch, container: Container) -> Result[None]:
    rows = started.batch.rows
    questions = [rows[position].question for position in started.left]
    tickers = [question.value.ticker for question in questions if isinstance(question, Ok)]
    bound = estimate(tickers, container.batch_depth, container.standing)
    if isinstance(bound, Err):
        return bound
    if started.kept:
        _aloud(f"run {started.run_id} goes on: {len(started.kept)} of {len(rows)} rows were done", tell=True)
    minutes = bound.value.minutes(*container.rates_a_minute)
    words = f"{bound.value.companies} companies, about {bound.value.requests} requests"
    lacking = bound.value.histories
    if lacking:
        left = container.providers.calls_left_today
        if isinstance(left, Err):
            return left
        words += f", {lacking} of them lacking reports: {left.value} {Provider.ALPHA_VANTAGE} calls are left today"
    _aloud(f"{words}, up to {duration_text(60 * minutes)}", tell=60 * minutes >= _WORTH_TELLING_S)
    return Ok(None)


async def _refresh_calendar(started: StartedBatch, container: Container) -> Result[None]:
    """One call for everybody, where some row leaves date or session to the calendar; a row by itself asks nobody.

    Errors: DBERROR; a provider's are only told, because rows that need no calendar can go on.
    """
    asked = [started.batch.rows[position].question for position in started.left]
    open_questions = [row.value for row in asked if isinstance(row, Ok) and not row.value.from_calendar]
    if not any(None in {question.report_date, question.timing} for question in open_questions):
        return Ok(None)
    known = await container.calendar_refresh.at_hand()
    if isinstance(known, Err):
        if known.error.code is ErrorCode.DBERROR:  # a disk that keeps no calendar keeps no analysis either
            return known
        _log.warning("no calendar is stored and none is to be had: %s", known.error)
    return Ok(None)


def _aloud(line: str, *, tell: bool) -> None:
    """To the log; and to whoever reads stderr where it is worth it."""
    _log.info(line)
    if tell and not in_journal():
        say(line)


async def _as_far_as_it_goes(
    started: StartedBatch, container: Container, ground: Ground | None
) -> tuple[BatchOutcome, bool]:
    """The outcome, and whether a signal cut it short: rows that are done are shown, not only kept."""
    ended: list[RowOutcome] = []

    def heard(row: RowOutcome) -> None:
        ended.append(row)
        _log_row(row)

    try:
        return await _watched(started, container, ground, heard), False
    except asyncio.CancelledError:
        done = len(started.kept) + sum(isinstance(row.answer, Ok) for row in ended)
        again = "the same command without --fresh" if started.batch.fresh else "the same command"
        total = len(started.batch.rows)
        if not done:
            raise
        _aloud(f"interrupted; what was finished is kept: {done} of {total} rows; {again} goes on from there", tell=True)
        return started.so_far(ended), True


async def _watched(
    started: StartedBatch, container: Container, ground: Ground | None, heard: Callable[[RowOutcome], None]
) -> BatchOutcome:
    stream = sys.stderr
    if stream is None or in_journal():  # each row is in the log
        return await container.batch.run(started, heard, ground)
    terminal = stream.isatty()
    with Progress(len(started.left), stream=stream, terminal=terminal, timer=container.clock.monotonic) as progress:

        def told(row: RowOutcome) -> None:
            heard(row)
            progress.row(row.label, failed=isinstance(row.answer, Err))

        return await container.batch.run(started, told, ground)


def _log_row(row: RowOutcome) -> None:
    _log.info("%s: %s", row.label, row.answer.error if isinstance(row.answer, Err) else "done and kept")
