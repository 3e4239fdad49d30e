"""When news is bad enough for an alarm: by hand, with fixed moments, New York time."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ivcrush.application.services.health_checks import clock_judged, history_judged, last_run_judged
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.health import HistoryCoverage
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.operations import RunRecord


def at(day: str, clock: str = "09:31") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}:00").replace(tzinfo=NEW_YORK)


def run(
    day: str, *, ended: bool = True, complete: bool = True, exit_code: int | None = 0, done: int = 40, lost: int = 0
) -> RunRecord:
    """A run of 40 rows: `done` are analysed, and `lost` failed for reasons of a provider."""
    began = at(day)
    return RunRecord(
        run_id="r",
        command="analyze-batch",
        started_at=began,
        ended_at=began + timedelta(minutes=5) if ended else None,
        last_at=began + timedelta(minutes=5),
        complete=complete,
        exit_code=exit_code,
        rows=40,
        analysed=done,
        failed=lost,
        provider_failed=lost,
    )


def told(result: Result[str]) -> str:
    return result.value if isinstance(result, Ok) else result.error.message


@pytest.mark.parametrize(
    ("off_s", "healthy", "words"),
    [
        (0, True, "0 s behind the provider's"),
        (300, True, "300 s ahead of the provider's"),
        (-300, True, "300 s behind the provider's"),
        (301, False, "301 s ahead of the provider's, which says 2026-05-15T09:31-04:00: analyses are flagged"),
        (-86_400, False, "86400 s behind the provider's, which says 2026-05-15T09:31-04:00: analyses are flagged"),
        (31_536_000, False, "31536000 s ahead of the provider's, which says 2026-05-15T09:31-04:00: nothing can be"),
    ],
)
def test_a_clock_is_healthy_within_five_minutes_of_the_providers(off_s: int, healthy: bool, words: str) -> None:
    served_at = at("2026-05-15")
    found = clock_judged(served_at, served_at + timedelta(seconds=off_s))
    assert (isinstance(found, Ok), told(found)[: len(words)]) == (healthy, words)


# 2026: Monday 25 May is Memorial Day; Friday 22 May is a session.
@pytest.mark.parametrize(
    ("now", "healthy"),
    [
        (at("2026-05-22", "18:00"), True),  # the same day
        (at("2026-05-26", "09:00"), True),  # after a long weekend, before Tuesday's run
        (at("2026-05-26", "16:00"), True),  # Tuesday went by: one session, a day off
        (at("2026-05-27", "15:59"), True),  # Wednesday's run may still come
        (at("2026-05-27", "16:00"), False),  # Tuesday and Wednesday went by
        (at("2027-05-27", "16:00"), False),
    ],
)
def test_the_switch_fires_when_two_sessions_closed_without_a_run(now: datetime, healthy: bool) -> None:
    found = last_run_judged(run("2026-05-22"), now, MarketCalendar())
    assert isinstance(found, Ok) is healthy
    if now == at("2026-05-27", "16:00"):
        assert told(found) == (
            "analyze-batch of 2026-05-22T09:31-04:00 is the last one: 2 sessions have gone by without a run since"
        )


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (run("2026-05-22", ended=False, exit_code=None, done=17), "was cut after 17 of 40 rows; run it again"),
        (
            run("2026-05-22", complete=False, exit_code=143, done=17),
            "stopped with exit code 143 after 17 of 40 rows; run it again",
        ),
        (run("2026-05-22", exit_code=69), "ended with exit code 69"),
        (run("2026-05-22", exit_code=1), "ended with exit code 1"),
    ],
)
def test_a_run_that_was_cut_or_failed_is_an_alarm(last: RunRecord, words: str) -> None:
    found = last_run_judged(last, at("2026-05-22", "10:00"), MarketCalendar())
    assert isinstance(found, Err)
    assert told(found) == f"analyze-batch of 2026-05-22T09:31-04:00 {words}"


@pytest.mark.parametrize("exit_code", [0, 3])
def test_a_run_with_every_row_reached_is_healthy_though_some_failed(exit_code: int) -> None:
    found = last_run_judged(run("2026-05-22", exit_code=exit_code), at("2026-05-22", "10:00"), MarketCalendar())
    assert found == Ok(f"analyze-batch of 2026-05-22T09:31-04:00 ended with exit code {exit_code}, 40 of 40 rows")


@pytest.mark.parametrize(("analysed", "lost", "healthy"), [(20, 20, True), (19, 21, False), (0, 40, False)])
def test_a_run_that_lost_more_rows_to_providers_than_it_analysed_is_an_alarm(
    analysed: int, lost: int, healthy: bool
) -> None:
    last = run("2026-05-22", exit_code=3, done=analysed, lost=lost)
    found = last_run_judged(last, at("2026-05-22", "10:00"), MarketCalendar())
    assert isinstance(found, Ok) is healthy
    if analysed == 19:
        assert told(found) == (
            "analyze-batch of 2026-05-22T09:31-04:00: 21 of 40 rows failed for reasons of providers, "
            "19 were analysed; run it again"
        )


def test_no_run_ever_is_no_alarm() -> None:
    assert last_run_judged(None, at("2026-05-22"), MarketCalendar()) == Ok("there was no run yet")


@pytest.mark.parametrize(("lost", "healthy"), [(0, True), (20, True), (21, False), (40, False)])
def test_a_run_of_which_more_than_half_of_the_analyses_lost_their_past_is_an_alarm(lost: int, healthy: bool) -> None:
    last = replace(run("2026-05-22", exit_code=3), history_lost=lost)
    found = last_run_judged(last, at("2026-05-22", "10:00"), MarketCalendar())
    assert isinstance(found, Ok) is healthy
    if lost == 21:
        assert told(found) == (
            "analyze-batch of 2026-05-22T09:31-04:00: 21 of 40 analyses lack the past moves, which a provider did not "
            "give; ivcrush quota, ivcrush backfill --reporting-days 7"
        )


@pytest.mark.parametrize(
    ("covered", "lacking", "words"),
    [
        (0, 0, "no stored report in the coming 7 days"),
        (5, 5, "5 of 10 reporters of the coming 7 days have the 4 past moves needed"),
    ],
)
def test_where_half_of_the_coming_reporters_have_a_past_all_is_well(covered: int, lacking: int, words: str) -> None:
    assert history_judged(HistoryCoverage(covered + lacking, covered, 4)) == Ok(words)


@pytest.mark.parametrize(
    ("covered", "reporters", "names"),
    [(4, 9, "A, B, C, D, E"), (2, 35, "A, B, C, D, E and 28 others"), (0, 35, "A, B, C, D, E and 30 others")],
)
def test_where_less_than_half_have_a_past_some_others_and_the_command_are_named_and_without_any_it_is_an_alarm(
    covered: int, reporters: int, names: str
) -> None:
    found = history_judged(HistoryCoverage(reporters, covered, 4, tuple("ABCDE")))
    assert isinstance(found, Err) == (covered == 0)
    assert (told(found) if isinstance(found, Err) else found.value) == (
        f"{covered} of {reporters} reporters of the coming 7 days have the 4 past moves needed; lacking: {names}; "
        "ivcrush backfill --reporting-days 7 fetches them, the soonest first"
    )
