"""Tables for people: what a trader looks at first comes first, every missing number says why, widths are by hand.

Hand-aligned because a table library takes longer to load than the whole analysis takes to compute.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from ivcrush.application.documents import Document, Json
from ivcrush.cli.command import Style
from ivcrush.cli.failures import failure_line
from ivcrush.cli.render.list_notes import NO_RATIO, ListNotes
from ivcrush.cli.render.parts import part_of, safe
from ivcrush.domain.errors import ErrorCode
from ivcrush.utils.text import printable

_COLORS = {
    "excellent": "32",
    "good": "32",
    "marginal": "33",
    "warning": "33",
    "skip": "2",
    NO_RATIO: "2",
    "reject": "31",
}
_COLOR = re.compile("\x1b\\[[0-9]+m")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?( %)?|n/a|-")
_LABEL_WIDTH = 22
_MOST_NAMED = 20  # of those never reached, who all lack the same
_UNITS_S = ((86_400, "d"), (3_600, "h"), (60, "min"))
_BATCH_COLUMNS = (
    "ticker",
    "report",
    "enter by",
    "event move",
    "past mean",
    "ratio",
    "shrunk",
    "90 % interval",
    "P(>1)",
    "execution",
    "verdict",
)
_AGE_COLUMN = "age"
_MOVES = ("close_to_close_pct", "gap_pct", "open_to_close_pct", "peak_pct")
_SIMULATED = "SIMULATED MARKET: every number below is invented"


def analysis_table(document: Document, style: Style) -> str:
    """One analysis, or why there is none."""
    if "error" in document:
        label = f"{_SIMULATED}\n" if style.simulated else ""
        return f"{label}{_failed(document)}\n"
    lines = [*_heading(document, style), *_measures(document), "", *_past(document), *_verdict(document, style)]
    return "\n".join(lines) + "\n"


def batch_table(
    head: Document,
    analyses: Iterable[Document],
    failures: Sequence[Document],
    style: Style,
    ages_s: Sequence[float | None] = (),
) -> Iterator[str]:
    """What to enter, a row an analysis, ranked, what is missing, failures, flags and totals; a line a piece.

    `ages_s` are those of the rows that a run which was cut had done, None for the others; empty where there are none.
    """
    as_of = datetime.fromisoformat(str(head["as_of"]))
    rows: list[tuple[str, ...]] = []
    notes = ListNotes(as_of)
    for analysis in analyses:
        rows.append(_batch_row(analysis, as_of, style))
        notes.add(analysis)
    lines = [_SIMULATED] if style.simulated else []
    lines += [f"as of {safe(head['as_of'])}", *notes.above(), ""]
    lines += aligned(_with_ages([_BATCH_COLUMNS, *rows], ages_s)) if rows else []
    lines += [*notes.missing(), *_failures_named(failures)]
    flagged = list(notes.flags())
    lines += ["", "flags:", *flagged] if flagged else []
    for line in (*lines, "", _summed(head)):
        yield f"{line}\n"
    yield f"up to {safe(head['term_structure_depth'])} expirations read from the event's on\n"


def rows_table(document: Document, documents: Sequence[Document], style: Style) -> str:
    """Simple rows of a document: a column a field, lists as counts, errors in a line of their own, then the totals."""
    whole = [row for row in documents if "error" not in row]
    header = [name for name in (whole[0] if whole else {}) if name not in {"schema", "simulated"}]
    cells = [[_cell(row[name]) for name in header] for row in whole]
    lines = [_SIMULATED, ""] if style.simulated else []
    lines += aligned([[name.replace("_", " ") for name in header], *cells]) if whole else []
    lines += [_failed(row) for row in documents if "error" in row]
    if "summary" in document:
        lines += ["", _summed(document)] if documents else [_summed(document)]
    return "\n".join(lines) + "\n"


def _failures_named(failures: Sequence[Document]) -> Iterator[str]:
    """A line each, but one for all that were never reached."""
    skipped = [each for each in failures if _code(each) == ErrorCode.SKIPPED]
    yield from (_failed(each) for each in failures if _code(each) != ErrorCode.SKIPPED)
    if skipped:
        names = ", ".join(safe(each["ticker"]) for each in skipped[:_MOST_NAMED])
        more = f" and {len(skipped) - _MOST_NAMED} more" if len(skipped) > _MOST_NAMED else ""
        yield f"{len(skipped)} not reached: {names}{more}"


def _code(failure: Document) -> Json:
    return part_of(failure, "error")["code"]


def _failed(document: Document) -> str:
    error = part_of(document, "error")
    return printable(failure_line(*map(str, (document["ticker"], error["code"], error["message"]))), 600)


def _summed(document: Document) -> str:
    summary = part_of(document, "summary")
    counted = (name for name in summary if name != "elapsed_s")
    return ", ".join(f"{safe(summary[name])} {name.replace('_', ' ')}" for name in counted)


def _cell(value: Json) -> str:
    if value is None:
        return "-"
    return str(len(value)) if isinstance(value, list) else safe(value)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns two spaces apart, as wide as their widest cell, numbers to the right; the first row is the heading.

    The colours of a cell take no width.
    """
    columns = [_padded(column) for column in zip(*rows, strict=True)]
    return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]


