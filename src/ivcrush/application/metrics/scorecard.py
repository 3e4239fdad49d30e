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
    Statistic,
    brier_score,
    estimate,
    log_loss,
    rank_correlation,
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
from ivcrush.domain.types import FloatArray

BINS = 3
ENOUGH_IN_A_BIN = 30

_Reports = Sequence[ScoredReport]
_Stated = Sequence[tuple[ScoredReport, StatedRatio]]


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
    losses = [score(each, happened > 0) for score in (brier_score, log_loss) for each in (probability, base)]
    return InsideScore(
        reports=len(rows),
        stated=float(probability.mean()),
        inside=float(happened.mean()),
        excess=_certain(_estimate(reports, rows, lambda kept: float((kept[:, 1] - kept[:, 0]).mean()))),
        brier=losses[0],
        base_brier=losses[1],
        brier_gain=_certain(_estimate(reports, rows, _gain(brier_score))),
        log_loss=losses[2],
        base_log_loss=losses[3],
        log_loss_gain=_certain(_estimate(reports, rows, _gain(log_loss))),
        bins=_bins(stated),
    )


def _bins(stated: _Stated) -> tuple[CalibrationBin, ...]:
    """Three bins of equally many reports, by stated probability; none below thirty in each."""
    if len(stated) < BINS * ENOUGH_IN_A_BIN:
        return ()
    ranked = sorted(stated, key=lambda pair: (pair[1].inside_probability, pair[0].statement.number))
    bounds = [len(ranked) * part // BINS for part in range(BINS + 1)]
    return tuple(_bin(ranked[low:high]) for low, high in pairwise(bounds))


def _bin(stated: _Stated) -> CalibrationBin:
    reports = [each for each, _ in stated]
    rows = [(float(each.inside),) for each in reports]
    mean = fmean(said.inside_probability for _, said in stated)
    return CalibrationBin(len(rows), mean, _certain(_estimate(reports, rows, _first_mean)))


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


def _estimate(reports: _Reports, rows: Sequence[tuple[float, ...]], statistic: Statistic) -> Estimate | None:
    """The statistic of the reports' rows, clustered as reports are."""
    return estimate(
        np.array(rows),
        statistic,
        companies=[each.statement.ticker for each in reports],
        sessions=[each.move.reaction_session for each in reports],
    )


def _certain(found: Estimate | None) -> Estimate:
    """A statistic that always has a value."""
    assert found is not None
    return found


def _gain(score: Callable[..., float]) -> Statistic:
    """What the base rate of the rows loses more than their probabilities."""

    def gain(kept: FloatArray) -> float:
        probability, happened = kept.T
        base = np.full(len(kept), happened.mean())
        return score(base, happened > 0) - score(probability, happened > 0)

    return gain


def _log_ratio(kept: FloatArray) -> float | None:
    implied, realised = kept.sum(axis=0)
    return log(implied / realised) if realised > 0 else None


def _first_mean(kept: FloatArray) -> float:
    return float(kept[:, 0].mean())


def _implied(report: ScoredReport) -> float:
    return report.statement.event_move_pct
