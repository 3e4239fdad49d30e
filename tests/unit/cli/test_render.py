"""Documents as text: table, JSON, CSV. The documents are written by hand, so that no calculator stands behind them."""

import csv
import io
import json
from copy import deepcopy
from dataclasses import replace

import msgspec
import pytest

from ivcrush.application.documents import BatchReport, Document
from ivcrush.cli.command import Style
from ivcrush.cli.failures import failure_line
from ivcrush.cli.render.documents import render_batch, render_rows, render_single
from ivcrush.cli.render.flat import csv_text
from ivcrush.cli.render.table import aligned

TABLE, JSON, CSV = (Style(form, color=False, simulated=False) for form in ("table", "json", "csv"))
NO_DATA: Document = {"error": {"code": "NODATA", "message": "XYZ: 3 past moves, 4 needed"}}
FAILURE: Document = {"schema": "ivcrush.failure/1", "ticker": "BAD", **NO_DATA}
ANALYSIS: Document = {
    "schema": "ivcrush.analysis/1", "ticker": "XYZ", "as_of": "2026-05-15T15:45:00-04:00", "simulated": False,
    "earnings": {"date": "2026-05-20", "timing": "AMC", "status": "confirmed", "source": "stored",
                 "enter_by": "2026-05-20T16:00:00-04:00"},
    "expiration": "2026-05-22", "expirations_used": ["2026-05-22", "2026-05-29"], "spot": 100.0, "forward": 100.1,
    "implied_move": {
        "straddle_cost": 5.14, "straddle_pct": 5.14, "event_move_pct": 4.45, "event_move_interval_90_pct": [3.9, 5.0],
        "ambient_vol_pct": 24.1, "lower": 95.55, "upper": 104.45, "flags": [],
    },
    "straddle": {"sessions": 5, "monthly": False, "one_sigma": [93.7, 106.7], "after_report": 2.2},
    "history": {
        "quarters": 2, "measure": "close_to_close", "mean_abs_pct": 8.55, "median_abs_pct": 8.55,
        "max_abs_pct": 12.0, "inside_implied": 1,
        "moves": [
            {"earnings_date": "2026-02-18", "timing": "AMC", "close_to_close_pct": -5.1, "gap_pct": -4.0,
             "open_to_close_pct": -1.1, "peak_pct": -6.2},
            {"earnings_date": "2025-11-19", "timing": "AMC", "close_to_close_pct": 12.0, "gap_pct": 10.0,
             "open_to_close_pct": 1.82, "peak_pct": 13.0},
        ],
        "missing": [{"earnings_date": "2025-08-20", "timing": "AMC", "reason": "no bar of 2025-08-21"}],
    },
    "vrp": {
        "ratio": 0.52, "straddle_ratio": 0.6, "shrunk_ratio": 0.8, "interval_90": [0.6, 1.1],
        "probability_above_one": 0.12, "inside_probability": 0.5, "edge_score": -1.0,
    },
    "consistency": {"score": 0.62, "trend": "stable"},
    "skew": {"risk_reversal_25d_pct": -2.1, "direction": "bearish", "concave": True},
    "term_structure": {"backwardation": False, "expected_iv_crush_pct": 41.0},
    "execution": {"tier": "good", "straddle_spread_pct": 6.1, "cost_of_event_move_pct": 3.0, "open_interest": 1200},
    "recommendation": "skip", "tradeable": False, "reasons": ["against: \x1b[31mtoo little"], "flags": [],
}  # fmt: skip


def batch(analyses: list[Document], failures: list[Document]) -> BatchReport:
    head: Document = {
        "schema": "ivcrush.batch/1",
        "as_of": "2026-05-15T15:45:00-04:00",
        "term_structure_depth": 3,
        "summary": {"total": len(analyses) + len(failures), "analysed": len(analyses), "elapsed_s": 0.1},
    }
    return BatchReport(head, tuple(map(msgspec.json.encode, analyses)), tuple(failures))


def shown(report: BatchReport, style: Style) -> str:
    return "".join(render_batch(report, style))


def without(*names: str) -> Document:
    """The analysis without these blocks."""
    return deepcopy(ANALYSIS) | dict.fromkeys(names, NO_DATA)