def _padded(column: Sequence[str]) -> list[str]:
    width = max(map(_width, column))
    numeric = all(_NUMBER.fullmatch(cell) for cell in column[1:])
    gaps = [" " * (width - _width(cell)) for cell in column]
    return [gap + cell if numeric else cell + gap for gap, cell in zip(gaps, column, strict=True)]


def _width(cell: str) -> int:
    return len(_COLOR.sub("", cell))


def _heading(document: Document, style: Style) -> Iterator[str]:
    earnings = part_of(document, "earnings")
    if document["simulated"] is True:
        yield _SIMULATED
    yield _colored(
        f"{safe(document['ticker'])}  reports {safe(earnings['date'])} {safe(earnings['timing'])} "
        f"({safe(earnings['status'])}{_yours(document, earnings)}{_moved(earnings)}), "
        f"as of {safe(document['as_of'])}",
        "1",
        style,
    )
    expirations = document["expirations_used"]
    depth = len(expirations) if isinstance(expirations, list) else 0
    enter_by = f"{datetime.fromisoformat(str(earnings['enter_by'])):%Y-%m-%d %H:%M}"
    yield (
        f"spot {_number(document['spot'], 2)}, expiration {safe(document['expiration'])}, "
        f"{depth} expirations read, enter by {enter_by}"
    )
    yield ""


def _yours(document: Document, earnings: Document) -> str:
    """What of a report that the calendar does not confirm is the trader's own word."""
    flags = document["flags"]
    if isinstance(flags, list) and "session_not_in_calendar" in flags:
        return "; session: yours"
    own_date = earnings["source"] == "argument" and earnings["status"] != "confirmed"
    return "; date: yours" if own_date else ""


def _measures(document: Document) -> Iterator[str]:
    move = part_of(document, "implied_move")
    low, high = _pair(move["event_move_interval_90_pct"])
    yield _line("event move", f"{_number(move['event_move_pct'], 2)} %  (90 %: {low} to {high})")
    yield _line("  puts the stock at", f"{_number(move['lower'], 2)} .. {_number(move['upper'], 2)}")
    yield _line("straddle", f"{_number(move['straddle_pct'], 2)} % of spot, ordinary volatility included")
    yield from _straddle_lines(part_of(document, "straddle"), _number(move["straddle_cost"], 2))
    yield _line("ordinary volatility", f"{_number(move['ambient_vol_pct'], 1)} % a year")
    yield from _block(document, "history", _history_lines)
    yield from _block(document, "vrp", _vrp_lines)
    yield from _block(document, "consistency", _consistency_lines)
    yield from _block(document, "skew", _skew_lines)
    yield from _block(document, "term_structure", _term_lines)
    yield from _block(document, "execution", _execution_lines)


