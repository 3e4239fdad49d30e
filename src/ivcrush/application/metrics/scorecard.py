"""The few figures that tell whether the analyses were right: level, probability, ranking, and what a verdict was worth.

Works on reports that are paired with their moves already. Means and sums over reports; every figure that could be luck
carries an interval (`scoring.py`), and says nothing where there are too few reports for one.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp, log
from statistics import fmean

import numpy as np

from ivcrush.application.metrics.scoring import (
    ENOUGH_REPORTS,
    Statistic,
    estimate,
    log_losses,
    rank_correlation,
    squared_losses,
    stated_variance,
    transformed,
)
from ivcrush.domain.analysis import StatedRatio
from ivcrush.domain.enums import Recommendation
from ivcrush.domain.score import (
    CalibrationBin,
    Estimate,
    GroupScore,
    InsideScore,
    RichnessScore,
    Scorecard,
    ScoredReport,
)
from ivcrush.domain.types import BoolArray, FloatArray

BINS = 3

_Reports = Sequence[ScoredReport]
_Stated = Sequence[tuple[ScoredReport, StatedRatio]]
_Losses = Callable[[FloatArray, BoolArray], FloatArray]


def score_reports(reports: _Reports) -> Scorecard:
    """All figures of one or more reports."""
    stated = [(each, said) for each in reports if (said := each.statement.stated) is not None]
    return Scorecard(
        reports=len(reports),
        companies=len({each.statement.ticker for each in reports}),
        sessions=len({each.move.reaction_session for each in reports}),
        implied_pct=fmean(map(_implied, reports)),
        realised_pct=fmean(each.realised_pct for each in reports),
        ratio=_ratio_of_sums(reports),
        inside=_inside(stated) if stated else None,
        richness=_richness(stated),
        groups=_groups(reports),
    )


def _ratio_of_sums(reports: _Reports) -> Estimate | None:
    """Σ implied / Σ |move|, its interval on the log scale, where it is more nearly symmetric; None without a move.

    The ratio of sums and not the mean of ratios: a move near zero makes a single ratio anything.
    """
    found = _estimate(reports, [(_implied(each), each.realised_pct) for each in reports], _log_ratio)
    return None if found is None else transformed(found, exp)


def _inside(stated: _Stated) -> InsideScore:
    """Stated P(|move| <= straddle) against what came, and against the share inside of the same reports.

    That share is the sample climatology of Murphy 1973: a hard opponent, for it is known only afterwards. `excess` is
    calibration in the large.
    """
    reports = [each for each, _ in stated]
    rows = [(said.inside_probability, float(each.inside)) for each, said in stated]
    probability, happened = np.array(rows).T
    base = np.full(len(rows), happened.mean())
    squared, logs = (
        [float(losses(each, happened > 0).mean()) for each in (probability, base)]
        for losses in (squared_losses, log_losses)
    )
    excess = _estimate(
        reports, rows, lambda kept: float((kept[:, 1] - kept[:, 0]).mean()), stated_variance(probability)
    )
    return InsideScore(
        reports=len(rows),
        stated=float(probability.mean()),
        inside=float(happened.mean()),
        excess=_certain(excess),
        brier=squared[0],
        base_brier=squared[1],
        brier_gain=_gain(reports, rows, squared_losses),
        log_loss=logs[0],
        base_log_loss=logs[1],
        log_loss_gain=_gain(reports, rows, log_losses),
        bins=_bins(stated),
    )


def _gain(reports: _Reports, rows: Sequence[tuple[float, ...]], losses: _Losses) -> Estimate:
    """What the base rate of the rows loses more than their probabilities, a report."""

    def gain(kept: FloatArray) -> float:
        probability, happened = kept.T
        return float(_gains(probability, happened > 0, float(happened.mean()), losses).mean())

    probability, happened = np.array(rows).T
    inside, outside = (
        _gains(probability, np.full(len(rows), came), float(happened.mean()), losses) for came in (True, False)
    )
    return _certain(_estimate(reports, rows, gain, stated_variance(probability, inside - outside)))


def _gains(probability: FloatArray, happened: BoolArray, base_rate: float, losses: _Losses) -> FloatArray:
    return losses(np.full(len(probability), base_rate), happened) - losses(probability, happened)


def _bins(stated: _Stated) -> tuple[CalibrationBin, ...]:
    """Three bins of equally many reports, by stated probability; none below `ENOUGH_REPORTS` in each."""
    if len(stated) < BINS * ENOUGH_REPORTS:
        return ()
    ranked = sorted(stated, key=lambda pair: (pair[1].inside_probability, pair[0].statement.number))
    bounds = [len(ranked) * part // BINS for part in range(BINS + 1)]
    return tuple(_bin(ranked[low:high]) for low, high in pairwise(bounds))


def _bin(stated: _Stated) -> CalibrationBin:
    reports = [each for each, _ in stated]
    rows = [(float(each.inside),) for each in reports]
    probability = np.array([said.inside_probability for _, said in stated])
    came = _certain(_estimate(reports, rows, _first_mean, stated_variance(probability)))
    return CalibrationBin(len(rows), float(probability.mean()), transformed(came, _as_share))


def _richness(stated: _Stated) -> RichnessScore | None:
    """Level and order of the stated ratios; None where none was stated, or nothing moved.

    A shrunk ratio R says that implied/R is the mean move to expect, so Σ implied / Σ(implied/R) is what the ratios
    promised for Σ implied / Σ |move|. Order: Spearman's rho of the point ratio with 1 − |move|/implied, the share of
    the implied move that did not come.
    """
    reports = [each for each, _ in stated]
    realised = _ratio_of_sums(reports) if reports else None
    if realised is None:
        return None
    rows = [(said.ratio, 1 - each.realised_pct / _implied(each)) for each, said in stated]
    expected = sum(_implied(each) / said.shrunk_ratio for each, said in stated)
    return RichnessScore(
        reports=len(reports),
        stated_ratio=sum(map(_implied, reports)) / expected,
        realised_ratio=realised,
        rank_correlation=_estimate(reports, rows, lambda kept: rank_correlation(kept[:, 0], kept[:, 1])),
    )


def _groups(reports: _Reports) -> tuple[GroupScore, ...]:
    """Each recommendation that was given, best first, and the tradeable ones."""
    by_name = {
        word.value: [each for each in reports if each.statement.recommendation is word] for word in Recommendation
    }
    by_name["tradeable"] = [each for each in reports if each.statement.tradeable]
    return tuple(_group(name, members) for name, members in by_name.items() if members)


def _group(name: str, reports: _Reports) -> GroupScore:
    costed = [(each, after) for each in reports if (after := each.after_costs_pct) is not None]
    return GroupScore(
        name=name,
        reports=len(reports),
        implied_pct=fmean(map(_implied, reports)),
        realised_pct=fmean(each.realised_pct for each in reports),
        premium_pct=_certain(_estimate(reports, [(each.premium_pct,) for each in reports], _first_mean)),
        costed=len(costed),
        after_costs_pct=(
            _estimate([each for each, _ in costed], [(after,) for _, after in costed], _first_mean) if costed else None
        ),
    )


def _estimate(
    reports: _Reports, rows: Sequence[tuple[float, ...]], statistic: Statistic, least_variance: float = 0.0
) -> Estimate | None:
    """The statistic of the reports' rows, clustered as reports are."""
    return estimate(
        np.array(rows),
        statistic,
        companies=[each.statement.ticker for each in reports],
        sessions=[each.move.reaction_session for each in reports],
        least_variance=least_variance,
    )


def _certain(found: Estimate | None) -> Estimate:
    """A statistic that always has a value."""
    assert found is not None
    return found


def _log_ratio(kept: FloatArray) -> float | None:
    implied, realised = kept.sum(axis=0)
    return log(implied / realised) if realised > 0 else None


def _first_mean(kept: FloatArray) -> float:
    return float(kept[:, 0].mean())


def _as_share(number: float) -> float:
    return min(1.0, max(0.0, number))


def _implied(report: ScoredReport) -> float:
    return report.statement.event_move_pct
