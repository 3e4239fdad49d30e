"""`ivcrush score` from the outside: analysed before the report, measured after it, and worlds whose truth is known."""

import csv
import io
import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ivcrush.config.validation import load_settings
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Ok
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.score import ScoredReport, ScoreQuestion
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.operations_container import OperationsContainer
from ivcrush.utils.timezone import SystemClock
from simulated_market import SimulatedMarket, World
from tests.conftest import PROJECT
from tests.integration.conftest import Desk, Finished
from tests.unit.metrics.statements import world
from tests.unit.test_metrics_document import keys

LATER = datetime(
    2026, 6, 5, 15, 45, tzinfo=NEW_YORK
)  # three weeks on: every report of the first days has been answered
PLENTY = {"ALPHA_VANTAGE_PER_DAY": "1000"}
ANALYSIS = """INSERT INTO analysis_log (number, run_id, ticker, report_date, as_of, saved_at, document, snapshot)
    VALUES (?, 'run', ?, ?, ?, ?, ?, x'00')"""
MISSING = """INSERT INTO historical_moves (ticker, report_date, timing, flags, reason)
    VALUES (?, ?, 'BMO', '[]', ?)"""
MOVE = "INSERT INTO historical_moves VALUES (?, ?, ?, ?, 100, ?, 0, ?, ?, '[]', NULL)"


def score(desk: Desk, *arguments: str, code: int = 0, **settings: str) -> Finished:
    """The command; it asks nobody."""
    before = len(desk.market.log())
    finished = desk.run("score", *arguments, as_of=False, **settings)
    assert (finished.code, len(desk.market.log())) == (code, before), finished.err
    return finished


