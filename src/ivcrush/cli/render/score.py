"""A score as text: what was counted, the figures with their intervals, and what they tell. Computes nothing."""

from collections.abc import Iterator

from ivcrush.application.documents import Document, Json
from ivcrush.cli.command import Style
from ivcrush.cli.render.documents import json_text, rows
from ivcrush.cli.render.flat import csv_text
from ivcrush.cli.render.table import aligned
from ivcrush.utils.text import printable

_SIMULATED = "SIMULATED MARKET: every number below is invented"
_REASONS = {
    "not_reported": "not reported yet",
    "reaction_not_over": "the session that reacts is not over",
    "not_measured": "no move measured",
    "not_measurable": "the move cannot be measured",
    "after_the_fact": "analysed too late for a trade: the news may have been out",
    "expired_before": "the report moved past the expiration that was read",
    "replaced": "replaced by a later analysis of the same report",
    "other_market": "of another market",
    "unreadable": "that cannot be read",
}
_LEVEL = {"above": "more was implied than came", "below": "less was implied than came"}
_EXCESS = {
    "above": "more stayed inside than stated",
    "below": "fewer stayed inside than stated",
    "chance": "as stated, within chance",
}
_GAIN = {"above": "better than the base rate", "below": "worse than the base rate"}
_PROMISE = {"above": "richer than promised", "below": "less rich than promised", "chance": "as promised, within chance"}
_ORDER = {"above": "what was called richer was", "below": "what was called richer was cheaper"}
_WORTH = {"above": "gain", "below": "loss"}
_NOT_TOLD = {"chance": "could be chance", "too_few": "too few to tell"}
_VERDICT_COLUMNS = ("verdict", "reports", "implied", "realised", "left", "90 %", "after costs", "90 %", "is")
_BIN_COLUMNS = ("reports", "stated", "came", "90 %", "is")
_MOST_TICKERS = 20


def render_score(document: Document, style: Style) -> str:
    """In CSV a row a scored report; the table leaves the single reports out."""
    if style.form == "json":
        return json_text(document)
    if style.form == "csv":
        return csv_text([row | {"simulated": document["simulated"]} for row in rows(document, "scored")])
    lines = [_SIMULATED, ""] if style.simulated else []
    lines += [*_counted(document), *_level(document), *_inside(document), *_richness(document), *_verdicts(document)]
    return "\n".join(lines) + "\n"


def _counted(document: Document) -> Iterator[str]:
    counts, needed = _part(document["analyses"]), _part(document["needed"])
    yield f"as of {document['as_of']}: {counts['total']} analyses, {counts['scored']} scored"
    yield from (f"  {counts[reason]} {words}" for reason, words in _REASONS.items() if counts[reason])
    tickers = document["to_backfill"]
    assert isinstance(tickers, list)
    if tickers:
        more = f" and {len(tickers) - _MOST_TICKERS} more" if len(tickers) > _MOST_TICKERS else ""
        named = " ".join(map(str, tickers[:_MOST_TICKERS]))
        demo = " --demo" if document["simulated"] is True else ""
        yield printable(f"  to measure: ivcrush backfill {named}{demo}{more}", 400)
    if moved := sum(report["moved"] is True for report in rows(document, "scored")):
        yield f"  {moved} of the scored came on another date or in another session than the analysis had"
    yield f"{document['reports']} reports of {document['companies']} companies in {document['sessions']} sessions"
    if any(_number(document[name]) < _number(least) for name, least in needed.items()):
        yield f"nothing can be concluded: {needed['reports']} reports in {needed['sessions']} sessions are needed"


def _level(document: Document) -> Iterator[str]:
    if document["level"] is None:
        return
    level = _part(document["level"])
    yield from ("", "Implied against realised move, means")
    yield _line("implied, realised", f"{level['implied_pct']:.2f} %, {level['realised_pct']:.2f} %")
    if level["ratio"] is not None:
        yield _line("ratio of the sums", _told(_part(level["ratio"]), 2, _LEVEL))


def _inside(document: Document) -> Iterator[str]:
    if document["inside"] is None:
        return
    inside = _part(document["inside"])
    yield from ("", f"Inside the straddle, {inside['reports']} reports with a stated probability")
    yield _line("stated, came", f"{inside['stated']:.2f}, {inside['came']:.2f}")
    yield _line("came less stated", _told(_part(inside["excess"]), 3, _EXCESS, sign=True))
    for name, words in (("brier", "Brier score"), ("log_loss", "log loss")):
        base = inside[f"base_rate_{name}"]
        gain = _told(_part(inside[f"{name}_gain"]), 4, _GAIN, sign=True)
        yield _line(words, f"{inside[name]:.4f}, of the base rate {base:.4f}, gain {gain}")
    bins = rows(inside, "bins")
    if bins:
        yield from aligned([_BIN_COLUMNS, *map(_bin_row, bins)])


def _bin_row(each: Document) -> tuple[str, ...]:
    came = _part(each["came"])
    return (
        str(each["reports"]),
        f"{each['stated']:.2f}",
        f"{came['value']:.2f}",
        _interval(came, 2),
        _words(came, _EXCESS),
    )


def _richness(document: Document) -> Iterator[str]:
    if document["richness"] is None:
        return
    richness = _part(document["richness"])
    yield from ("", f"Richness, {richness['reports']} reports with a stated ratio")
    realised = _told(_part(richness["realised_ratio"]), 2, _PROMISE)
    yield _line("shrunk ratios, came", f"{richness['stated_ratio']:.2f}, {realised}")
    if richness["rank_correlation"] is not None:
        yield _line("rank correlation", _told(_part(richness["rank_correlation"]), 2, _ORDER, sign=True))


def _verdicts(document: Document) -> Iterator[str]:
    verdicts = rows(document, "verdicts")
    if verdicts:
        yield from ("", "Implied less realised by verdict, means in % of the stock's price")
        yield from aligned([_VERDICT_COLUMNS, *map(_verdict_row, verdicts)])


def _verdict_row(group: Document) -> tuple[str, ...]:
    premium, costed = _part(group["premium_pct"]), group["after_costs_pct"]
    row = (str(group["verdict"]), str(group["reports"]), f"{group['implied_pct']:.2f}", f"{group['realised_pct']:.2f}")
    before = (f"{premium['value']:+.2f}", _interval(premium, 2))
    if costed is None:
        return (*row, *before, "-", "-", "no quoted costs")
    after = _part(costed)
    some = "" if group["with_costs"] == group["reports"] else f", {group['with_costs']} with quoted costs"
    return (*row, *before, f"{after['value']:+.2f}", _interval(after, 2), f"{_words(after, _WORTH)}{some}")


def _told(estimate: Document, digits: int, words: dict[str, str], *, sign: bool = False) -> str:
    value = f"{estimate['value']:{'+' if sign else ''}.{digits}f}"
    interval = "" if estimate["interval_90"] is None else f" {_interval(estimate, digits)}"
    return f"{value}{interval}: {_words(estimate, words)}"


def _words(estimate: Document, words: dict[str, str]) -> str:
    return (_NOT_TOLD | words)[str(estimate["finding"])]


def _interval(estimate: Document, digits: int) -> str:
    interval = estimate["interval_90"]
    if not isinstance(interval, list):
        return "-"
    low, high = interval
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def _line(label: str, text: str) -> str:
    return f"{label:<22}{printable(text)}"


def _part(value: Json) -> Document:
    assert isinstance(value, dict)
    return value


def _number(value: Json) -> float:
    assert isinstance(value, int | float)
    return value
