"""Which answers of a scan remain and in what order; every one that does not is given back with the reason."""

from collections.abc import Iterator

import msgspec
import pytest

from ivcrush.application.documents import Document, Json, analysis_document
from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.application.ranking import Answer, answer
from ivcrush.application.sieve import SORT_FIELDS, Wish, sieved, sort_field
from ivcrush.domain.errors import Ok
from tests.unit.test_metrics_document import analysed


def found(ticker: str, ratio: float | None, edge: float = 0.0, **blocks: Json) -> Answer:
    """An answer whose document holds what a sieve looks at."""
    vrp: Json = {"error": {"code": "NODATA"}} if ratio is None else {"ratio": ratio, "edge_score": edge}
    document: Document = {"ticker": ticker, "tradeable": False, "vrp": vrp, **blocks}
    return answer(msgspec.json.encode(document))


def tickers(answers: tuple[Answer, ...]) -> list[str]:
    return [each.ticker for each in answers]


FOUR = (found("LOW", 0.8, 0.1), found("RICH", 1.9, 2.0), found("MIDDLE", 1.4, 1.0), found("NEW", None))


def test_with_no_wish_all_remain_ranked_by_edge_score() -> None:
    kept, out = sieved(FOUR, Wish())
    assert (tickers(kept), out) == (["RICH", "MIDDLE", "LOW", "NEW"], ())


def test_a_ratio_below_the_asked_one_goes_and_within_a_tenth_below_it_is_a_near_miss() -> None:
    kept, out = sieved(FOUR, Wish(min_vrp=1.5))
    assert tickers(kept) == ["RICH"]
    assert {each.answer.ticker: (each.code, each.reason, each.near_miss, each.ratio) for each in out} == {
        "LOW": ("vrp_ratio", "VRP ratio 0.80, 1.5 needed", False, 0.8),
        "MIDDLE": ("vrp_ratio", "VRP ratio 1.40, 1.5 needed", True, 1.4),
        "NEW": ("no_vrp", "without a VRP ratio, 1.5 needed", False, None),
    }


@pytest.mark.parametrize(("ratio", "remains", "near"), [(1.5, True, None), (1.35, False, True), (1.34, False, False)])
def test_the_asked_ratio_itself_is_enough_and_nine_tenths_of_it_is_near(
    ratio: float, remains: bool, near: bool | None
) -> None:
    kept, out = sieved((found("IBM", ratio),), Wish(min_vrp=1.5))
    assert bool(kept) is remains
    assert [each.near_miss for each in out] == ([] if near is None else [near])


def test_the_first_few_are_taken_after_sorting_and_the_others_are_told_their_place() -> None:
    kept, out = sieved(FOUR, Wish(top=2))
    assert tickers(kept) == ["RICH", "MIDDLE"]
    assert [(each.answer.ticker, each.code, each.reason) for each in out] == [
        ("LOW", "rank", "place 3 of 4, the first 2 were asked for"),
        ("NEW", "rank", "place 4 of 4, the first 2 were asked for"),
    ]


def test_fewer_answers_than_the_first_few_all_remain() -> None:
    kept, out = sieved(FOUR, Wish(top=9))
    assert (len(kept), out) == (4, ())


def test_a_field_sorts_the_largest_first_equals_by_rank_and_those_without_it_last() -> None:
    answers = (
        found("A", 1.0, 1.0, execution={"open_interest": 50}),
        found("B", 1.0, 3.0, execution={"error": {"code": "NODATA"}}),
        found("C", 1.0, 2.0, execution={"open_interest": 50}),
        found("D", 1.0, 0.0, execution={"open_interest": 900}),
        found("E", 1.0, 4.0, execution={"open_interest": None}),
    )
    kept, _ = sieved(answers, Wish(sort="execution.open_interest"))
    assert tickers(kept) == ["D", "C", "A", "E", "B"]


def test_a_least_ratio_counts_before_the_first_few_are_taken() -> None:
    kept, out = sieved(FOUR, Wish(min_vrp=1.0, sort="vrp.ratio", top=1))
    assert tickers(kept) == ["RICH"]
    assert {each.answer.ticker: each.code for each in out} == {"LOW": "vrp_ratio", "NEW": "no_vrp", "MIDDLE": "rank"}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("ratio", "vrp.ratio"),
        ("edge_score", "vrp.edge_score"),
        ("shrunk_ratio", "vrp.shrunk_ratio"),
        ("event_move_pct", "implied_move.event_move_pct"),
        ("term_structure.slope", "term_structure.slope"),
        ("spot", "spot"),
    ],
)
def test_a_field_is_named_by_its_place_or_by_its_last_name(text: str, field: str) -> None:
    assert sort_field(text) == field


def test_a_last_name_that_two_fields_have_is_refused_with_both() -> None:
    with pytest.raises(ValueError, match=r"^one of skew\.slope, term_structure\.slope$"):
        sort_field("slope")


@pytest.mark.parametrize("text", ["", "vrp", "tradeable", "vrp.error", "Ratio", "history.moves", "implied_move.flags"])
def test_anything_else_is_refused_with_all_fields_by_their_shortest_names(text: str) -> None:
    with pytest.raises(ValueError, match=r"^one of spot, .*, history\.quarters, .*, ratio, ") as raised:
        sort_field(text)
    assert len(str(raised.value).split(", ")) == len(SORT_FIELDS)


def numbers(value: Json, prefix: str = "") -> Iterator[str]:
    """The dotted names of all numbers that stand in no list."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from numbers(inner, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield prefix


def test_the_fields_are_the_numbers_of_an_analysis() -> None:
    analysis = evaluate(analysed())
    assert isinstance(analysis, Ok)
    assert set(numbers(analysis_document(analysis.value))) == set(SORT_FIELDS)
