"""How much of the options' variance belongs to the report: a Bayesian linear fit over all usable expirations.

Total at-the-forward variances are w_i = n_i·σ_J² + ∫v(u)du, with n_i reports before expiration i and an ambient
variance rate v whose prior is a Gaussian process (level, short-end tilt, wandering). Patell and Wolfson (1979) and
Dubinsky, Johannes, Kaeck and Seeger (RFS 32(2), 2019) have the model; two expirations after the report
give their closed form. Everything is in total variance and variance time; `implied_move.py` makes percent of it.
"""

from collections.abc import Sequence
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
    """What the expirations say, shapes (E,): total variance with standard error, and the reports before (0 or 1)."""

    variance: FloatArray
    variance_se: FloatArray
    reports: IntArray

    def only(self, rows: BoolArray) -> "TermVariances":
        """The same with fewer expirations."""
        return TermVariances(self.variance[rows], self.variance_se[rows], self.reports[rows])


@dataclass(frozen=True, slots=True, eq=False)
class AmbientPrior:
    """What ordinary variance should be on each of C clocks, before any option is looked at.

    `rate` a year of variance time; `time` (C, E) years to each expiration, `session_time` (C,) of the reaction session.
    Of the ordinary variance until each expiration the `covariance` (C, E, E), and that with the session's, (C, E).
    """

    rate: float
    time: FloatArray
    session_time: FloatArray
    covariance: FloatArray
    session_covariance: FloatArray
    session_variance: FloatArray

    @classmethod
    def on_clocks(cls, times: FloatArray, rate: float, level_sd: float) -> "AmbientPrior":
        """The prior by variance time (C, E + 2), whose last two are the closes around the reaction session.

        `level_sd` is relative to `rate`, which is positive.
        """
        covariance = rate**2 * _integrated_covariance(times, level_sd)
        session = covariance[:, :, -1] - covariance[:, :, -2]
        return cls(
            rate,
            times[:, :-2],
            times[:, -1] - times[:, -2],
            covariance[:, :-2, :-2],
            session[:, :-2],
            session[:, -1] - session[:, -2],
        )

    def first(self) -> "AmbientPrior":
        """The first clock's alone."""
        fields = self.time, self.session_time, self.covariance, self.session_covariance, self.session_variance
        return AmbientPrior(self.rate, *(field[:1] for field in fields))

    def only(self, rows: BoolArray) -> "AmbientPrior":
        """The same with fewer expirations."""
        return replace(
            self,
            time=self.time[:, rows],
            covariance=self.covariance[:, rows][:, :, rows],
            session_covariance=self.session_covariance[:, rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class EventFit:
    """The posterior of one fit, total variances: the jump's, the reaction session's (jump and ordinary variance), the
    ambient variance a year of variance time around the report, and the largest leave-one-out error in standard errors.

    `day_se` has everything in it, `day_quote_se` the part that quotes and smiles have; `day_gains` (E,) is by how much
    the session's variance rises with each expiration's, `precision` (E, E) the inverse covariance of the variances.
    """

    day_gains: FloatArray
    precision: FloatArray
    jump_variance: float
    jump_se: float
    day_variance: float
    day_se: float
    day_quote_se: float
    ambient_rate: float
    worst_misfit: float


def two_expiration_variances(first: float, first_time: float, second: float, second_time: float) -> tuple[float, float]:
    """Jump variance and ambient rate from two expirations after the report: flat ambient, two equations.

    σ_J² = (w₁T₂ − w₂T₁)/(T₂ − T₁) and v = (w₂ − w₁)/(T₂ − T₁); the unit of time is the caller's.
    """
    rate = (second - first) / (second_time - first_time)
    return first - rate * first_time, rate


def fit_events(terms: Sequence[TermVariances], prior: AmbientPrior) -> tuple[EventFit, ...]:
    """The posterior of jump and ambient variance on each clock of the prior; `terms` has one entry a clock.

    All have the same expirations, of which at least one is after the report.
    """
    variance = np.array([one.variance for one in terms])
    holds = (terms[0].reports > 0).astype(np.float64)
    event = int(holds.argmax())
    vague = (VAGUE * variance[:, event]) ** 2
    link_jump = vague[:, None] * holds
    after = variance[:, event, None] + prior.rate * (prior.time - prior.time[:, event, None])
    expected = np.where(holds > 0, after, prior.rate * prior.time)
    noise = np.array([one.variance_se for one in terms]) ** 2 + (MODEL_NOISE * expected) ** 2
    observed = prior.covariance + link_jump[:, :, None] * holds
    diagonal = np.arange(len(holds))
    observed[:, diagonal, diagonal] += noise
    precision: FloatArray = np.linalg.inv(observed).astype(np.float64)
    pull = (precision @ (variance - prior.rate * prior.time)[:, :, None])[:, :, 0]
    # Of the jump and of the reaction session: what each expiration's variance says of them, means and variances.
    links = np.stack((link_jump, link_jump + prior.session_covariance), axis=1)
    gains = links @ precision
    session_mean = prior.rate * prior.session_time
    jump, day = (links @ pull[:, :, None])[:, :, 0].T
    ambient = session_mean + (prior.session_covariance * pull).sum(axis=1)
    own = np.stack((vague, vague + prior.session_variance), axis=1)
    errors = np.sqrt(np.maximum(own - (gains * links).sum(axis=2), 1e-30))
    quote_se = np.sqrt((gains[:, 1] ** 2 * noise).sum(axis=1))
    misfit = (np.abs(pull) / np.sqrt(np.diagonal(precision, axis1=1, axis2=2))).max(axis=1)
    columns = (jump, errors[:, 0], session_mean + day, errors[:, 1], quote_se, ambient / prior.session_time, misfit)
    figures = np.array(columns).T.tolist()
    return tuple(EventFit(gains[clock, 1], precision[clock], *each) for clock, each in enumerate(figures))


def monotone_rows(terms: TermVariances, prior: AmbientPrior) -> BoolArray:
    """The expirations (E,) to fit, so that none after the event's raises the event's move by being dearer.

    Extrapolating a term structure backwards gives far expirations a small gain of either sign. Of two later ones the
    dearer must mean more ordinary variance, never more event: those with a positive gain are left out, one after the
    other. Without row i of a precision matrix P the other gains are g − gᵢ·Pᵢ/Pᵢᵢ. The prior's first clock is used.
    """
    rows = np.ones(len(terms.variance), dtype=np.bool_)
    later = np.flatnonzero(terms.reports > 0)[1:]
    if not len(later):
        return rows
    (whole,) = fit_events((terms,), prior.first())
    gains, precision = whole.day_gains, whole.precision
    while len(later) and gains[later].max() > 0:
        worst = later[int(np.argmax(gains[later]))]
        gains = gains - gains[worst] * precision[worst] / precision[worst, worst]
        precision = precision - np.outer(precision[worst], precision[worst]) / precision[worst, worst]
        rows[worst] = False
        later = later[later != worst]
    return rows


def _integrated_covariance(times: FloatArray, level_sd: float) -> FloatArray:
    """Relative prior covariance of ∫₀^t v for all pairs of times (C, n): level + tilt·e^{−8t} + Ornstein-Uhlenbeck."""
    one, other = times[:, :, None], times[:, None, :]
    tilt = TILT_SD / TILT_RATE * np.expm1(-TILT_RATE * one)
    lost = np.expm1(-WANDER_RATE * one)
    apart = np.expm1(-WANDER_RATE * np.abs(one - other))
    shared = 2 * WANDER_RATE * np.minimum(one, other) + lost + lost.transpose(0, 2, 1) - apart
    return level_sd**2 * one * other + tilt * tilt.transpose(0, 2, 1) + (WANDER_SD / WANDER_RATE) ** 2 * shared
