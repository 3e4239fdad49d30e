"""docs/metrics.md names every key, flag and assumption that the program has, and its example by hand is right."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from math import erf, exp, log, pi, sqrt
from statistics import NormalDist

import pytest

from ivcrush.application.documents import Json, RunFacts, analysis_document, batch_report, failure_document
from ivcrush.application.metrics import event_move, event_variance, session_clock, skew, vrp
from ivcrush.application.metrics.black76 import straddle_fraction, straddle_stdev
from ivcrush.application.metrics.evaluation import DOUBTS, evaluate
from ivcrush.application.metrics.implied_move import implied_move
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import AppError, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import EvaluationSettings, HistoricalMove, MarketSnapshot, MissingMove
from tests.conftest import PROJECT
from tests.unit.metrics.option_market import AS_OF, NEXT, chain, event_chains, smile_of, snapshot

TEXT = (PROJECT / "docs/metrics.md").read_text()
SOURCES = (
    *(PROJECT / "src/ivcrush/application").rglob("*.py"),
    *(PROJECT / "src/ivcrush/infrastructure/api").rglob("*.py"),
)
WORD = re.compile(r"[a-z]+(_[a-z]+)+")
WEDNESDAY_CLOSE = datetime(2026, 5, 13, 16, 0, tzinfo=NEW_YORK)
THURSDAY, FRIDAY = date(2026, 5, 14), date(2026, 5, 15)
SIZES = (3.0, 6.0, 4.0, 2.0, 8.0, 5.0, 1.0, 3.0)


def section(title: str) -> str:
    """The text below a heading of the second level."""
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's lines, its head left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def past_moves(sizes: tuple[float, ...] = SIZES) -> tuple[HistoricalMove, ...]:
    """One a quarter, newest first; percent."""
    return tuple(
        HistoricalMove(day, Timing.AMC, day, 100.0, size, size / 2, size / 2, size)
        for index, size in enumerate(sizes)
        for day in [date(2026 - index // 4, 11 - 3 * (index % 4), 5)]
    )


def analysed() -> MarketSnapshot:
    """A company with every block: eight past moves, one report without one, four expirations."""
    missing = (MissingMove(date(2024, 2, 5), Timing.UNKNOWN, "session of the report unknown"),)
    return replace(snapshot(event_chains()), moves=past_moves(), missing=missing)


def keys(value: Json, prefix: str = "") -> Iterator[str]:
    """The dotted names of all leaves, `[]` for the entries of a list of objects."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from keys(inner, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from keys(value[0], f"{prefix}[]")
    else:
        yield prefix


def test_every_key_of_an_analysis_is_named() -> None:
    analysis = evaluate(analysed())
    assert isinstance(analysis, Ok)
    document = analysis_document(analysis.value)
    printed = set(keys(document))
    assert not [name for name in printed if ".error." in name]
    assert {name for name in printed if f"`{name}`" not in TEXT} == set()


def test_every_key_of_a_batch_is_named() -> None:
    failure = failure_document(TickerFailure("XYZ", AppError(ErrorCode.NODATA, "XYZ: no options")))
    facts = RunFacts("1", AS_OF, simulated=False, depth=3, requests=1, cache_hits=0, elapsed_s=0.1)
    report = batch_report([], [failure], facts)
    document = {**report.head, "failures": [failure]}
    printed = {name for name in keys(document) if name not in ("schema", "analyses", "failures[].schema")}
    assert {name for name in printed if f"`{name}`" not in TEXT} == set()


def test_no_field_is_named_that_is_not_printed() -> None:
    analysis = evaluate(analysed())
    assert isinstance(analysis, Ok)
    printed = set(keys(analysis_document(analysis.value)))
    blocks = "earnings|implied_move|history|vrp|consistency|skew|term_structure|execution"
    named = set(re.findall(rf"`((?:{blocks})(?:\[\])?\.[a-z0-9_.\[\]]+)`", TEXT))
    parents = {name.rsplit("[]", 1)[0] for name in printed if "[]" in name}
    sources = {path.name for path in SOURCES}
    assert named - printed - parents - sources - {"vrp.error.code", "vrp.error.message"} == set()


def emitted_flags() -> set[str]:
    """The words with an underscore that stand where the sources make flags."""
    return {word for path in SOURCES for word in flag_words(ast.parse(path.read_text()))}