def told(desk: Desk, *arguments: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(score(desk, *arguments, "--format", "json").out)
    counts = document["analyses"]
    assert isinstance(counts, dict)
    assert counts["total"] == sum(count for name, count in counts.items() if name != "total")
    return document


def kept(desk: Desk) -> Path:
    """A database without anything."""
    path = desk.directory / "data" / "ivcrush.db"
    opened = init_database(path)
    assert isinstance(opened, Ok)
    opened.value.close()
    return path


def keep(path: Path, reports: Sequence[ScoredReport]) -> None:
    """The analyses of a world and the moves that came, as the program would have kept them."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for each in reports:
            connection.execute(ANALYSIS, _analysis_row(each))
            move, pct = each.move, each.move.close_to_close_pct
            day = move.report_date.isoformat()
            connection.execute(MOVE, (each.statement.ticker, day, move.timing, day, pct, pct, pct))


def _analysis_row(report: ScoredReport) -> tuple[object, ...]:
    said, stated = report.statement, report.statement.stated
    assert stated is not None
    document = {
        "simulated": said.simulated,
        "earnings": {"timing": said.timing},
        "expiration": said.expiration.isoformat(),
        "implied_move": {"event_move_pct": said.event_move_pct, "straddle_pct": said.straddle_pct},
        "execution": {"cost_pct": said.cost_pct},
        "vrp": {
            "ratio": stated.ratio,
            "shrunk_ratio": stated.shrunk_ratio,
            "inside_probability": stated.inside_probability,
        },
        "recommendation": said.recommendation,
        "tradeable": said.tradeable,
    }
    at = said.as_of.astimezone(UTC).isoformat(timespec="microseconds")
    return said.number, said.ticker, said.report_date.isoformat(), at, at, json.dumps(document).encode()


def test_what_was_analysed_before_the_report_is_held_against_what_came(desk: Desk) -> None:
    later = desk.market.world.at(LATER)
    tickers = [ticker for ticker in later.tickers if _answered(desk.market.world, ticker)][:26]
    begun = desk.run("analyze-batch", "--tickers", ",".join(tickers), "--format", "json", **PLENTY)
    assert begun.code == 3, begun.err  # of two there is too little history for a ratio
    analysed = {each["ticker"]: each for each in json.loads(begun.out)["analyses"]}
    waiting = told(desk)
    assert (waiting["to_backfill"], waiting["scored"]) == (sorted(tickers), [])
    assert f"to measure: ivcrush backfill {' '.join(sorted(tickers)[:20])} and 6 more" in score(desk).out

    with SimulatedMarket(later) as market:
        urls = {"TRADIER_BASE_URL": market.tradier_base_url, "ALPHA_VANTAGE_BASE_URL": market.alpha_vantage_base_url}
        ran = desk.run("backfill", *tickers, "--as-of", LATER.isoformat(), as_of=False, **urls, **PLENTY)
        assert ran.code == 0, ran.err

    document = told(desk)
    scored, unscored, level = document["scored"], document["unscored"], document["level"]
    assert isinstance(scored, list)
    assert isinstance(unscored, list)
    assert isinstance(level, dict)
    assert [(each["ticker"], each["detail"]) for each in unscored] == [("T", "session of the report unknown")]
    assert [each["ticker"] for each in scored] == sorted({*tickers} - {"T"})
    moves = {each["ticker"]: later.truth(each["ticker"]).past_moves[0] for each in scored}
    for each in scored:
        said, came = analysed[each["ticker"]], moves[each["ticker"]]
        assert each["earnings_date"] == each["stated_date"] == said["earnings"]["date"] == str(came.earnings_date)
        assert each["reaction_session"] == str(came.reaction_session)
        assert each["close_to_close_pct"] == pytest.approx(came.close_to_close_pct, abs=0.02)  # bars are in cents
        assert each["event_move_pct"] == said["implied_move"]["event_move_pct"]
        assert each["inside_probability"] == said["vrp"].get("inside_probability")
        assert each["cost_pct"] == said["execution"]["cost_pct"]
        premium = each["event_move_pct"] - abs(each["close_to_close_pct"])
        assert each["premium_pct"] == pytest.approx(premium, abs=2e-4)
        assert each["after_costs_pct"] == pytest.approx(premium - each["cost_pct"], abs=2e-4)
    implied = sum(analysed[ticker]["implied_move"]["event_move_pct"] for ticker in moves)
    realised = sum(abs(came.close_to_close_pct) for came in moves.values())
    assert level["ratio"]["value"] == pytest.approx(implied / realised, rel=1e-3)


def _answered(before: World, ticker: str) -> bool:
    """Whether the company's report was answered by `LATER`, some days ago."""
    report = before.upcoming(ticker)
    return report is not None and report.reaction_session < LATER.date() - timedelta(3)


def test_of_a_few_reports_it_concludes_nothing(desk: Desk) -> None:
    keep(kept(desk), world(30, 30, implied_over_true=3.0, seed=10))
    assert "nothing can be concluded: 31 reports in 8 sessions are needed" in score(desk).out
    level = told(desk)["level"]
    assert isinstance(level, dict)
    assert (level["ratio"]["interval_90"], level["ratio"]["finding"]) == (None, "too_few")


def test_a_world_that_states_the_truth_is_found_calibrated(desk: Desk) -> None:
    keep(kept(desk), world(300, 75, implied_over_true=1.0, seed=11))
    document = told(desk)
    inside, level = document["inside"], document["level"]
    assert isinstance(inside, dict)
    assert isinstance(level, dict)
    assert document["reports"] == inside["reports"] == 300
    assert inside["excess"]["finding"] == "chance"
    assert [each["came"]["finding"] for each in inside["bins"]] == ["chance"] * 3
    assert level["ratio"]["finding"] == "chance"


def test_a_world_whose_options_ask_half_as_much_again_is_found_out(desk: Desk) -> None:
    keep(kept(desk), world(300, 75, implied_over_true=1.5, seed=12))
    level = told(desk)["level"]
    assert isinstance(level, dict)
    low, high = level["ratio"]["interval_90"]
    assert 1.0 < low < 1.5 < high
    shown = score(desk).out
    assert "more was implied than came" in shown
    (row,) = (line for line in shown.splitlines() if line.startswith("tradeable"))
    assert row.endswith("gain")


def test_the_same_reports_always_give_the_same_answer(desk: Desk) -> None:
    keep(kept(desk), world(40, 10, implied_over_true=1.2, seed=13))
    one, other = told(desk), told(desk)
    assert {**one, "as_of": ""} == {**other, "as_of": ""}


def test_companies_and_a_first_date_choose_the_analyses(desk: Desk) -> None:
    reports = world(40, 10, implied_over_true=1.0, seed=14)
    keep(kept(desk), reports)
    last = max(each.move.report_date for each in reports)
    found = told(desk, "--since", last.isoformat(), "AD", "ae")
    assert (found["since"], found["tickers"]) == (last.isoformat(), ["AD", "AE"])
    scored = found["scored"]
    assert isinstance(scored, list)
    assert {(each["ticker"], each["earnings_date"]) for each in scored} == {
        (each.statement.ticker, each.move.report_date.isoformat())
        for each in reports
        if each.statement.ticker in ("AD", "AE") and each.move.report_date == last
    }
    assert "no such analysis is kept" in score(desk, "--since", (last + timedelta(1)).isoformat(), code=1).err


def test_every_figure_is_explained_where_the_numbers_are(desk: Desk) -> None:
    reports = world(100, 50, implied_over_true=1.0, seed=19)
    path = kept(desk)
    keep(path, reports)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM historical_moves WHERE ticker = 'AA'")
    text = (PROJECT / "docs/metrics.md").read_text()
    figures = {name for name in keys(told(desk)) if not name.startswith(("scored[].", "unscored[].", "inside.bins[]."))}
    reasons = {name for name in figures if name.startswith("analyses.")} - {"analyses.total", "analyses.scored"}
    names = {re.sub(r"\.(value|interval_90|finding)$", "", name) for name in figures - reasons}
    names |= {name.removeprefix("analyses.") for name in reasons}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_in_csv_each_scored_report_is_a_row(desk: Desk) -> None:
    keep(kept(desk), world(5, 5, implied_over_true=1.0, seed=15))
    rows = list(csv.DictReader(io.StringIO(score(desk, "--format", "csv").out)))
    assert [row["ticker"] for row in rows] == ["AA", "AB", "AC", "AD", "AE"]
    assert {row["simulated"] for row in rows} == {"false"}


def test_simulated_analyses_are_counted_and_not_scored_beside_real_ones(desk: Desk) -> None:
    real, *invented = world(4, 4, implied_over_true=1.0, seed=16)
    simulated = [replace(each, statement=replace(each.statement, simulated=True)) for each in invented]
    keep(kept(desk), [real, *simulated])
    counts = told(desk)["analyses"]
    assert isinstance(counts, dict)
    assert (counts["scored"], counts["other_market"]) == (1, 3)
    assert "3 of another market" in score(desk).out


def test_in_the_demonstration_real_analyses_are_of_another_market_and_moves_come_from_it(desk: Desk) -> None:
    real, invented = world(2, 2, implied_over_true=1.0, seed=16)
    simulated = replace(invented, statement=replace(invented.statement, simulated=True))
    path = kept(desk).rename(desk.directory / "data" / "demo.db")
    keep(path, [real, simulated])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM historical_moves")
    shown = score(desk, "--demo").out
    assert "1 of another market" in shown
    assert "to measure: ivcrush backfill AB --demo\n" in shown


def test_a_damaged_document_is_counted_and_hides_no_other(desk: Desk) -> None:
    path = kept(desk)
    keep(path, world(3, 3, implied_over_true=1.0, seed=18))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE analysis_log SET document = x'00' WHERE ticker = 'AB'")
    document = told(desk)
    counts, unscored = document["analyses"], document["unscored"]
    assert isinstance(counts, dict)
    assert isinstance(unscored, list)
    assert (counts["scored"], counts["unreadable"]) == (2, 1)
    (damaged,) = unscored
    assert (damaged["ticker"], damaged["analysis"], damaged["earnings_date"]) == ("AB", 2, "2025-01-07")
    assert damaged["detail"] != ""
    assert "1 that cannot be read" in score(desk).out


def test_reasons_moved_dates_and_lacking_parts_are_told_in_words(desk: Desk) -> None:
    moved, unmeasurable, unmeasured, uncosted, barless, *others = world(30, 30, implied_over_true=1.0, seed=17)
    moved = replace(moved, move=replace(moved.move, timing=Timing.AMC))
    uncosted = replace(uncosted, statement=replace(uncosted.statement, cost_pct=None))
    path = kept(desk)
    keep(path, [moved, unmeasurable, unmeasured, uncosted, barless, *others])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM historical_moves WHERE ticker IN ('AB', 'AC', 'AE')")
        for ticker, report, why in (
            ("AB", unmeasurable, "session of the report unknown"),
            ("AE", barless, "no bars for 2025-01-07"),
        ):
            connection.execute(MISSING, (ticker, report.move.report_date.isoformat(), why))
    shown = score(desk).out
    assert "30 analyses, 27 scored" in shown
    assert "1 the move cannot be measured" in shown
    assert "2 no move measured\n" in shown
    assert "to measure: ivcrush backfill AC AE\n" in shown
    assert "1 of the scored came on another date or in another session" in shown
    assert "with quoted costs" in shown


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE historical_moves SET flags = 'none'",
        """INSERT INTO earnings_calendar
            (ticker, report_date, timing, status, source, name, flags, first_seen, last_seen)
            VALUES ('AA', '2025-01-07', 'AMC', 'confirmed', 'nobody', '', '[]', '2025', '2025')""",
    ],
)
def test_rows_that_cannot_be_read_end_with_74(desk: Desk, spoil: str) -> None:
    path = kept(desk)
    keep(path, world(1, 1, implied_over_true=1.0, seed=18))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(spoil)
    finished = score(desk, code=74)
    assert finished.out == ""
    assert "damaged" in finished.err


def test_a_score_that_is_stopped_gives_up(desk: Desk) -> None:
    keep(kept(desk), world(4, 4, implied_over_true=1.0, seed=20))
    settings = load_settings({}, desk.directory, required_keys=(), read_env_file=False)
    operations = OperationsContainer(settings, SystemClock())
    assert isinstance(operations.score(ScoreQuestion((), None, simulated=False), operations.as_of), Ok)
    operations.stop()
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        operations.score(ScoreQuestion((), None, simulated=False), operations.as_of)


def test_without_a_database_it_says_how_one_is_made(desk: Desk) -> None:
    assert "there is no database" in score(desk, code=74).err


def test_in_the_demonstration_the_report_is_still_to_come(desk: Desk) -> None:
    assert desk.run("analyze", "AAPL", "--demo", as_of=False).code == 0
    shown = score(desk, "--demo").out
    assert shown.startswith("SIMULATED MARKET")
    assert "1 not reported yet" in shown


@pytest.mark.parametrize("argument", [("--since", "yesterday"), ("APPLE INC",)])
def test_what_cannot_be_meant_is_refused(desk: Desk, argument: tuple[str, ...]) -> None:
    assert score(desk, *argument, code=2).out == ""
