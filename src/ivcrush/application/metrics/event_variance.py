"""How much of the options' variance belongs to the report: a Bayesian linear fit over all usable expirations.

Total at-the-forward variances are w_i = n_i·σ_J² + ∫v(u)du, with n_i reports before expiration i and an ambient
variance rate v whose prior is a Gaussian process (level, short-end tilt, wandering). Patell and Wolfson (1979) and
Dubinsky, Johannes, Kaeck and Seeger (RFS 32(2), 2019) have the model; two expirations after the report
give their closed form. Everything is in total variance and variance time; `implied_move.py` makes percent of it.
"""

from dataclasses import dataclass, replace

import numpy as np

from ivcrush.domain.types import BoolArray, FloatArray, IntArray

# Relative to the mean ambient variance: how wrong its level is, how much more or less the next weeks hold, and how much
# the rate wanders; rates a year of variance time.
LEVEL_SD = 0.5
TILT_SD, TILT_RATE = 0.6, 8.0
WANDER_SD, WANDER_RATE = 0.2, 12.0
# Market makers' smiles disagree with any model by this share of the variance.
MODEL_NOISE = 0.008
# Without realised volatility the level is read off the same expirations, and worth less.
LEVEL_SD_FROM_OPTIONS = 1.0
MISFIT_ERRORS = 3.0
# The event's own prior is flat: this many times the variance of its expiration.
VAGUE = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class TermVariances:
    """What the expirations say, shapes (E,): total variance with standard error, variance time in years, reports
    before (0 or 1); and the variance time of the closes around the reaction session."""

    variance: FloatArray
    variance_se: FloatArray
    time: FloatArray
    reports: IntArray
    day_start: float
    day_end: float

    def only(self, rows: BoolArray) -> "TermVariances":
        """The same with fewer expirations."""
        return replace(
            self,
            variance=self.variance[rows],
            variance_se=self.variance_se[rows],
            time=self.time[rows],
            reports=self.reports[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class EventFit:
    """The posterior of one fit, total variances: the jump's, the reaction session's (jump and ordinary variance), the
    ambient variance a year of variance time around the report, and the largest leave-one-out error in standard errors.

    `day_se` has everything in it, `day_quote_se` the part that quotes and smiles have; `day_gains` (E,) is by how much
    the session's variance rises with each expiration's, `precision` (E, E) the inverse covariance of the variances.
    """

    jump_variance: float
    jump_se: float
    day_variance: float
    day_se: float
    day_quote_se: float
    ambient_rate: float
    worst_misfit: float
    day_gains: FloatArray
    precision: FloatArray


def two_expiration_variances(first: float, first_time: float, second: float, second_time: float) -> tuple[float, float]:
    """Jump variance and ambient rate from two expirations after the report: flat ambient, two equations.

    σ_J² = (w₁T₂ − w₂T₁)/(T₂ − T₁) and v = (w₂ − w₁)/(T₂ − T₁); the unit of time is the caller's.
    """
    rate = (second - first) / (second_time - first_time)
    return first - rate * first_time, rate


def fit_event(terms: TermVariances, ambient_mean: float, level_sd: float) -> EventFit:
    """Posterior of jump and ambient variance; `ambient_mean` is a variance a year of variance time, positive."""
    times = np.concatenate((terms.time, (terms.day_start, terms.day_end)))
    covariance = ambient_mean**2 * _integrated_covariance(times, level_sd)
    mean = ambient_mean * times
    count = len(terms.time)
    holds = (terms.reports > 0).astype(np.float64)
    vague = (VAGUE * float(terms.variance[terms.reports > 0][0])) ** 2
    noise = terms.variance_se**2 + (MODEL_NOISE * _expected(terms, ambient_mean)) ** 2
    observed = covariance[:count, :count] + vague * np.outer(holds, holds) + np.diag(noise)
    precision: FloatArray = np.linalg.inv(observed).astype(np.float64, copy=False)
    pull = precision @ (terms.variance - mean[:count])
    # Rows: jump, reaction session, ambient over the window that holds the reaction session and the first expirations.
    day = np.zeros(len(times))
    day[-2:] = (-1.0, 1.0)
    link_day = covariance[:, :count].T @ day
    link_jump = vague * holds
    links = np.stack((link_jump, link_jump + link_day))
    base = np.array((vague, vague + day @ covariance @ day))
    means = np.array((0.0, mean @ day)) + links @ pull
    variances = base - np.einsum("ki,ij,kj->k", links, precision, links)
    errors = np.sqrt(np.maximum(variances, 1e-30))
    gains = links[1] @ precision
    ambient_day = mean @ day + link_day @ pull
    misfit = np.abs(pull) / np.sqrt(np.diag(precision))
    return EventFit(
        float(means[0]),
        float(errors[0]),
        float(means[1]),
        float(errors[1]),
        float(np.sqrt(gains**2 @ noise)),
        float(ambient_day / (terms.day_end - terms.day_start)),
        float(misfit.max()),
        gains,
        precision,
    )


def fit_monotone(terms: TermVariances, ambient_mean: float, level_sd: float) -> tuple[EventFit, BoolArray]:
    """The fit, and the expirations (E,) in it, so that none after the event's raises the event's move by being dearer.

    Extrapolating a term structure backwards gives far expirations a small gain of either sign. Of two later ones the
    dearer must mean more ordinary variance, never more event: those with a positive gain are left out, one after the
    other. Without row i of a precision matrix P the other gains are g − gᵢ·Pᵢ/Pᵢᵢ.
    """
    whole = fit_event(terms, ambient_mean, level_sd)
    later = np.flatnonzero(terms.reports > 0)[1:]
    rows = np.ones(len(terms.variance), dtype=np.bool_)
    gains, precision = whole.day_gains, whole.precision
    while len(later) and gains[later].max() > 0:
        worst = later[int(np.argmax(gains[later]))]
        gains = gains - gains[worst] * precision[worst] / precision[worst, worst]
        precision = precision - np.outer(precision[worst], precision[worst]) / precision[worst, worst]
        rows[worst] = False
        later = later[later != worst]
    return (whole if rows.all() else fit_event(terms.only(rows), ambient_mean, level_sd)), rows


def _expected(terms: TermVariances, ambient_mean: float) -> FloatArray:
    """What each total variance should about be, by the event's expiration and the prior alone, shape (E,)."""
    holds = terms.reports > 0
    event = int(np.argmax(holds))
    after = terms.variance[event] + ambient_mean * (terms.time - terms.time[event])
    return np.where(holds, after, ambient_mean * terms.time)


def _integrated_covariance(times: FloatArray, level_sd: float) -> FloatArray:
    """Relative prior covariance of ∫₀^t v for all pairs of times: level + tilt·e^{−8t} + Ornstein-Uhlenbeck."""
    tilt = -np.expm1(-TILT_RATE * times) / TILT_RATE
    one, other = times[:, None], times[None, :]
    decay = np.exp(-WANDER_RATE * times)
    shared = 2 * WANDER_RATE * np.minimum(one, other) - 1 + decay[:, None] + decay[None, :]
    wander = (shared - np.exp(-WANDER_RATE * np.abs(one - other))) / WANDER_RATE**2
    return level_sd**2 * one * other + TILT_SD**2 * np.outer(tilt, tilt) + WANDER_SD**2 * wander