def flag_words(tree: ast.Module) -> Iterator[str]:
    """Words in functions named after flags, in `flags.append(…)`, yielded, alone in a tuple or added to a tuple."""
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        inside: list[ast.expr] = []
        if isinstance(node, ast.FunctionDef) and "flag" in node.name:
            inside = [each for each in ast.walk(node) if isinstance(each, ast.Constant)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "flags.append":
            inside = node.args
        elif isinstance(node, ast.Yield) and node.value is not None:
            inside = [node.value]
        elif isinstance(node, ast.Tuple) and (len(node.elts) == 1 or _extends(node)):
            inside = node.elts
        for each in inside:
            word = constants.get(each.id) if isinstance(each, ast.Name) else getattr(each, "value", None)
            if isinstance(word, str) and WORD.fullmatch(word):
                yield word


def _extends(node: ast.Tuple) -> bool:
    return any(isinstance(each, ast.Starred) for each in node.elts)


def test_the_table_of_flags_holds_every_flag_that_the_sources_emit_and_no_other() -> None:
    listed = [row[0].strip("`") for row in rows(section("Flags"))]
    assert len(listed) == len(set(listed))
    assert set(listed) == emitted_flags()


def test_the_flags_that_prevent_a_trade_are_marked() -> None:
    marked = {row[0].strip("`") for row in rows(section("Flags")) if row[3] == "yes"}
    assert {row[3] for row in rows(section("Flags"))} == {"yes", "no"}
    assert marked == set(DOUBTS)


def test_the_assumptions_are_those_of_the_sources() -> None:
    assumed = {
        "usual log ratio of event move to past moves": (vrp.TYPICAL_LOG_RATIO,),
        "its spread between companies, doubt about today included": (vrp.LOG_RATIO_SPREAD,),
        "usual variation of absolute moves, and its weight in moves": (vrp.TYPICAL_VARIATION, vrp.VARIATION_WEIGHT),
        "weight of a closed day against a session": (session_clock.CLOSED_DAY_WEIGHT,),
        "ordinary variance implied over realised": (event_move.IMPLIED_OVER_REALISED,),
        "relative doubt about ordinary variance": (event_variance.LEVEL_SD,),
        "usual risk reversal over ATM IV, and the neutral band": (skew.NORMAL_RISK_REVERSAL, skew.NEUTRAL_BAND),
        "risk-free rate, percent a year": (EvaluationSettings().risk_free_rate_pct,),
    }
    table = rows(section("Assumed, not measured"))
    assert {row[0]: tuple(float(number) for number in row[1].split(",")) for row in table} == assumed


def test_forty_two_percent_of_normal_moves_exceed_their_mean_size() -> None:
    outside = 2 * (1 - NormalDist().cdf(sqrt(2 / pi)))
    assert round(100 * outside) == 42
    assert "42 %" in section("Event move")


def test_with_twelve_moves_of_ordinary_scatter_the_interval_passes_one_from_a_ratio_of_1_7_on() -> None:
    noise = 0.85**2 / 12 * (1 + 0.85**2 / 24)
    weight = 0.17**2 / (0.17**2 + noise)
    needed = exp(0.10 + noise / 2 + (1.645 * sqrt(weight * noise) - 0.10) / weight)
    assert round(needed, 1) == 1.7
    assert "a ratio of about 1.7" in re.sub(r"\s+", " ", section("VRP ratio"))


def cdf(x: float) -> float:
    return 0.5 * (1 + erf(x / sqrt(2)))


def calculated(text: str) -> float:
    """What a calculator says to a line of the example."""
    spelled = text.replace("×", "*").replace("−", "-").replace("²", "**2").replace("√", "sqrt")
    assert re.fullmatch(r"(sqrt|ln|exp|Φ|[0-9. ()*/+-])+", spelled), text
    value = eval(spelled, {"__builtins__": {}}, {"sqrt": sqrt, "ln": log, "exp": exp, "Φ": cdf})
    return float(value)


EXAMPLE = [tuple(row) for row in rows(section("One example by hand"))]
RESULTS = {what: float(result) for what, _, result in EXAMPLE}


@pytest.mark.parametrize(("what", "calculation", "result"), EXAMPLE, ids=lambda text: text[:30])
def test_every_line_of_the_example_follows_to_its_last_digit(what: str, calculation: str, result: str) -> None:
    digits = len(result.partition(".")[2])
    assert abs(calculated(calculation) - float(result)) <= 0.5 * 10**-digits + 1e-12


def test_every_number_a_line_uses_is_given_or_the_result_of_a_line_above() -> None:
    given = {"5.60", "5.70", "5.50", "6.70", "100", "7.3", "2", "1.5708", "0.79788", "79.788", "268.95", "0.03", "0.10"}
    given |= {"0.17", "0.85", "1.645", "1", "8", "7", "16", *(f"{size:.0f}" for size in SIZES)}
    given |= {f"{(size - 4) ** 2:.0f}" for size in SIZES}
    for _, calculation, result in EXAMPLE:
        assert set(re.findall(r"[0-9.]+", calculation)) <= given, calculation
        given.add(result)


def unrounded() -> dict[str, float]:
    """The example once more, by the exact form and without rounding in between."""
    first, second = ((2 * NormalDist().inv_cdf((dollars / 100 + 2) / 4)) ** 2 for dollars in (5.60, 6.70))
    bids = (2 * NormalDist().inv_cdf((5.50 / 100 + 2) / 4)) ** 2
    day = (second - first) / (7.3 - 2)
    jump = first - 2 * day
    move = 100 * (4 * cdf(sqrt(jump + day) / 2) - 2)
    net = 100 * (4 * cdf(sqrt(jump + day - (first - bids)) / 2) - 2)
    ratio = move / 4
    scatter = (8 * 36 / 7 / 16 + 8 * 0.85**2) / 16
    history = scatter / 8 * (1 + scatter / 16)
    noise = history + 0.03**2
    weight = 0.17**2 / (0.17**2 + noise)
    mean, sd = 0.10 + weight * (log(ratio) - history / 2 - 0.10), sqrt(weight * noise)
    return {
        "variance to the first expiration, w₁": first,
        "variance to the second, w₂": second,
        "ordinary variance a day": day,
        "jump variance": jump,
        "`jump_sigma_pct`": 100 * sqrt(jump),
        "`event_sigma_pct`": 100 * sqrt(jump + day),
        "`event_move_pct`": move,
        "`event_share_of_variance`": jump / first,
        "`ratio`": ratio,
        "`shrunk_ratio`": exp(mean),
        "`interval_90`, lower": exp(mean - 1.645 * sd),
        "`interval_90`, upper": exp(mean + 1.645 * sd),
        "`edge_score`": mean / sd,
        "`probability_above_one`": cdf(mean / sd),
        "`net_event_move_pct`": net,
    }


def test_the_example_without_rounding_differs_by_less_than_two_in_a_thousand() -> None:
    for what, value in unrounded().items():
        assert RESULTS[what] == pytest.approx(value, rel=2e-3), what


def test_our_functions_agree_with_the_example() -> None:
    calendar = MarketCalendar()
    clock = session_clock.SessionClock.to_closes(WEDNESDAY_CLOSE, (THURSDAY, FRIDAY, NEXT), calendar)
    assert clock.variance_time() == pytest.approx([1, 2, 7.3])
    assert session_clock.variance_days_per_year() == pytest.approx(268.95)
    first, second = straddle_stdev(0.056) ** 2, straddle_stdev(0.067) ** 2
    jump, day = event_variance.two_expiration_variances(first, 2, second, 7.3)
    assert jump == pytest.approx(RESULTS["jump variance"], rel=1e-3)
    assert day == pytest.approx(RESULTS["ordinary variance a day"], rel=2e-3)
    move_pct = 100 * straddle_fraction(sqrt(jump + day))
    assert round(move_pct, 3) == RESULTS["`event_move_pct`"]
    assert vrp.point_ratio(move_pct, 4) == pytest.approx(RESULTS["`ratio`"], abs=0.001)
    posterior = vrp.posterior_log_ratio(RESULTS["`ratio`"], SIZES, 0.03)
    lower, upper = RESULTS["`interval_90`, lower"], RESULTS["`interval_90`, upper"]
    assert posterior.mean == pytest.approx(RESULTS["mean of the log ratio"], abs=1e-4)
    assert posterior.interval_90() == pytest.approx((lower, upper), abs=5e-4)
    assert posterior.probability_above(0) == pytest.approx(RESULTS["`probability_above_one`"], abs=1e-3)


def test_the_program_comes_near_the_example_and_calls_it_marginal_and_not_tradeable() -> None:
    chains = [
        chain(day, smile_of(straddle_stdev(dollars / 100)), quoted_at=WEDNESDAY_CLOSE)
        for day, dollars in ((FRIDAY, 5.60), (NEXT, 6.70))
    ]
    market = snapshot(chains, report=WEDNESDAY_CLOSE.date(), as_of=WEDNESDAY_CLOSE, realised=0.32)
    reading = implied_move(market)
    assert isinstance(reading, Ok)
    assert reading.value.move.straddle_pct == pytest.approx(5.60, abs=0.01)
    assert reading.value.move.event_move_pct == pytest.approx(RESULTS["`event_move_pct`"], abs=0.1)
    analysis = evaluate(replace(market, moves=past_moves()))
    assert isinstance(analysis, Ok)
    assert analysis.value.recommendation == "marginal"
    assert not analysis.value.tradeable
    assert isinstance(analysis.value.history, Ok)
    assert analysis.value.history.value.inside_implied == 6


def test_the_data_of_the_inside_probability_are_credited() -> None:
    assert "[EarningsWatcher](https://earnings-watcher.com), CC BY 4.0" in TEXT