def test_the_table_of_an_analysis_says_what_counts() -> None:
    text = render_single(ANALYSIS, TABLE)
    for part in (
        "XYZ  reports 2026-05-20 AMC (confirmed), as of 2026-05-15T15:45:00-04:00",
        "spot 100.00, expiration 2026-05-22, 2 expirations read, enter by 2026-05-20 16:00",
        "4.45 %  (90 %: 3.90 to 5.00)",
        "95.55 .. 104.45",
        "5 sessions (weekly), one sigma 93.70 to 106.70",
        "5.14 worth 2.20 where the stock stands still",
        "past moves            mean 8.55 %, median 8.55 %, max 12.00 % of 2 (close_to_close)",
        "0.52  (straddle ratio 0.60)",
        "25-delta risk reversal -2.1 points, bearish, concave",
        "contango, expected IV crush 41 %",
        "2026-02-18  AMC             -5.10 %   -4.00 %        -1.10 %   -6.20 %",
        "2025-11-19  AMC            +12.00 %  +10.00 %        +1.82 %  +13.00 %",
        "2025-08-20  AMC  n/a (no bar of 2025-08-21)",
        "skip, not tradeable",
        r"against: \x1b[31mtoo little",
    ):
        assert part in text
    assert "\x1b" not in text


def test_a_block_without_a_number_says_why_and_never_shows_a_zero() -> None:
    text = render_single(without("history", "vrp", "skew", "execution", "consistency", "term_structure"), TABLE)
    assert text.count("n/a (NODATA: XYZ: 3 past moves, 4 needed)") == 6
    assert "close to close" not in text


def test_colours_are_only_where_they_are_wanted_and_take_no_width() -> None:
    colored = Style("table", color=True, simulated=False)
    assert "\x1b[2mskip, not tradeable\x1b[0m" in render_single(ANALYSIS, colored)
    good = without() | {"recommendation": "good", "tradeable": True}
    document = batch([good, ANALYSIS], [])
    plain = shown(document, TABLE)
    assert shown(document, colored).replace("\x1b[32m", "").replace("\x1b[2m", "").replace("\x1b[0m", "") == plain


def test_a_simulated_result_says_so_first_even_when_it_failed() -> None:
    simulated = Style("table", color=False, simulated=True)
    label = "SIMULATED MARKET: every number below is invented\n"
    assert render_single(FAILURE, simulated) == f"{label}BAD: NODATA: XYZ: 3 past moves, 4 needed\n"
    assert render_single(deepcopy(ANALYSIS) | {"simulated": True}, simulated).startswith(label)
    assert shown(batch([], [FAILURE]), simulated).startswith(label)
    assert render_rows({"schema": "s", "days": 1}, None, simulated).startswith(label)


def test_the_table_of_a_batch_ranks_rows_above_failures_and_totals() -> None:
    lines = shown(batch([ANALYSIS, without("history", "vrp", "execution")], [FAILURE]), TABLE).splitlines()
    entry = "to enter today: none; nothing in this list is tradeable"
    assert lines[:3] == ["as of 2026-05-15T15:45:00-04:00", entry, ""]
    assert lines[3].split()[:5] == ["ticker", "report", "enter", "by", "event"]
    assert (
        " ".join(lines[4].split())
        == "XYZ 2026-05-20 AMC 2026-05-20 4.45 % 8.55 % 0.52 0.80 0.60 to 1.10 12 % good skip"
    )
    assert " ".join(lines[5].split()) == "XYZ 2026-05-20 AMC 2026-05-20 4.45 % n/a n/a n/a n/a n/a n/a no ratio"
    depth = "up to 3 expirations read from the event's on"
    missing = ["XYZ: no ratio: 3 past moves, 4 needed", "XYZ: no execution: 3 past moves, 4 needed"]
    assert lines[6:] == [*missing, "BAD: NODATA: XYZ: 3 past moves, 4 needed", "", "3 total, 2 analysed", depth]
    assert "\nno ratio, not tradeable\n" in render_single(without("vrp"), TABLE)
    assert shown(batch([], [FAILURE]), TABLE).splitlines()[-2:] == ["1 total, 0 analysed", depth]


def analysis(ticker: str, enter_by: str | None, *flags: str) -> Document:
    earnings = {"date": "2026-05-18", "timing": "BMO", "status": "confirmed", "source": "stored"}
    told = {} if enter_by is None else {"enter_by": enter_by}
    return deepcopy(ANALYSIS) | {"ticker": ticker, "earnings": {**earnings, **told}, "flags": list(flags)}


def test_the_table_of_a_batch_marks_what_has_to_be_entered_before_todays_close() -> None:
    report = batch(
        [
            analysis("NOW", "2026-05-15T16:00:00-04:00"),
            analysis("SOON", "2026-05-18T16:00:00-04:00"),
            analysis("GONE", "2026-05-15T15:45:00-04:00"),
            analysis("OLD", None),
        ],
        [],
    )
    rows = shown(report, TABLE).splitlines()[4:8]
    at = slice(rows[0].index("today"), rows[0].index("today") + len("today 16:00"))
    assert [row[at].rstrip() for row in rows] == ["today 16:00", "2026-05-18", "over", "-"]
    colored = shown(report, Style("table", color=True, simulated=False))
    assert colored.count("\x1b[1m") == colored.count("\x1b[1mtoday 16:00\x1b[0m") == 1


