"""Many companies in one run, over real sockets and a real database: accounting, stopping, taking up, thrift."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from ivcrush.application.services.batch_analyzer import KEPT_FOR, Batch, BatchOutcome, BatchRow, RowOutcome
from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.container import Container
from ivcrush.domain.errors import Err, ErrorCode, Ok, err
from ivcrush.domain.types import Ticker
from simulated_market import FaultRule, Switches
from tests.unit.services.conftest import FRIDAY_AFTERNOON, Desk


def rows_of(desk: Desk, count: int) -> list[BatchRow]:
    """Rows as a calendar file has them: company, date and session of the coming report."""
    world = desk.market.world
    coming = [(world.upcoming(ticker), ticker) for ticker in world.tickers]
    known = sorted((report.day, ticker, report.timing) for report, ticker in coming if report is not None)
    return [BatchRow(t, Ok(ReportQuestion(Ticker(t), day, None))) for day, t, _ in known][:count]


async def with_history(desk: Desk, rows: Sequence[BatchRow]) -> None:
    """As on the second day of use: everybody's past is stored, and so is the calendar."""
    run = desk.run()
    for row in rows:
        assert isinstance(row.question, Ok)
        await run.backfill.fetch(
            row.question.value.ticker, FRIDAY_AFTERNOON, run.market_calendar, quarters=12, with_dividends=False
        )
    await run.providers.earnings.scheduled_reports(None)


async def finished(
    run: Container, rows: Sequence[BatchRow], *, run_id: str = "run-1", at_once: int = 10, **chosen: bool
) -> BatchOutcome:
    """The batch to its end, which it notes."""
    started = run.batch.start(
        Batch("analyze-batch", tuple(rows), at_once, **{"continue_on_error": True, **chosen}), run_id
    )
    assert isinstance(started, Ok)
    outcome = await run.batch.run(started.value, lambda _: None)
    assert run.batch.end(outcome, 0) == Ok(None)
    return outcome


def codes(outcome: BatchOutcome) -> list[str]:
    return [str(row.answer.error.code) if isinstance(row.answer, Err) else "done" for row in outcome.rows]


