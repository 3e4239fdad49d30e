"""Refits the constants of the inside-probability and of the ratio's prior, and prints how well the model predicts.

    python scripts/fit_inside_probability.py [path to earningswatcher_2022_2026.csv]

Data: EarningsWatcher, https://earnings-watcher.com, CC BY 4.0. Prints; changes nothing.
"""

import csv
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ivcrush.application.metrics.inside_probability import (
    MODEL,
    InsideModel,
    session_count,
    shrunk_excess,
)
from ivcrush.application.metrics.scoring import log_losses, squared_losses
from ivcrush.application.metrics.vrp import TYPICAL_VARIATION, VARIATION_WEIGHT

DATA = Path(__file__).resolve().parents[1] / "../shared/data/earningswatcher_2022_2026.csv"
CREDIT = "EarningsWatcher, https://earnings-watcher.com, CC BY 4.0"
MAX_QUARTERS, MIN_QUARTERS = 12, 4
SPLITS = 20
RIDGE = 10.0  # weight of the pull to the base rate, in reports' worth of squared standardised slope
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reports:
    """Reports as columns, shape (n,), features from earlier reports of the same company only."""

    company: npt.NDArray[np.str_]
    weekday: npt.NDArray[np.int64]
    straddle_pct: FloatArray
    move_pct: FloatArray
    quarters: npt.NDArray[np.int64]
    straddle_ratio: FloatArray  # 1.0 without history
    variation: FloatArray  # squared coefficient of variation of the past moves, shrunk; NaN below MIN_QUARTERS
    raw_share: FloatArray  # of past moves inside today's straddle; NaN without history
    inside: npt.NDArray[np.bool_]
    sessions: npt.NDArray[np.int64]

    def of(self, rows: npt.NDArray[np.bool_]) -> "Reports":
        """The reports of those rows."""
        return Reports(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean Brier score and log loss (natural) over the splits, and in how many the model beats the base rate."""

    name: str
    brier: float
    log_loss: float
    brier_wins: int
    log_loss_wins: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Model, constant base rate and raw share on companies they were not fitted on, and the reliability table.

    `reliability` rows: (lower, upper, reports, mean predicted, share inside), pooled over the splits' test reports.
    """

    splits: int
    model: Scores
    base_rate: Scores
    raw_share: Scores
    all_reports_model: Scores
    all_reports_base_rate: Scores
    reliability: tuple[tuple[float, float, int, float, float], ...]


def read_reports(path: Path = DATA) -> Reports:
    """The data set with its walk-forward features; a company's reports in order of date."""
    by_company: dict[str, list[tuple[date, float, float]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            day = date.fromisoformat(row["report_date"])
            by_company[row["symbol"]].append((day, float(row["implied_move_pct"]), float(row["close_move_pct"])))
    rows = [
        _report(company, reports, index)
        for company, reports in sorted((company, sorted(reports)) for company, reports in by_company.items())
        for index in range(len(reports))
    ]
    return Reports(*(np.array(column) for column in zip(*rows, strict=True)))


def fit_model(reports: Reports) -> InsideModel:
    """Ridge logistic regression by Newton's method, on the reports with at least four earlier ones.

    The others serve as history only: nothing is printed for them either, and they are nearly all of 2022 and early
    2023, when more moves stayed inside.
    """
    reports = reports.of(reports.quarters >= MIN_QUARTERS)
    typical = float(np.log(reports.straddle_ratio).mean())
    features = np.column_stack([_excess(reports, typical), reports.sessions])
    centre, scale = features.mean(axis=0), features.std(axis=0)
    design = np.column_stack([np.ones(len(features)), (features - centre) / scale])
    penalty = RIDGE * np.diag([0.0, 1.0, 1.0])
    weights = np.zeros(3)
    for _ in range(30):
        fitted = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (reports.inside - fitted) - penalty @ weights
        curvature = design.T @ (design * (fitted * (1 - fitted))[:, None]) + penalty
        weights = weights + np.linalg.solve(curvature, gradient)
    slopes = weights[1:] / scale
    intercept = float(weights[0] - slopes @ centre)
    return InsideModel(intercept, float(slopes[0]), typical, float(slopes[1]))


def evaluate(reports: Reports, splits: int = SPLITS) -> Evaluation:
    """Half the companies fit, the other half test, `splits` seeded times.

    The first three scores are of test reports with at least four earlier ones (a raw share needs some), the base rate
    being that of the like fit reports; the last two are of all test reports.
    """
    companies = np.unique(reports.company)
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    pooled: list[tuple[FloatArray, npt.NDArray[np.bool_]]] = []
    for seed in range(splits):
        chosen = np.random.default_rng(seed).permutation(companies)[: len(companies) // 2]
        in_fit = np.isin(reports.company, chosen)
        fit, test = reports.of(in_fit), reports.of(~in_fit)
        model = fit_model(fit)
        for scope, rows, reference in (
            ("all", test, fit),
            ("", test.of(test.quarters >= MIN_QUARTERS), fit.of(fit.quarters >= MIN_QUARTERS)),
        ):
            predicted = predict(model, rows)
            scores[scope + "model"].append(_score(predicted, rows.inside))
            base = np.full(len(predicted), reference.inside.mean())
            scores[scope + "base rate"].append(_score(base, rows.inside))
        scores["raw share"].append(_score(rows.raw_share, rows.inside))
        pooled.append((predicted, rows.inside))
    return Evaluation(
        splits,
        _summary("model", scores["model"], scores["base rate"]),
        _summary("base rate", scores["base rate"], scores["base rate"]),
        _summary("raw share", scores["raw share"], scores["base rate"]),
        _summary("model", scores["allmodel"], scores["allbase rate"]),
        _summary("base rate", scores["allbase rate"], scores["allbase rate"]),
        _reliability(pooled),
    )


def predict(model: InsideModel, reports: Reports) -> FloatArray:
    """The model's probability for each report, shape (n,)."""
    rows = zip(reports.straddle_ratio, reports.quarters, reports.sessions, strict=True)
    return np.array([model.probability(float(ratio), int(count), int(left)) for ratio, count, left in rows])


def main() -> int:
    """Print constants, evaluation and the figures behind the prior of the ratio."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    if not path.is_file():
        print(f"{path}: no such file; the EarningsWatcher reports are needed", file=sys.stderr)
        return 1
    reports = read_reports(path)
    print(f"{len(reports.inside)} reports of {len(np.unique(reports.company))} companies. Data: {CREDIT}\n")
    print(f"fitted  {fit_model(reports)}\nin code {MODEL}\n")
    print_evaluation(evaluate(reports))
    print_prior(reports)
    return 0


def print_evaluation(found: Evaluation) -> None:
    """The scores and the reliability table."""
    print(f"{found.splits} splits by company, half to fit, half to test (wins: splits better than the base rate)")
    for title, group in (
        (f"reports with {MIN_QUARTERS} or more earlier ones", (found.model, found.base_rate, found.raw_share)),
        ("all reports", (found.all_reports_model, found.all_reports_base_rate)),
    ):
        print(f"  {title}")
        for each in group:
            wins = f"wins {each.brier_wins}/{each.log_loss_wins}"
            print(f"    {each.name:<10} Brier {each.brier:.5f}  log loss {each.log_loss:.5f}  {wins}")
    print("\nreliability (test reports of all splits)\n  predicted      reports  mean  share inside")
    for lower, upper, count, mean, share in found.reliability:
        print(f"  {lower:.2f} to {upper:.2f}  {count:8d}  {mean:.3f} {share:.3f}")


def print_prior(reports: Reports) -> None:
    """What the straddle ratios say about the prior of `vrp.py`: the level by weekday, the spread by two methods."""
    realised = np.abs(reports.move_pct) / reports.straddle_pct
    late = reports.weekday >= 3
    print(f"\nprior of the ratio\n  mean |move| / straddle {realised.mean():.3f}; Monday to Friday", end=" ")
    print(", ".join(f"{realised[reports.weekday == day].mean():.3f}" for day in range(5)))
    print(f"  Thursdays and Fridays: {late.sum()} reports, {realised[late].mean():.3f}", end="")
    print(f" = exp(-{-np.log(realised[late].mean()):.3f})")
    print(f"  spread between companies after sampling noise: {_spread_between(reports.company, realised):.3f}")
    print("  slope of ln E(|move|/straddle) on the shrunk excess (-1: rightly shrunk), by spread assumed")
    for spread in (0.10, 0.13, 0.15, 0.17, 0.20, 0.25):
        print(f"    {spread:.2f}: {_slope_on_shrunk(reports, realised, spread):+.2f}")


def _report(
    company: str, reports: list[tuple[date, float, float]], index: int
) -> tuple[str, int, float, float, int, float, float, float, bool, int]:
    day, straddle, move = reports[index]
    past = np.abs([each[2] for each in reports[max(0, index - MAX_QUARTERS) : index]])
    count, mean = len(past), float(past.mean()) if len(past) else 0.0
    variation = float("nan")
    if count >= MIN_QUARTERS and mean > 0:
        own = float(past.var(ddof=1)) / mean**2
        variation = (count * own + VARIATION_WEIGHT * TYPICAL_VARIATION**2) / (count + VARIATION_WEIGHT)
    return (
        company,
        day.weekday(),
        straddle,
        move,
        count if mean > 0 else 0,
        straddle / mean if mean > 0 else 1.0,
        variation,
        float((past <= straddle).mean()) if count else float("nan"),
        abs(move) <= straddle,
        session_count(4 - day.weekday()),
    )


def _excess(reports: Reports, typical: float) -> FloatArray:
    rows = zip(reports.straddle_ratio, reports.quarters, strict=True)
    return np.array([shrunk_excess(float(ratio), int(count), typical) for ratio, count in rows])


def _score(predicted: FloatArray, inside: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Brier score and log loss, as `ivcrush score` computes them too."""
    return float(squared_losses(predicted, inside).mean()), float(log_losses(predicted, inside).mean())


def _summary(name: str, scores: list[tuple[float, float]], base: list[tuple[float, float]]) -> Scores:
    mine, theirs = np.array(scores), np.array(base)
    brier, log_loss = mine.mean(axis=0)
    brier_wins, log_loss_wins = (mine < theirs).sum(axis=0)
    return Scores(name, float(brier), float(log_loss), int(brier_wins), int(log_loss_wins))


def _reliability(
    pooled: list[tuple[FloatArray, npt.NDArray[np.bool_]]],
) -> tuple[tuple[float, float, int, float, float], ...]:
    predicted = np.concatenate([each[0] for each in pooled])
    inside = np.concatenate([each[1] for each in pooled])
    table = []
    for lower, upper in ((0.0, 0.6), (0.6, 0.65), (0.65, 0.7), (0.7, 0.75), (0.75, 1.0)):
        rows = (predicted >= lower) & (predicted < upper)
        if rows.any():
            table.append((lower, upper, int(rows.sum()), float(predicted[rows].mean()), float(inside[rows].mean())))
    return tuple(table)


def _spread_between(company: npt.NDArray[np.str_], realised: FloatArray) -> float:
    """Standard deviation of the companies' ln(mean |move|/straddle) less what sampling alone makes."""
    logs, noise = [], []
    for name in np.unique(company):
        own = realised[company == name]
        if len(own) >= 8:
            logs.append(np.log(own.mean()))
            noise.append(own.var(ddof=1) / own.mean() ** 2 / len(own))
    return float(max(0.0, np.var(logs, ddof=1) - np.mean(noise)) ** 0.5)


def _slope_on_shrunk(reports: Reports, realised: FloatArray, spread: float) -> float:
    """Quasi-Poisson regression of |move|/straddle on the excess shrunk with that spread."""
    enough = reports.quarters >= MIN_QUARTERS
    noise = reports.variation[enough] / reports.quarters[enough]
    excess = np.log(reports.straddle_ratio[enough]) - noise / 2
    design = np.column_stack([np.ones(int(enough.sum())), spread**2 / (spread**2 + noise) * (excess - excess.mean())])
    weights = np.array([np.log(realised[enough].mean()), 0.0])
    for _ in range(30):
        fitted = np.exp(design @ weights)
        step = design.T @ (realised[enough] - fitted)
        weights = weights + np.linalg.solve(design.T @ (design * fitted[:, None]), step)
    return float(weights[1])


if __name__ == "__main__":
    raise SystemExit(main())
