"""Which answers of a scan remain, and in what order: by a least ratio, by any number of the document, by a count.

Pure functions of documents. What is sorted out is given back with the reason. Says nothing of whether to trade.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from ivcrush.application.documents import Document, Json
from ivcrush.application.ranking import Answer, ranked
from ivcrush.domain.enums import LeftOut

# A ratio within this share below the asked one is no worse than its own noise.
NEARLY: Final = 0.9

# Every number of an analysis that stands for the whole company, by its place in the document.
SORT_FIELDS: Final = (
    "spot",
    "forward",
    "implied_move.atm_strike",
    "implied_move.straddle_cost",
    "implied_move.straddle_pct",
    "implied_move.jump_sigma_pct",
    "implied_move.event_sigma_pct",
    "implied_move.event_move_pct",
    "implied_move.event_move_se_pct",
    "implied_move.event_share_of_variance",
    "implied_move.ambient_vol_pct",
    "implied_move.lower",
    "implied_move.upper",
    "implied_move.quotes_used",
    "straddle.days",
    "straddle.sessions",
    "straddle.after_report",
    "straddle.delta",
    "straddle.gamma",
    "straddle.vega",
    "straddle.theta",
    "history.quarters",
    "history.mean_abs_pct",
    "history.median_abs_pct",
    "history.max_abs_pct",
    "history.inside_implied",
    "vrp.ratio",
    "vrp.straddle_ratio",
    "vrp.shrunk_ratio",
    "vrp.probability_above_one",
    "vrp.probability_above_typical",
    "vrp.inside_probability",
    "vrp.edge_score",
    "vrp.tail_ratio",
    "vrp.quarters",
    "consistency.score",
    "consistency.mad_pct",
    "consistency.weighted_mean_abs_pct",
    "consistency.effective_quarters",
    "consistency.trend_pct_per_quarter",
    "consistency.trend_se_pct_per_quarter",
    "skew.risk_reversal_25d_pct",
    "skew.butterfly_25d_pct",
    "skew.atm_iv_pct",
    "skew.slope",
    "skew.curvature",
    "skew.points",
    "term_structure.slope",
    "term_structure.expected_iv_crush_pct",
    "execution.straddle_spread_pct",
    "execution.open_interest",
    "execution.volume",
    "execution.depth_contracts",
    "execution.cost_pct",
    "execution.cost_of_event_move_pct",
    "execution.strangle_cost_of_event_move_pct",
    "execution.net_event_move_pct",
    "execution.quote_age_s",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a scan was asked for: None asks for nothing. `sort` is one of `SORT_FIELDS`, largest first."""

    min_vrp: float | None = None
    sort: str | None = None
    top: int | None = None


@dataclass(frozen=True, slots=True)
class SortedOut:
    """An answer that does not remain; `code` names the filter."""

    answer: Answer
    code: LeftOut
    reason: str
    near_miss: bool
    ratio: float | None


def sort_field(text: str) -> str:
    """The field that a person means: its place, or its last name where no other has the same.

    Raises ValueError with all of them for anything else.
    """
    if text in SORT_FIELDS:
        return text
    found = [field for field in SORT_FIELDS if field.rpartition(".")[2] == text]
    if len(found) != 1:
        raise ValueError(f"one of {', '.join(found or map(_shortest, SORT_FIELDS))}")
    return found[0]


def sieved(answers: Sequence[Answer], wish: Wish) -> tuple[tuple[Answer, ...], tuple[SortedOut, ...]]:
    """The answers that remain, in their order, and the others."""
    ratios = {id(found): _number(found, "vrp.ratio") for found in answers}
    low = [] if wish.min_vrp is None else [_too_low(found, ratios[id(found)], wish.min_vrp) for found in answers]
    poor = [each for each in low if each is not None]
    gone = {id(each.answer) for each in poor}
    kept = _ordered([found for found in answers if id(found) not in gone], wish.sort)
    beyond = [] if wish.top is None else kept[wish.top :]
    placed = [
        SortedOut(
            found,
            LeftOut.RANK,
            f"place {place} of {len(kept)}, the first {wish.top} were asked for",
            near_miss=False,
            ratio=ratios[id(found)],
        )
        for place, found in enumerate(beyond, len(kept) - len(beyond) + 1)
    ]
    return tuple(kept[: len(kept) - len(beyond)]), (*poor, *placed)


def _shortest(field: str) -> str:
    name = field.rpartition(".")[2]
    return name if sum(other.rpartition(".")[2] == name for other in SORT_FIELDS) == 1 else field


def _too_low(found: Answer, ratio: float | None, least: float) -> SortedOut | None:
    if ratio is None:
        return SortedOut(found, LeftOut.NO_VRP, f"without a VRP ratio, {least:g} needed", near_miss=False, ratio=None)
    if ratio >= least:
        return None
    near = ratio >= NEARLY * least
    return SortedOut(found, LeftOut.VRP_RATIO, f"VRP ratio {ratio:.2f}, {least:g} needed", near_miss=near, ratio=ratio)


def _ordered(answers: Sequence[Answer], sort: str | None) -> list[Answer]:
    """Ranked; or by a field, largest first, ranked where equal, those without it last."""
    first = ranked(answers)
    if sort is None:
        return list(first)
    values = [(_number(found, sort), found) for found in first]
    with_value = sorted(((value, found) for value, found in values if value is not None), key=lambda each: -each[0])
    return [*(found for _, found in with_value), *(found for value, found in values if value is None)]


def _number(found: Answer, field: str) -> float | None:
    """The number at a place of the document, None where its block is an error or it is null."""
    value: Json = _read(found.document)
    for name in field.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) else None


def _read(document: bytes) -> Document:
    found: Document = msgspec.json.decode(document)
    return found
