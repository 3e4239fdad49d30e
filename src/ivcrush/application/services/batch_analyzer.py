"""Many companies in one run: bounded, each row kept as it ends, a cut run taken up where it was.

Every row of the input comes out exactly once: analysed (now or by the run that was cut), failed, or skipped because the
run stopped before it. What is asked of a provider, and how fast, is decided below: the same row costs the same
requests and gives the same answer however many are under way.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from ivcrush.application.documents import analysis_document
from ivcrush.application.ranking import Answer, answer
from ivcrush.application.services.analyzer import Analyzer
from ivcrush.application.services.ground import Ground
from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.application.services.together import together
from ivcrush.domain.analysis import TickerAnalysis
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result, err
from ivcrush.domain.protocols import BatchStore
from ivcrush.domain.types import BatchRun, KeptRow, Ticker

# A row that a cut run did longer ago than this is done again: its quotes are of another market.
KEPT_FOR = timedelta(minutes=15)
# A run that was cut longer ago than this is over.
_TAKEN_UP_FOR = timedelta(days=1)
# After these nothing more can succeed, so the run ends whatever it was told.
_END_EVERY_RUN = (ErrorCode.AUTH, ErrorCode.CONFIG, ErrorCode.DBERROR)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A row of the input: what its user calls it, and the question that it asks or why it asks none.

    `place` is where its user finds it (`earnings.csv, line 14`), None for a row of no file.
    """

    label: str
    question: Result[ReportQuestion]
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be done; `command` is whose run it is. `fresh` takes up nothing, `concurrency` counts rows."""

    command: str
    rows: tuple[BatchRow, ...]
    concurrency: int
    continue_on_error: bool
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What came of the row at a position; `resumed` is True where the run that was cut had done it."""

    position: int
    label: str
    answer: Result[Answer]
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """Every row in the order of the input."""

    run_id: str
    rows: tuple[RowOutcome, ...]

    @property
    def complete(self) -> bool:
        """Whether every row was reached."""
        return not any(isinstance(row.answer, Err) and row.answer.error.code is ErrorCode.SKIPPED for row in self.rows)


@dataclass(frozen=True, slots=True)
class StartedBatch:
    """A batch whose run is noted: what the run that was cut had done, by position, and what is left to do."""

    batch: Batch
    run_id: str
    kept: Mapping[int, Answer]

    @property
    def left(self) -> tuple[int, ...]:
        """The positions that are not done."""
        return tuple(position for position in range(len(self.batch.rows)) if position not in self.kept)

    def so_far(self, ended: Sequence[RowOutcome]) -> BatchOutcome:
        """The outcome of a run that was interrupted after these rows, which it had told of; the others are skipped."""
        outcomes = {row.position: row for row in ended} | _taken_over(self)
        every = enumerate(self.batch.rows)
        return BatchOutcome(self.run_id, tuple(outcomes.get(at) or _never_reached(at, row) for at, row in every))


@dataclass(slots=True)
class _Going:
    """A run under way; `stopped` is why no further row is begun, `turned_away` are rows that nobody was asked about."""

    started: StartedBatch
    ground: Result[Ground]
    outcomes: dict[int, RowOutcome]
    told: Callable[[RowOutcome], None]
    positions: Iterator[int]
    stopped: AppError | None = None
    turned_away: list[int] = field(default_factory=list)