def stored(desk: Desk, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(desk.directory / "ivcrush.db") as connection:
        return connection.execute(sql).fetchall()


async def test_every_row_comes_out_once_in_the_order_of_the_input(desk: Desk) -> None:
    rows = rows_of(desk, 6)
    bad = BatchRow("line 9", err(ErrorCode.INVALID, "earnings.csv, line 9: a date is needed"))
    unknown = BatchRow("ZZZZ", Ok(ReportQuestion(Ticker("ZZZZ"), rows[0].question.value.report_date)))  # type: ignore[union-attr]
    outcome = await finished(desk.run(), [*rows[:3], bad, unknown, *rows[3:]])
    assert [row.label for row in outcome.rows] == [*(r.label for r in rows[:3]), "line 9", "ZZZZ"] + [
        r.label for r in rows[3:]
    ]
    assert codes(outcome) == ["done"] * 3 + ["INVALID", "NODATA"] + ["done"] * 3
    assert outcome.complete
    assert stored(desk, "SELECT count(*) FROM analysis_log") == [(6,)]
    assert stored(desk, "SELECT position, error_code FROM batch_items WHERE analysis IS NULL ORDER BY 1") == [
        (3, "INVALID"),
        (4, "NODATA"),
    ]
    assert stored(desk, "SELECT run_id, complete, exit_code FROM batch_runs") == [("run-1", 1, 0)]


async def test_a_row_is_kept_before_anyone_hears_of_it(desk: Desk) -> None:
    run, kept = desk.run(), []

    def told(row: RowOutcome) -> None:
        (analyses,) = stored(desk, "SELECT count(*) FROM batch_items WHERE analysis IS NOT NULL")
        kept.append((row.label, analyses[0]))

    started = run.batch.start(Batch("analyze-batch", tuple(rows_of(desk, 3)), 1, continue_on_error=True), "run-1")
    assert isinstance(started, Ok)
    await run.batch.run(started.value, told)
    assert kept == [(row.label, number) for number, row in enumerate(rows_of(desk, 3), 1)]


async def test_the_first_failure_ends_the_run_unless_told_otherwise(desk: Desk) -> None:
    rows = rows_of(desk, 6)
    bad = BatchRow("line 4", err(ErrorCode.INVALID, "earnings.csv, line 4: a date is needed"))
    outcome = await finished(desk.run(), [*rows[:2], bad, *rows[2:]], at_once=1, continue_on_error=False)
    assert codes(outcome) == ["done", "done", "INVALID"] + ["SKIPPED"] * 4
    last = outcome.rows[-1].answer
    assert isinstance(last, Err)
    assert last.error.message == f"{rows[-1].label}: not reached after: earnings.csv, line 4: a date is needed"
    assert not outcome.complete
    assert stored(desk, "SELECT complete FROM batch_runs") == [(0,)]


async def test_of_an_interrupted_run_the_rows_told_of_are_there_and_all_others_are_skipped(desk: Desk) -> None:
    rows = rows_of(desk, 3)
    twice = replace(rows[1], question=err(ErrorCode.INVALID, "earnings.csv, line 3: a date is needed"))
    run, told = desk.run(), []
    batch = Batch("analyze-batch", (rows[0], twice, *rows[1:]), 1, continue_on_error=True)
    started = run.batch.start(batch, "run-1")
    assert isinstance(started, Ok)

    def heard(row: RowOutcome) -> None:
        told.append(row)
        if len(told) == 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run.batch.run(started.value, heard)
    so_far = started.value.so_far(told)
    assert [row.label for row in so_far.rows] == [row.label for row in batch.rows]
    assert (codes(so_far), so_far.complete) == (["done", "INVALID", "SKIPPED", "SKIPPED"], False)


async def test_a_stopped_run_is_taken_up_by_the_same_command_under_its_own_number(desk: Desk) -> None:
    rows = rows_of(desk, 6)
    bad = BatchRow("line 4", err(ErrorCode.INVALID, "earnings.csv, line 4: a date is needed"))
    first = await finished(desk.run(), [*rows[:2], bad, *rows[2:]], at_once=1, continue_on_error=False)
    before = desk.asked("/options/expirations")
    again = await finished(desk.run(), rows, run_id="run-2")
    assert again.run_id == first.run_id == "run-1"
    assert codes(again) == ["done"] * 6
    assert [row.resumed for row in again.rows] == [True, True, False, False, False, False]
    (kept, anew), made = (again.rows[0].answer, again.rows[2].answer), first.rows[0].answer
    assert isinstance(kept, Ok)
    assert isinstance(made, Ok)
    assert isinstance(anew, Ok)
    assert kept.value == replace(made.value, age_s=0.0)  # the clock stands still here
    assert anew.value.age_s is None
    assert desk.asked("/options/expirations") - before == 4
    assert stored(desk, "SELECT count(*), count(DISTINCT ticker) FROM analysis_log") == [(6, 6)]
    assert stored(desk, "SELECT run_id, complete FROM batch_runs") == [("run-1", 1)]


async def test_a_finished_run_is_not_taken_up(desk: Desk) -> None:
    rows = rows_of(desk, 2)
    await finished(desk.run(), rows)
    again = await finished(desk.run(), rows, run_id="run-2")
    assert (again.run_id, [row.resumed for row in again.rows]) == ("run-2", [False, False])


async def cut_run(desk: Desk, rows: Sequence[BatchRow], done: int) -> None:
    """A run that is cut after so many rows."""
    run = desk.run()
    started = run.batch.start(Batch("analyze-batch", tuple(rows), 1, continue_on_error=True), "run-1")
    assert isinstance(started, Ok)
    heard: list[RowOutcome] = []

    def cut(row: RowOutcome) -> None:
        heard.append(row)
        if len(heard) == done:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run.batch.run(started.value, cut)


@pytest.mark.parametrize(
    ("changed", "resumed"),
    [
        ({}, [True, True, False, False]),
        ({"later": timedelta(minutes=12)}, [True, True, False, False]),
        ({"fresh": True}, [False] * 4),
        ({"later": KEPT_FOR + timedelta(seconds=1)}, [False] * 4),
        ({"TERM_STRUCTURE_DEPTH": "2"}, [False] * 4),
        ({"VRP_MARGINAL": "1.3"}, [False] * 4),
    ],
    ids=["the same", "twelve minutes old", "--fresh", "too late", "another depth", "another threshold"],
)
async def test_only_young_rows_of_the_same_question_are_taken_over(
    desk: Desk, changed: dict[str, object], resumed: list[bool]
) -> None:
    rows = rows_of(desk, 4)
    await cut_run(desk, rows, done=2)
    settings = dict(changed)  # the parameters are those of a second run in this process, too
    later, fresh = settings.pop("later", timedelta(0)), bool(settings.pop("fresh", False))
    assert isinstance(later, timedelta)
    run = desk.run(now=FRIDAY_AFTERNOON + later, **settings)  # type: ignore[arg-type]
    again = await finished(run, rows, run_id="run-2", fresh=fresh)
    assert [row.resumed for row in again.rows] == resumed
    answers = [row.answer.value for row in again.rows if isinstance(row.answer, Ok)]
    assert [found.age_s for found in answers] == [later.total_seconds() if kept else None for kept in resumed]
    assert again.run_id == ("run-1" if any(resumed) else "run-2")


async def test_an_input_that_was_mended_takes_over_all_that_was_done(desk: Desk) -> None:
    first, second, third = rows_of(desk, 3)
    await cut_run(desk, [first, second], done=1)
    again = await finished(desk.run(), [third, first], run_id="run-2")
    assert [(row.label, row.resumed) for row in again.rows] == [(third.label, False), (first.label, True)]
    assert stored(desk, "SELECT position, question FROM batch_items ORDER BY 1") == [
        (0, f"{third.label} {third.question.value.report_date} - -"),  # type: ignore[union-attr]
        (1, f"{first.label} {first.question.value.report_date} - -"),  # type: ignore[union-attr]
    ]


async def test_another_input_neither_takes_over_nor_spoils_a_cut_run(desk: Desk) -> None:
    rows = rows_of(desk, 4)
    await cut_run(desk, rows, done=2)
    other = await finished(desk.run(), rows[:1], run_id="run-2")
    assert (other.run_id, [row.resumed for row in other.rows]) == ("run-2", [False])
    again = await finished(desk.run(), rows, run_id="run-3")
    assert (again.run_id, [row.resumed for row in again.rows]) == ("run-1", [True, True, False, False])


@pytest.mark.parametrize("path", ["clock", "quotes", "expirations"])
async def test_a_refused_token_ends_the_run_whatever_it_was_told(desk: Desk, path: str) -> None:
    desk.market.set_switches(Switches(faults=(FaultRule("401", path=path),)))
    outcome = await finished(desk.run(), rows_of(desk, 5), at_once=1)
    assert codes(outcome) == ["AUTH"] + ["SKIPPED"] * 4


async def test_four_requests_a_company_and_next_to_none_on_a_rerun(desk: Desk) -> None:
    rows = rows_of(desk, 50)
    await with_history(desk, rows)
    first = desk.run()
    before = desk.asked("")
    outcome = await finished(first, rows)
    assert codes(outcome) == ["done"] * 50
    asked = desk.asked("") - before
    assert (
        asked == first.providers.usage.requests == 50 * 4 + 1 + 3
    )  # expirations and chains, everybody's quotes, the day
    assert asked / 50 <= 4.1
    second = desk.run()
    await finished(second, rows, run_id="run-2")
    assert second.providers.usage.requests == 1  # the exchange's clock, which is never kept
    hits = second.providers.usage.cache_hits
    assert hits / (hits + second.providers.usage.requests) >= 0.95


async def test_the_depth_is_that_of_the_settings_and_nothing_else(desk: Desk) -> None:
    rows = rows_of(desk, 5)
    await with_history(desk, rows)
    run = desk.run(TERM_STRUCTURE_DEPTH="2")
    outcome = await finished(run, rows)
    assert run.batch_depth == 2
    for row in outcome.rows:
        assert isinstance(row.answer, Ok)
        assert len(json.loads(row.answer.value.document)["expirations_used"]) == 2
    assert desk.asked("/options/chains") == 10


async def test_the_answer_of_a_row_does_not_depend_on_how_many_are_under_way(desk: Desk) -> None:
    rows = rows_of(desk, 8)
    moment = {"as_of": FRIDAY_AFTERNOON}
    one = await finished(desk.run(**moment), rows, at_once=1, fresh=True)  # type: ignore[arg-type]
    eight = await finished(desk.run(**moment), rows, run_id="run-2", at_once=8, fresh=True)  # type: ignore[arg-type]
    assert [row.answer for row in one.rows] == [row.answer for row in eight.rows]


async def test_no_more_rows_are_under_way_than_allowed(desk: Desk) -> None:
    desk.market.set_switches(Switches(latency_ms=20))
    rows = rows_of(desk, 9)
    await with_history(desk, rows)
    desk.market.set_switches(Switches(latency_ms=20))
    await finished(desk.run(MAX_CONCURRENT_REQUESTS="50"), rows, at_once=2)
    assert int(str(desk.market.stats()["max_in_flight"])) <= 6  # two companies of three chains each


@pytest.mark.parametrize(
    ("failing", "fate", "asked"),
    [
        (range(5, 6), ["done"] * 4 + ["EXTERNAL"] + ["done"] * 3, 8),
        (range(5, 20), ["done"] * 4 + ["EXTERNAL"] * 4, 6),
        (range(1, 20), ["EXTERNAL"] * 8, 1),
    ],
    ids=["back by then", "still away", "never there"],
)
async def test_rows_that_a_breaker_turned_away_are_asked_about_once_more(
    desk: Desk, failing: range, fate: list[str], asked: int
) -> None:
    rows = rows_of(desk, 8)
    await with_history(desk, rows)
    desk.market.set_switches(Switches(faults=tuple(FaultRule("503", path="expirations", nth=n) for n in failing)))
    run = desk.run(CIRCUIT_BREAKER_FAILURE_THRESHOLD="1", CIRCUIT_BREAKER_RECOVERY_TIMEOUT="0.2")
    started = run.batch.start(Batch("analyze-batch", tuple(rows), 1, continue_on_error=True), "run-1")
    assert isinstance(started, Ok)
    told: list[RowOutcome] = []
    before = desk.asked("/options/expirations")
    outcome = await run.batch.run(started.value, told.append)
    assert codes(outcome) == fate
    assert sorted(row.label for row in told) == sorted(row.label for row in rows)
    assert {row.label: row.answer for row in told} == {row.label: row.answer for row in outcome.rows}
    assert desk.asked("/options/expirations") - before == asked
    assert stored(desk, "SELECT count(*) FROM batch_items WHERE analysis IS NOT NULL") == [(fate.count("done"),)]


async def test_a_chain_that_did_not_come_is_flagged_and_one_that_nobody_asked_for_fails_the_row(desk: Desk) -> None:
    rows = rows_of(desk, 1)
    await with_history(desk, rows)
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="chains", nth=3),)))
    outcome = await finished(desk.run(MAX_CONCURRENT_REQUESTS="1"), rows, fresh=True)
    (row,) = outcome.rows
    assert isinstance(row.answer, Ok)
    assert "chain_missing" in json.loads(row.answer.value.document)["flags"]
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="chains", nth=2),)))
    run = desk.run(MAX_CONCURRENT_REQUESTS="1", CIRCUIT_BREAKER_FAILURE_THRESHOLD="1", refresh=True)
    assert codes(await finished(run, rows, run_id="run-2", fresh=True)) == ["EXTERNAL"]


async def test_a_run_of_many_spends_no_scarce_calls_on_raw_bars(desk: Desk) -> None:
    desk.market.set_switches(Switches(faults=(FaultRule("404", path="history"),)))
    before = desk.asked("TIME_SERIES_DAILY")
    await finished(desk.run(), rows_of(desk, 2))
    assert desk.asked("TIME_SERIES_DAILY") == before