def tradeable(ticker: str, enter_by: str) -> Document:
    return analysis(ticker, enter_by) | {"tradeable": True}


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (
            [
                tradeable("NVDA", "2026-05-15T16:00:00-04:00"),
                tradeable("LATER", "2026-05-20T16:00:00-04:00"),
                tradeable("TSLA", "2026-05-15T20:00:00+00:00"),
            ],
            "to enter today: NVDA (by 16:00), TSLA (by 16:00)",
        ),
        (
            [tradeable("B", "2026-05-21T16:00:00-04:00"), tradeable("A", "2026-05-20T13:00:00-04:00")],
            "to enter today: none; next: A on 2026-05-20 by 13:00",
        ),
        (
            [tradeable("GONE", "2026-05-15T15:45:00-04:00"), analysis("POOR", "2026-05-15T16:00:00-04:00")],
            "to enter today: none; nothing in this list is tradeable",
        ),
    ],
    ids=["today", "next", "none"],
)
def test_one_line_above_the_list_says_what_to_enter_today(rows: list[Document], line: str) -> None:
    assert shown(batch(rows, []), TABLE).splitlines()[1:3] == [line, ""]


def shut(ticker: str, age_s: float | None, *flags: str) -> Document:
    found = analysis(ticker, "2026-05-18T16:00:00-04:00", *flags)
    execution = deepcopy(ANALYSIS["execution"])
    assert isinstance(execution, dict)
    exchange: Document = {"state": "postmarket", "opens_at": "2026-05-18T09:30:00-04:00"}
    return found | {
        "as_of": "2026-05-15T16:30:00-04:00", "exchange": exchange, "execution": {**execution, "quote_age_s": age_s},
    }  # fmt: skip


def test_a_list_of_a_shut_exchange_says_once_that_nothing_can_be_acted_on() -> None:
    both = ("quotes_off_hours", "vendor_iv_stale")
    lines = shown(batch([shut("A", 1800.0, *both, "x"), shut("B", 2400.0, *both)], []), TABLE).splitlines()
    said = "postmarket: newest quotes of Fri 2026-05-15 16:00; nothing is tradeable before Mon 2026-05-18 09:30"
    assert lines[1:3] == [said, ""]
    assert lines[lines.index("flags:") + 1 :][:2] == ["  A: x", ""]
    undated = shown(batch([shut("A", None, "quotes_off_hours"), shut("B", None, *both)], []), TABLE).splitlines()
    assert undated[1] == "postmarket: nothing is tradeable before Mon 2026-05-18 09:30"
    assert undated[undated.index("flags:") + 1 :][:2] == ["  B: vendor_iv_stale", ""]


def test_a_list_that_was_begun_before_the_open_says_which_company_is_of_that_time() -> None:
    lines = shown(batch([shut("A", 1800.0, "quotes_off_hours"), analysis("B", None)], []), TABLE).splitlines()
    assert lines[1].startswith("to enter today: none")
    assert "  A: quotes_off_hours" in lines


def test_before_the_open_of_the_same_day_the_hour_alone_is_named() -> None:
    row = shut("A", None) | {"exchange": {"state": "premarket", "opens_at": "2026-05-15T09:30:00-04:00"}}
    report = batch([row], [])
    report = replace(report, head={**report.head, "as_of": "2026-05-15T09:00:00-04:00"})
    assert shown(report, TABLE).splitlines()[1] == "premarket: nothing is tradeable before 09:30"


def test_below_the_table_of_a_batch_flags_stand_by_name_those_in_doubt_first() -> None:
    flags = ("second_event_excluded", "date_conflict", "early_close", "session_unknown")
    text = shown(batch([analysis("A", None, *flags), analysis("B", None), analysis("C", None, "x")], []), TABLE)
    assert text.splitlines()[7:12] == [
        "",
        "flags:",
        "  A: in doubt: date_conflict, session_unknown; second_event_excluded, early_close",
        "  C: x",
        "",
    ]