def _straddle_lines(part: Document, cost: str) -> Iterator[str]:
    kind = "monthly" if part["monthly"] is True else "weekly"
    low, high = _pair(part["one_sigma"])
    yield _line("  to expiration", f"{safe(part['sessions'])} sessions ({kind}), one sigma {low} to {high}")
    yield _line("  the morning after", f"{cost} worth {_number(part['after_report'], 2)} where the stock stands still")


def _block(document: Document, name: str, lines: Callable[[Document], Iterator[str]]) -> Iterator[str]:
    part = part_of(document, name)
    if "error" in part:
        yield _line(name.replace("_", " "), f"n/a ({_error_text(part)})")
    else:
        yield from lines(part)


def _history_lines(part: Document) -> Iterator[str]:
    yield _line(
        "past moves",
        f"mean {_number(part['mean_abs_pct'], 2)} %, median {_number(part['median_abs_pct'], 2)} %, "
        f"max {_number(part['max_abs_pct'], 2)} % of {safe(part['quarters'])} ({safe(part['measure'])})",
    )
    yield _line("  inside straddle", f"{safe(part['inside_implied'])} of {safe(part['quarters'])}")


def _vrp_lines(part: Document) -> Iterator[str]:
    low, high = _pair(part["interval_90"])
    yield _line("VRP ratio", f"{_number(part['ratio'], 2)}  (straddle ratio {_number(part['straddle_ratio'], 2)})")
    yield _line("  shrunk", f"{_number(part['shrunk_ratio'], 2)}  (90 %: {low} to {high})")
    yield _line("  P(ratio > 1)", f"{_percent(part['probability_above_one'])}")
    yield _line("  P(inside straddle)", f"{_percent(part['inside_probability'])}")


def _consistency_lines(part: Document) -> Iterator[str]:
    yield _line("consistency", f"{_number(part['score'], 2)}, trend {safe(part['trend'])}")


def _skew_lines(part: Document) -> Iterator[str]:
    shape = ", concave" if part["concave"] is True else ""
    reversal = _number(part["risk_reversal_25d_pct"], 1)
    yield _line("skew", f"25-delta risk reversal {reversal} points, {safe(part['direction'])}{shape}")


def _term_lines(part: Document) -> Iterator[str]:
    shape = "backwardation" if part["backwardation"] is True else "contango"
    yield _line("term structure", f"{shape}, expected IV crush {_number(part['expected_iv_crush_pct'], 0)} %")


def _execution_lines(part: Document) -> Iterator[str]:
    yield _line(
        "execution",
        f"{safe(part['tier'])}: straddle spread {_number(part['straddle_spread_pct'], 1)} %, "
        f"cost {_number(part['cost_of_event_move_pct'], 1)} % of the event move, "
        f"open interest {safe(part['open_interest'])}",
    )


def _past(document: Document) -> Iterator[str]:
    history = part_of(document, "history")
    if "error" in history:
        return
    rows: list[tuple[str, ...]] = [("report", "session", "close to close", "gap", "open to close", "peak")]
    rows += [
        (
            safe(move["earnings_date"]),
            safe(move["timing"]),
            *(f"{_number(move[name], 2, sign=True)} %" for name in _MOVES),
        )
        for move in _parts(history, "moves")
    ]
    yield from aligned(rows)
    for missing in _parts(history, "missing"):
        yield f"{safe(missing['earnings_date'])}  {safe(missing['timing'])}  n/a ({safe(missing['reason'])})"
    yield ""


def _verdict(document: Document, style: Style) -> Iterator[str]:
    verdict = _verdict_word(document)
    tradeable = "tradeable" if document["tradeable"] is True else "not tradeable"
    yield _colored(f"{verdict}, {tradeable}", _COLORS.get(verdict, "0"), style)
    reasons = document["reasons"]
    assert isinstance(reasons, list)
    yield from (f"  {safe(reason)}" for reason in reasons)
    flags = document["flags"]
    assert isinstance(flags, list)
    if flags:
        yield f"  flags: {', '.join(map(safe, flags))}"


