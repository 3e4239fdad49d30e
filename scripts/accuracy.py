"""How accurate, how honest and how fast the numbers are: reference tables, chains with known truth, real reports.

    python scripts/accuracy.py

Reads ../shared where it is there and says what it leaves out where it is not. Exit status 1 where a limit is missed.
Speed is compared in this one run with QuantLib and py_vollib, where they are installed.
"""

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fit_inside_probability
import msgspec
import numpy as np

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from tests.accuracy.cassettes import read_cassette, snapshot_of  # noqa: E402
from tests.accuracy.known_truth import (  # noqa: E402
    AFTERNOONS,
    Comparison,
    case_comparisons,
    mixture_comparisons,
    recorded_reading,
    simulated_comparisons,
    summarise,
)
from tests.accuracy.tables import reference_tables  # noqa: E402

from ivcrush.application.metrics import black76  # noqa: E402
from ivcrush.application.metrics.implied_move import implied_move  # noqa: E402
from ivcrush.domain.errors import Err  # noqa: E402

SHARED = PROJECT.parent / "shared"
REPEATS = 60


class Limits:
    """Prints each figure with its limit and remembers the ones that were missed."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def check(self, name: str, value: str, limit: str, *, held: bool) -> None:
        """One line; `held` says whether the figure is inside the limit."""
        print(f"  {name:<48} {value:>14}   limit {limit:<12} {'ok' if held else 'MISSED'}")
        if not held:
            self.missed.append(name)


def main() -> int:
    """Print everything; 1 if a limit was missed."""
    limits = Limits()
    if SHARED.is_dir():
        print_tables(limits)
        print_cases(limits)
        print_recorded(limits)
    else:
        print(f"Left out, for {SHARED} is not there: reference tables, shared cases, recorded chain, real reports.")
    print_simulated(limits)
    if SHARED.is_dir():
        print_inside_probability(limits)
    print_speed(limits)
    print(f"\n{len(limits.missed)} limits missed" + (": " + ", ".join(limits.missed) if limits.missed else ""))
    return 1 if limits.missed else 0


def print_tables(limits: Limits) -> None:
    """Prices and volatilities against published and recomputed tables."""
    print("Reference tables (worst row)")
    for each in reference_tables(SHARED / "quant"):
        limits.check(
            f"{each.table} ({each.rows})", f"{each.worst:.1e} {each.unit}", f"{each.limit:g}", held=each.passed
        )


def print_cases(limits: Limits) -> None:
    """The shared chains with known truth."""
    print("\nChains with known truth: event move")
    cases = case_comparisons(SHARED)
    for each in cases:
        print_comparison(each)
    alone = summarise(each for each in cases if each.name.startswith("C22"))
    others = summarise(each for each in cases if not each.name.startswith("C22"))
    median, inside = summarise(cases).median_pct, sum(each.covered for each in cases)
    limits.check("median error", f"{median:.2f} %", "1.5 %", held=median <= 1.5)
    limits.check("worst error, several expirations", f"{others.worst_pct:.1f} %", "8 %", held=others.worst_pct <= 8)
    limits.check("worst error, one expiration", f"{alone.worst_pct:.1f} %", "15 %", held=alone.worst_pct <= 15)
    limits.check("inside the 90 % interval", f"{inside} of {len(cases)}", "9", held=inside >= 9)
    right = sum(each.right_expiration for each in cases)
    limits.check("right expiration", f"{right} of {len(cases)}", "all", held=right == len(cases))


def print_comparison(each: Comparison) -> None:
    """One line a case."""
    low, high = each.interval_90_pct
    print(
        f"  {each.name:<44} truth {each.truth_pct:6.3f}  estimate {each.estimate_pct or 0:6.3f}  "
        f"{each.error_pct:+5.1f} %  90 % [{low:.2f}, {high:.2f}]{'' if each.covered else ' misses'}"
    )


def print_recorded(limits: Limits) -> None:
    """The recorded chain before a real report, for which there is no truth but the published range."""
    reading = recorded_reading(SHARED)
    print("\nRecorded TSLA chains, 2026-01-28")
    if isinstance(reading, Err):
        limits.check("reading", str(reading.error), "a reading", held=False)
        return
    move = reading.value.move
    limits.check("straddle", f"{move.straddle_pct:.2f} %", "5.4 to 5.8", held=5.4 <= move.straddle_pct <= 5.8)
    limits.check("event move", f"{move.event_move_pct:.2f} %", "5.1 to 5.6", held=5.1 <= move.event_move_pct <= 5.6)


def print_simulated(limits: Limits) -> None:
    """Simulated companies and mixture worlds, by the shape of their jumps."""
    for title, found in (
        ("Simulated market", simulated_comparisons(len(AFTERNOONS))),
        ("Mixtures of lognormals", mixture_comparisons(400)),
    ):
        print(f"\n{title}: event move against truth")
        for shape in sorted({each.shape for each in found}):
            part = summarise(each for each in found if each.shape == shape)
            print(
                f"  {shape:<12} n {part.count:4}  median {part.median_pct:5.2f} %  bias {part.bias_pct:+5.2f} %  "
                f"coverage {100 * part.coverage:5.1f} %  refused {part.refused}"
            )
        whole = summarise(found)
        limits.check(
            f"median error of {whole.count}", f"{whole.median_pct:.2f} %", "2.5 %", held=whole.median_pct <= 2.5
        )
        limits.check("coverage", f"{100 * whole.coverage:.1f} %", "85 to 95 %", held=0.85 <= whole.coverage <= 0.95)


def print_inside_probability(limits: Limits) -> None:
    """P(|move| <= straddle) on companies it was not fitted on, against the base rate and the raw share."""
    print(f"\nInside-probability on real reports. Data: {fit_inside_probability.CREDIT}")
    found = fit_inside_probability.evaluate(fit_inside_probability.read_reports())
    fit_inside_probability.print_evaluation(found)
    for name in ("brier", "log_loss"):
        model, base, raw = (getattr(each, name) for each in (found.model, found.base_rate, found.raw_share))
        limits.check(f"{name} against the base rate", f"{model:.4f}", f"< {base:.4f}", held=model < base)
        limits.check(f"{name} against the raw share", f"{model:.4f}", f"< {raw:.4f}", held=model < raw)


def print_speed(limits: Limits) -> None:
    """Inversion against two libraries, and a reading against decoding its JSON."""
    print("\nSpeed (best of repeated runs)")
    for count, least in ((200, 1.5), (1000, 4.0)):
        ours, theirs, scalar = inversion_times(count)
        print(f"  inversion of {count} quotes: {1e6 * ours / count:.2f} µs a quote")
        if theirs is not None:
            limits.check(
                f"QuantLib, {count} quotes", f"{theirs / ours:.1f} x", f"{least:g} x", held=theirs / ours >= least
            )
        if scalar is not None:
            limits.check(f"py_vollib, {count} quotes", f"{scalar / ours:.0f} x", "20 x", held=scalar / ours >= 20)
    if SHARED.is_dir():
        for name in ("cases/C22", "cases/C13", "tsla-2026-01-28"):
            print_reading_time(name)


def inversion_times(count: int) -> tuple[float, float | None, float | None]:
    """Seconds for that many quotes: ours, QuantLib's, py_vollib's; None where a library is missing."""
    rng = np.random.default_rng(1)
    forward = np.full(count, 100.0)
    stdev = np.exp(rng.uniform(np.log(0.02), np.log(0.5), count))
    strike = forward * np.exp(rng.uniform(-2.5, 2.5, count) * stdev)
    calls = strike > forward
    prices = black76.price(forward, strike, stdev, calls)
    ours = best(lambda: black76.implied_stdev(prices, forward, strike, calls), repeats=10 * REPEATS)
    return ours, quantlib_time(prices, strike, calls), vollib_time(prices, strike, calls)


def quantlib_time(prices: Any, strike: Any, calls: Any) -> float | None:
    """A loop over blackFormulaImpliedStdDev with arguments at hand."""
    if importlib.util.find_spec("QuantLib") is None:
        return None
    quantlib: Any = importlib.import_module("QuantLib")
    kinds = [quantlib.Option.Call if call else quantlib.Option.Put for call in calls]
    rows = list(zip(kinds, strike.tolist(), prices.tolist(), strict=True))
    invert = quantlib.blackFormulaImpliedStdDev
    return best(lambda: [invert(kind, k, 100.0, price) for kind, k, price in rows])


def vollib_time(prices: Any, strike: Any, calls: Any) -> float | None:
    """A loop over py_vollib's Black-76 inversion with arguments at hand."""
    if importlib.util.find_spec("py_vollib") is None:
        return None
    module: Any = importlib.import_module("py_vollib.black.implied_volatility")
    rows = list(zip(prices.tolist(), strike.tolist(), ["c" if call else "p" for call in calls], strict=True))
    invert = module.implied_volatility
    return best(lambda: [invert(price, 100.0, k, 0.0, 1.0, kind) for price, k, kind in rows], repeats=3)


def print_reading_time(name: str) -> None:
    """A whole reading of a cassette against decoding its options with msgspec."""
    cassette = read_cassette(SHARED / "cassettes" / f"{name}.json.gz")
    (chains,) = cassette["chains"].values()
    bodies = [json.dumps({"options": {"option": rows}}).encode() for rows in chains.values()]
    snapshot = snapshot_of(cassette, 4.0)
    reading = best(lambda: implied_move(snapshot))
    decoding = best(lambda: [msgspec.json.decode(body) for body in bodies])
    rows = sum(len(each) for each in chains.values())
    print(f"  reading {name} ({rows} quotes): {1e3 * reading:.1f} ms, {reading / decoding:.1f} x its decoding")


def best(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of the fastest of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
