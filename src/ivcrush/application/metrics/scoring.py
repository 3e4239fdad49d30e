"""How a forecast is scored, and how far a score can be trusted: losses, rank correlation, intervals by the jackknife.

Knows no options and no reports. An interval leaves out one cluster at a time, because reports that share something
share their luck: the market of a session, the habits of a company. No chance is drawn, so the same reports always give
the same interval.
"""

from collections.abc import Callable, Hashable, Sequence
from math import sqrt

import numpy as np

from ivcrush.application.metrics.quantiles import t_95
from ivcrush.domain.analysis import Interval
from ivcrush.domain.score import Estimate
from ivcrush.domain.types import BoolArray, FloatArray, IntArray

CERTAINTY_MARGIN = (
    0.01  # probabilities are taken as no nearer to certainty than this: one surprise is not the whole loss
)
# Reports that show a true ratio of 1.5 in four of five cases, |moves| varying by 0.9 of their mean. The whole interval
# is to lie above 1, 5 % being left out at either end: (1.6449 + 0.8416)² · 0.9² / ln² 1.5 = 31. One of 1.25 takes 101.
ENOUGH_REPORTS = 31
ENOUGH_SESSIONS = 8
MOST_GROUPS = 200

Statistic = Callable[[FloatArray], float | None]


def squared_losses(probability: FloatArray, happened: BoolArray) -> FloatArray:
    """Squared differences of probability and outcome, shape (n,); their mean is the Brier score (1950, two classes)."""
    losses: FloatArray = (probability - happened) ** 2
    return losses


def log_losses(probability: FloatArray, happened: BoolArray) -> FloatArray:
    """Negative natural logs of the probabilities given to what happened (Good 1952), shape (n,).

    Probabilities are kept `CERTAINTY_MARGIN` from certainty.
    """
    safe = np.clip(probability, CERTAINTY_MARGIN, 1 - CERTAINTY_MARGIN)
    losses: FloatArray = -np.log(np.where(happened, safe, 1 - safe))
    return losses


def stated_variance(probability: FloatArray, effect: FloatArray | float = 1.0) -> float:
    """Σp(1 − p)·effect²/n²: the variance of a mean over n outcomes that come with the stated probabilities.

    `effect` is what each outcome changes in its term of the mean, 1 for a share.
    """
    return float((probability * (1 - probability) * np.square(effect)).sum()) / len(probability) ** 2


def rank_correlation(one: FloatArray, other: FloatArray) -> float | None:
    """Spearman's rho (1904): the correlation of the ranks, ties at their mean rank; None where one is all ties."""
    first, second = (_ranks(each) - (len(each) + 1) / 2 for each in (one, other))
    spread = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / spread if spread > 0 else None


def estimate(
    values: FloatArray,
    statistic: Statistic,
    *,
    companies: Sequence[Hashable],
    sessions: Sequence[Hashable],
    least_variance: float = 0.0,
) -> Estimate | None:
    """A statistic of rows (shape (n, k)) with its 90 % interval; None where it has no value.

    `companies` and `sessions` name each row's clusters. The interval is never narrower than `least_variance` makes it,
    which chance has where every outcome was the same and leaving out shows none. There is none below `ENOUGH_REPORTS`
    rows or `ENOUGH_SESSIONS` sessions, nor where leaving out leaves nothing to compute.
    """
    value = statistic(values)
    if value is None:
        return None
    degrees = len(set(sessions)) - 1
    if len(values) < ENOUGH_REPORTS or degrees + 1 < ENOUGH_SESSIONS:
        return Estimate(value, None)
    found = _reach_both_ways(values, statistic, companies, sessions)
    if found is None:
        return Estimate(value, None)
    reach = max(found, t_95(degrees) * sqrt(least_variance))
    return Estimate(value, (value - reach, value + reach))


def transformed(found: Estimate, back: Callable[[float], float]) -> Estimate:
    """The estimate on another, rising scale."""
    interval: Interval | None = None
    if found.interval_90 is not None:
        low, high = found.interval_90
        interval = back(low), back(high)
    return Estimate(back(found.value), interval)


def _reach_both_ways(
    values: FloatArray, statistic: Statistic, companies: Sequence[Hashable], sessions: Sequence[Hashable]
) -> float | None:
    """Of reports that share the luck of their session and that of their company.

    The squared reaches of both clusterings are added, less that of both together, which both hold (Cameron, Gelbach and
    Miller 2011); it is never below either of the two (MacKinnon, Nielsen and Webb 2024, Jackknife inference with
    two-way clustering). One company alone is no sample of companies, and only its sessions count.
    """
    if len(set(companies)) == 1:
        return _reach(values, statistic, _labels(sessions))
    clusterings = (sessions, companies, [*zip(sessions, companies, strict=True)])
    found = [_reach(values, statistic, _labels(each)) for each in clusterings]
    known = [reach * reach for reach in found if reach is not None]
    if len(known) < len(found):
        return None
    by_session, by_company, by_both = known
    return sqrt(max(by_session, by_company, by_session + by_company - by_both))


def _reach(values: FloatArray, statistic: Statistic, labels: IntArray) -> float | None:
    """t(0.95, G − 1) · √((G − 1)/G · Σ(θ₋g − θ̄)²), θ₋g the statistic without cluster g of G.

    The delete-one-cluster jackknife (Efron and Tibshirani 1993, ch. 11) with G − 1 degrees of freedom, which holds its
    level with few clusters best (MacKinnon, Nielsen and Webb 2023, Cluster-robust inference: A guide to empirical
    practice). None where the statistic has no value without one of them.
    """
    count = int(labels.max()) + 1
    without = [statistic(values[labels != cluster]) for cluster in range(count)]
    found = np.array([each for each in without if each is not None])
    if len(found) < count:
        return None
    spread = float(((found - found.mean()) ** 2).sum())
    return t_95(count - 1) * float(np.sqrt((count - 1) / count * spread))


def _labels(clusters: Sequence[Hashable]) -> IntArray:
    """Whole numbers from 0 on, in order of first meeting; clusters beyond `MOST_GROUPS` join those before.

    The delete-a-group jackknife (Kott 2001, Journal of Official Statistics 17): as good, and no slower with more.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    return np.array([numbers[name] % MOST_GROUPS for name in clusters])


def _ranks(values: FloatArray) -> FloatArray:
    """1 to n; equal values share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: FloatArray = (ends - (counts - 1) / 2)[places]
    return ranks