class BatchAnalyzer:
    """Walks the rows of a batch.

    `conditions` is whatever beside the rows makes two runs the same question; `now` is the real clock.
    """

    def __init__(
        self,
        analyzer: Analyzer,
        store: BatchStore,
        *,
        conditions: str,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._analyzer = analyzer
        self._store = store
        self._conditions = conditions
        self._now = now
        self._sleep = sleep

    def start(self, batch: Batch, run_id: str) -> Result[StartedBatch]:
        """Note the run and its rows, or take up the one that was cut under its own number. Errors: DBERROR.

        A run is taken up by whoever asks for all that it has done: an input that was mended since, but no other one.
        """
        names = _names(batch.rows)
        now = self._now()
        found = self._store.last_unfinished(batch.command, self._conditions, now - _TAKEN_UP_FOR)
        if isinstance(found, Err):
            return found
        cut = None if batch.fresh or found.value is None or not found.value.done.keys() <= set(names) else found.value
        done = {} if cut is None else cut.done
        usable = {name: done[name] for name in names if name in done and abs(now - done[name].ended_at) <= KEPT_FOR}
        number = cut.run_id if cut is not None and usable else run_id
        begun = self._store.begin_run(BatchRun(number, batch.command, self._conditions, now), names, usable)
        if isinstance(begun, Err):
            return begun
        kept = self._kept(names, usable, now)
        return kept if isinstance(kept, Err) else Ok(StartedBatch(batch, number, kept.value))

    async def ground(self, tickers: Sequence[Ticker]) -> Result[Ground]:
        """What the analyses of these companies will share, for whoever looks at their quotes before the run."""
        return await self._analyzer.ground(tickers)

    async def run(
        self, started: StartedBatch, told: Callable[[RowOutcome], None], ground: Ground | None = None
    ) -> BatchOutcome:
        """Do what is left; `told` hears of every row as it ends. Interrupted, it leaves a run that can be taken up.

        `ground` is that of at least these companies where it is known already, so that nothing is asked for twice.
        """
        rows = started.batch.rows
        outcomes = _taken_over(started)
        asked = [rows[position].question for position in started.left]
        tickers = [question.value.ticker for question in asked if isinstance(question, Ok)]
        common: Result[Ground] = err(ErrorCode.NODATA, "no row asks anything")
        if ground is not None:
            common = Ok(ground)
        elif tickers:
            common = await self.ground(tickers)
        going = _Going(started, common, outcomes, told, iter(started.left))
        await self._through(going)
        await self._through_again(going)
        return BatchOutcome(started.run_id, tuple(outcomes[position] for position in range(len(rows))))

    def end(self, outcome: BatchOutcome, exit_code: int) -> Result[None]:
        """Note how the run ended. Errors: DBERROR."""
        return self._store.end_run(outcome.run_id, complete=outcome.complete, exit_code=exit_code, ended_at=self._now())

    def _kept(self, names: Sequence[str], usable: Mapping[str, KeptRow], now: datetime) -> Result[Mapping[int, Answer]]:
        kept: dict[int, Answer] = {}
        for position, name in enumerate(names):
            if name in usable:
                document = self._store.document(usable[name].analysis)
                if isinstance(document, Err):
                    return document
                age_s = max(0.0, (now - usable[name].ended_at).total_seconds())
                kept[position] = answer(document.value, age_s)
        return Ok(kept)

    async def _through(self, going: _Going) -> None:
        batch = going.started.batch
        await together(self._work(going) for _ in range(min(batch.concurrency, len(batch.rows))))

    async def _through_again(self, going: _Going) -> None:
        """Once more the rows that a provider's breaker turned away, once it lets a request through.

        Who was under way when it opened is chance; a row's fate shall not be. Where nothing has worked at all, the
        provider is down, and nobody waits for it.
        """
        rejected, going.turned_away = going.turned_away, []
        if not rejected:
            return
        if going.stopped is not None or not any(isinstance(outcome.answer, Ok) for outcome in going.outcomes.values()):
            for position in rejected:
                going.told(going.outcomes[position])
            return
        wait_s = max(_wait_s(going.outcomes[position]) for position in rejected)
        _log.warning("%d rows were not asked about while a provider was down; again in %.0f s", len(rejected), wait_s)
        await self._sleep(wait_s)
        for part in (rejected[:1], rejected[1:]):  # the first one alone: a breaker on trial lets nobody else through
            going.positions = iter(part)
            await self._through(going)
        for position in going.turned_away:
            going.told(going.outcomes[position])

    async def _work(self, going: _Going) -> None:
        """One row after the other, as long as there are some; as many of these run as rows may be under way."""
        batch = going.started.batch
        for position in going.positions:
            row = batch.rows[position]
            if going.stopped is not None:
                skipped = err(ErrorCode.SKIPPED, f"{row.label}: not reached after: {going.stopped.message}")
                going.outcomes[position] = RowOutcome(position, row.label, skipped)
                continue
            outcome = RowOutcome(position, row.label, await self._done(going, position))
            going.outcomes[position] = outcome
            if isinstance(outcome.answer, Err) and _ends(outcome.answer.error, batch) and going.stopped is None:
                going.stopped = outcome.answer.error
            if going.stopped is None and _turned_away(outcome):
                going.turned_away.append(position)
            else:
                going.told(outcome)
            await asyncio.sleep(0)  # a row that the cache answers waits for nothing: signals have to be heard

    async def _done(self, going: _Going, position: int) -> Result[Answer]:
        """The row's answer, kept before anyone hears of it."""
        run_id, question = going.started.run_id, going.started.batch.rows[position].question
        name = _name(position, question)
        analysis = await self._analysis(question, going.ground)
        if isinstance(analysis, Err):
            saved = self._store.save_failed(run_id, name, analysis.error, ended_at=self._now())
            return saved if isinstance(saved, Err) else analysis
        document = msgspec.json.encode(analysis_document(analysis.value))
        saved = self._store.save_analysed(run_id, name, analysis.value, document, ended_at=self._now())
        return saved if isinstance(saved, Err) else Ok(answer(document))

    async def _analysis(self, question: Result[ReportQuestion], ground: Result[Ground]) -> Result[TickerAnalysis]:
        if isinstance(question, Err):
            return question
        return ground if isinstance(ground, Err) else await self._analyzer.analysis(question.value, ground.value)


def _taken_over(started: StartedBatch) -> dict[int, RowOutcome]:
    rows = started.batch.rows
    return {at: RowOutcome(at, rows[at].label, Ok(kept), resumed=True) for at, kept in started.kept.items()}


def _never_reached(position: int, row: BatchRow) -> RowOutcome:
    skipped = err(ErrorCode.SKIPPED, f"{row.label}: not reached before the run was interrupted")
    return RowOutcome(position, row.label, skipped)


def _turned_away(outcome: RowOutcome) -> bool:
    return isinstance(outcome.answer, Err) and outcome.answer.error.about("breaker") is not None


def _wait_s(outcome: RowOutcome) -> float:
    told = outcome.answer.error.about("wait_s") if isinstance(outcome.answer, Err) else None
    return 0.0 if told is None else float(told)


def _ends(error: AppError, batch: Batch) -> bool:
    return not batch.continue_on_error or error.code in _END_EVERY_RUN


def _names(rows: Sequence[BatchRow]) -> list[str]:
    """The rows' names in the database. Two rows that ask the same are a defect of the caller."""
    names = [_name(position, row.question) for position, row in enumerate(rows)]
    assert len(set(names)) == len(names), "two rows ask the same"
    return names


def _name(position: int, question: Result[ReportQuestion]) -> str:
    """What a row is known by in later runs; one that asks nothing, by its place."""
    if isinstance(question, Err):
        return f"row {position + 1}"
    asked = question.value
    parts = (asked.ticker, asked.report_date, asked.timing, asked.expiration)
    return " ".join("-" if part is None else str(part) for part in parts)