def _verdict_word(analysis: Document) -> str:
    """The recommendation; of what could not be computed there is none, though programs are told to skip it."""
    return NO_RATIO if "error" in part_of(analysis, "vrp") else safe(analysis["recommendation"])


def _batch_row(analysis: Document, as_of: datetime, style: Style) -> tuple[str, ...]:
    earnings, move = part_of(analysis, "earnings"), part_of(analysis, "implied_move")
    vrp, history, execution = (part_of(analysis, name) for name in ("vrp", "history", "execution"))
    low, high = _pair(vrp["interval_90"]) if "error" not in vrp else ("", "")
    verdict = _verdict_word(analysis)
    return (
        safe(analysis["ticker"]),
        f"{safe(earnings['date'])} {safe(earnings['timing'])}{_moved(earnings)}",
        _enter_by(earnings, as_of, style),
        f"{_number(move['event_move_pct'], 2)} %",
        f"{_number(history['mean_abs_pct'], 2)} %" if "error" not in history else "n/a",
        _number(vrp["ratio"], 2) if "error" not in vrp else "n/a",
        _number(vrp["shrunk_ratio"], 2) if "error" not in vrp else "n/a",
        f"{low} to {high}" if low else "n/a",
        _percent(vrp["probability_above_one"]) if "error" not in vrp else "n/a",
        safe(execution["tier"]) if "error" not in execution else "n/a",
        _colored(verdict + (", tradeable" if analysis["tradeable"] is True else ""), _COLORS.get(verdict, "0"), style),
    )


def _moved(earnings: Document) -> str:
    """Which date the calendar named before."""
    return "" if earnings.get("moved_from") is None else f", moved from {safe(earnings['moved_from'])}"


def _enter_by(earnings: Document, as_of: datetime, style: Style) -> str:
    """The day of the last session before the reaction; today's, which is what matters now, with the hour it closes."""
    told = earnings.get("enter_by")
    if told is None:  # kept by a run of another version
        return "-"
    closes_at = datetime.fromisoformat(str(told)).astimezone(as_of.tzinfo)
    if closes_at <= as_of:
        return "over"
    today = closes_at.date() == as_of.date()
    return _colored(f"today {closes_at:%H:%M}", "1", style) if today else f"{closes_at:%Y-%m-%d}"


def _with_ages(rows: list[tuple[str, ...]], ages_s: Sequence[float | None]) -> list[tuple[str, ...]]:
    """The rows with a last column for the age of those that were taken over; as they are where none was."""
    if not ages_s:
        return rows
    cells = (_AGE_COLUMN, *("-" if age_s is None else age_text(age_s) for age_s in ages_s))
    return [(*row, cell) for row, cell in zip(rows, cells, strict=True)]


def age_text(age_s: float) -> str:
    """In the largest unit that it has two of."""
    return next((f"{age_s // size:.0f} {unit}" for size, unit in _UNITS_S if age_s >= 2 * size), f"{age_s:.0f} s")


def _line(label: str, value: str) -> str:
    return f"{label:<{_LABEL_WIDTH}}{value}"


def _parts(document: Document, name: str) -> list[Document]:
    parts = document[name]
    assert isinstance(parts, list)
    return [part for part in parts if isinstance(part, dict)]


def _pair(value: Json) -> tuple[str, str]:
    assert isinstance(value, list)
    low, high = value
    return _number(low, 2), _number(high, 2)


def _error_text(document: Document) -> str:
    error = part_of(document, "error")
    return f"{safe(error['code'])}: {safe(error['message'])}"


def _number(value: Json, digits: int, *, sign: bool = False) -> str:
    assert isinstance(value, int | float)
    return f"{value:{'+' if sign else ''}.{digits}f}"


def _percent(value: Json) -> str:
    assert isinstance(value, int | float)
    return f"{100 * value:.0f} %"


def _colored(text: str, code: str, style: Style) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if style.color else text