def test_rows_of_a_run_that_was_cut_show_their_age_and_others_need_no_column() -> None:
    report = batch([analysis("A", None), analysis("B", None), analysis("C", None)], [])
    assert "age" not in shown(report, TABLE)
    lines = shown(replace(report, ages_s=(750.0, None, 59.4)), TABLE).splitlines()
    assert lines[3].endswith("verdict  age")
    assert [line.split("  ")[-1].strip() for line in lines[4:7]] == ["12 min", "-", "59 s"]


def test_those_never_reached_are_one_line_of_up_to_20_names() -> None:
    skipped: Document = {"error": {"code": "SKIPPED", "message": "not reached"}}
    failures: list[Document] = [{"ticker": f"T{number}", **skipped} for number in range(1, 23)]
    lines = shown(batch([], [*failures[:2], FAILURE]), TABLE).splitlines()
    assert lines[2:4] == ["BAD: NODATA: XYZ: 3 past moves, 4 needed", "2 not reached: T1, T2"]
    line = shown(batch([], failures), TABLE).splitlines()[2]
    assert line.startswith("22 not reached: T1, T2, ")
    assert line.endswith(", T20 and 2 more")


def test_more_than_20_left_out_for_one_reason_are_named_up_to_20() -> None:
    rejected: list[Document] = [
        {"ticker": f"T{number}", "code": "dollar_volume", "reasons": ["poor"], "near_miss": False}
        for number in range(1, 24)
    ]
    report = batch([ANALYSIS], [])
    head = {**report.head, "scan": {"min_vrp": None, "top": None}}
    (line,) = shown(replace(report, head=head, rejected=tuple(rejected)), TABLE).split("\nleft out:\n")[1].splitlines()
    assert line.startswith("  23 with a daily dollar volume below MIN_DOLLAR_VOLUME_MILLIONS: T1, T2, ")
    assert line.endswith(", T19, T20 and 3 more; --format json tells all")


def test_simple_rows_show_lists_as_counts_and_absence_as_a_dash() -> None:
    rows: Document = {
        "summary": {"total": 2},
        "tickers": [{"schema": "s", "ticker": "XYZ", "missing": ["a", "b"], "dividends": None}],
        "failures": [FAILURE],
    }
    assert render_rows(rows, "tickers", TABLE).splitlines() == [
        "ticker  missing  dividends",
        "XYZ           2          -",
        "BAD: NODATA: XYZ: 3 past moves, 4 needed",
        "",
        "2 total",
    ]
    assert render_rows({"summary": {"total": 0}, "tickers": [], "failures": []}, "tickers", TABLE) == "0 total\n"


def test_json_is_the_document_itself() -> None:
    text = render_single(ANALYSIS, JSON)
    assert json.loads(text) == ANALYSIS
    assert text.endswith("}\n")
    assert json.loads(render_rows(ANALYSIS, None, JSON)) == ANALYSIS


@pytest.mark.parametrize(("analyses", "failures"), [(2, 1), (1, 0), (0, 2), (0, 0)])
def test_json_of_a_batch_in_pieces_is_what_one_document_would_be(analyses: int, failures: int) -> None:
    report = batch([ANALYSIS] * analyses, [FAILURE] * failures)
    whole = {**report.head, "analyses": [ANALYSIS] * analyses, "failures": [FAILURE] * failures}
    assert shown(report, JSON) == json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def test_csv_flattens_names_counts_lists_and_fills_what_a_row_lacks() -> None:
    text = shown(batch([ANALYSIS], [FAILURE]), CSV)
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert text.count("\r\n") == 3
    assert (first["implied_move_event_move_pct"], first["history_moves"]) == ("4.45", "2")
    assert (first["skew_concave"], first["vrp_edge_score"], first["error_code"]) == ("true", "-1.0", "")
    assert (second["ticker"], second["error_code"], second["spot"]) == ("BAD", "NODATA", "")
    assert csv_text([]) == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\0", "＝"])
def test_no_text_cell_begins_like_a_formula_while_negative_numbers_stay_numbers(start: str) -> None:
    (row,) = csv.DictReader(io.StringIO(csv_text([{"name": f"{start}HYPERLINK(1)", "move": -5.1, "none": None}])))
    assert row["name"][0] in "'\\"
    assert (row["move"], row["none"]) == ("-5.1", "")


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    assert aligned([("ticker", "moves"), ("A", "3"), ("BRK.B", "n/a")]) == [
        "ticker  moves",
        "A           3",
        "BRK.B     n/a",
    ]


def test_a_failure_names_its_ticker_once() -> None:
    assert failure_line("XYZ", "NODATA", "XYZ: no options") == "XYZ: NODATA: no options"
    assert failure_line("XYZ", "EXTERNAL", "host: down") == "XYZ: EXTERNAL: host: down"
