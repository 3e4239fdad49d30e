"""The closed form against published and constructed examples, the fit against known parts and against brute force.

Brute force is the model written out: an ordinary rate for every quarter of a session with the Gaussian prior of the
module's text, one jump, and the textbook conditional distribution of all of them given the expirations.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from ivcrush.application.metrics.event_variance import (
    AmbientPrior,
    TermVariances,
    fit_events,
    monotone_rows,
    two_expiration_variances,
)


@pytest.mark.parametrize(
    ("first_days", "second_days", "first", "second", "jump"),
    [
        # Straddles of 9.95 and 12.50 on 263.50 with 2 and 7 days left: "about 4.1 %" by the trader who posted them.
        (2, 7, 0.002239777097004803, 0.0035349124659175323, 0.041493649507360904),
        (2, 7, 0.08**2 + 2 * 0.09 / 252, 0.08**2 + 7 * 0.09 / 252, 0.08),
        (1, 6, 0.2**2 + 0.65**2 / 252, 0.2**2 + 6 * 0.65**2 / 252, 0.2),
    ],
)
def test_two_expirations_give_the_jump_in_closed_form(
    first_days: int, second_days: int, first: float, second: float, jump: float
) -> None:
    variance, _ = two_expiration_variances(first, first_days, second, second_days)
    assert variance**0.5 == pytest.approx(jump, rel=1e-9)


def test_exact_variances_with_the_right_prior_give_jump_and_session_back() -> None:
    days, session = np.array([3, 8, 13, 33]) / 252, np.array([1, 2]) / 252
    terms = TermVariances(0.06**2 + 0.09 * days, np.full(4, 1e-7), np.ones(4, dtype=np.int64))
    prior = AmbientPrior.on_clocks(np.concatenate((days, session))[None, :], 0.09, 0.5)
    (fit,) = fit_events((terms,), prior)
    assert fit.jump_variance == pytest.approx(0.0036, rel=1e-5)
    assert fit.day_variance == pytest.approx(0.0036 + 0.09 / 252, rel=1e-5)
    assert fit.ambient_rate == pytest.approx(0.09, rel=1e-5)
    assert fit.worst_misfit < 1e-3


def test_clocks_fitted_together_say_what_each_says_alone() -> None:
    times = np.array([[2, 7, 12, 1, 2], [4, 9, 16, 1, 4]]) / 252
    terms = TermVariances(np.array([0.004, 0.006, 0.007]), np.full(3, 1e-4), np.array([0, 1, 1]))
    together = fit_events((terms, terms), AmbientPrior.on_clocks(times, 0.09, 0.5))
    assert together[0].jump_variance != pytest.approx(together[1].jump_variance, rel=1e-2)
    for clock in (0, 1):
        (alone,) = fit_events((terms,), AmbientPrior.on_clocks(times[clock : clock + 1], 0.09, 0.5))
        assert alone.jump_variance == pytest.approx(together[clock].jump_variance, rel=1e-9)
        assert alone.day_se == pytest.approx(together[clock].day_se, rel=1e-6)
        assert alone.ambient_rate == pytest.approx(together[clock].ambient_rate, rel=1e-9)
        assert alone.day_quote_se == pytest.approx(together[clock].day_quote_se, rel=1e-6)


CELL = 1 / (4 * 252)  # years


@dataclass(frozen=True)
class BruteForce:
    """Expirations after so many sessions; the reaction session is the `session`-th from now."""

    sessions: tuple[int, ...]
    session: int
    variance: tuple[float, ...]
    error: tuple[float, ...]
    reports: tuple[int, ...]
    rate: float = 0.09
    level: float = 0.5

    @property
    def terms(self) -> TermVariances:
        return TermVariances(np.array(self.variance), np.array(self.error), np.array(self.reports))

    @property
    def prior(self) -> AmbientPrior:
        times = np.array([[*self.sessions, self.session - 1, self.session]]) / 252
        return AmbientPrior.on_clocks(times, self.rate, self.level)

    def inside(self) -> np.ndarray:
        """What each expiration's variance is the sum of: the jump and the years in each cell."""
        cells = np.arange(4 * max(self.sessions))
        ordinary = [np.where(cells < 4 * each, CELL, 0.0) for each in self.sessions]
        return np.column_stack((self.reports, ordinary)).astype(np.float64)

    def in_session(self) -> np.ndarray:
        """The same of the reaction session."""
        cells = np.arange(4 * max(self.sessions))
        within = (cells >= 4 * (self.session - 1)) & (cells < 4 * self.session)
        return np.concatenate(((1.0,), np.where(within, CELL, 0.0)))

    def unknowns(self) -> tuple[np.ndarray, np.ndarray]:
        """Prior mean and covariance: a jump of 30 times the event's variance, rates that have a level, a tilt that is
        over with rate 8 and wandering that is forgotten with rate 12."""
        middle = (np.arange(4 * max(self.sessions)) + 0.5) * CELL
        one, other = middle[:, None], middle[None, :]
        tilt = 0.6**2 * np.exp(-8 * (one + other))
        ordinary = self.level**2 + tilt + 0.2**2 * np.exp(-12 * np.abs(one - other))
        covariance = np.zeros((len(middle) + 1, len(middle) + 1))
        covariance[0, 0] = (30 * self.variance[self.reports.index(1)]) ** 2
        covariance[1:, 1:] = self.rate**2 * ordinary
        return np.concatenate(((0.0,), np.full(len(middle), self.rate))), covariance

    def noise(self) -> np.ndarray:
        """Quotes' errors and 0.8 % of the variance that the prior, or the event's own expiration, makes one expect."""
        first = self.reports.index(1)
        ordinary = self.rate * np.array(self.sessions) / 252
        expected = np.where(np.array(self.reports) > 0, self.variance[first] + ordinary - ordinary[first], ordinary)
        return np.array(self.error) ** 2 + (0.008 * expected) ** 2

    def posterior(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean and covariance of the unknowns given those expirations, and what each adds to the mean."""
        mean, covariance = self.unknowns()
        seen, noise = self.inside()[rows], self.noise()[rows]
        gain = np.linalg.solve(seen @ covariance @ seen.T + np.diag(noise), seen @ covariance).T
        found = mean + gain @ (np.array(self.variance)[rows] - seen @ mean)
        return found, covariance - gain @ seen @ covariance, gain

    def left_out(self) -> list[float]:
        """How far each expiration lies from what the others say, in standard errors of that."""
        inside, noise, found = self.inside(), self.noise(), []
        for row in range(len(self.sessions)):
            mean, covariance, _ = self.posterior(np.arange(len(self.sessions)) != row)
            spread = inside[row] @ covariance @ inside[row] + noise[row]
            found.append(abs(self.variance[row] - inside[row] @ mean) / spread**0.5)
        return found


WORLDS = [
    BruteForce((3, 8, 13, 33), 2, (0.0048, 0.0068, 0.0080, 0.0160), (1e-4, 2e-4, 1e-4, 5e-4), (1, 1, 1, 1)),
    BruteForce((2, 4, 9, 24), 4, (0.0009, 0.0062, 0.0075, 0.0131), (5e-5, 1e-4, 3e-4, 2e-4), (0, 1, 1, 1)),
    BruteForce((2, 5, 10), 7, (0.0006, 0.0021, 0.0102), (5e-5, 1e-4, 1e-4), (0, 0, 1), rate=0.16, level=1.0),
    BruteForce((6,), 1, (0.0060,), (1e-4,), (1,)),
]


@pytest.mark.parametrize("world", WORLDS, ids=["all after", "one before", "two before", "one"])
def test_the_fit_is_the_conditional_distribution_of_the_model_it_is_said_to_be(world: BruteForce) -> None:
    (fit,) = fit_events((world.terms,), world.prior)
    mean, covariance, gain = world.posterior(np.arange(len(world.sessions)))
    session = world.in_session()
    ordinary = session.copy()
    ordinary[0] = 0.0
    assert fit.jump_variance == pytest.approx(mean[0], rel=1e-4)
    assert fit.jump_se == pytest.approx(covariance[0, 0] ** 0.5, rel=1e-3)
    assert fit.day_variance == pytest.approx(session @ mean, rel=1e-4)
    assert fit.day_se == pytest.approx((session @ covariance @ session) ** 0.5, rel=1e-3)
    assert fit.ambient_rate == pytest.approx(ordinary @ mean * 252, rel=1e-3)
    assert fit.day_gains == pytest.approx(session @ gain, rel=5e-3, abs=1e-4)
    assert fit.day_quote_se == pytest.approx(float(np.sqrt(((session @ gain) ** 2) @ world.noise())), rel=1e-3)
    assert fit.worst_misfit == pytest.approx(max(world.left_out()), rel=1e-2)


def gains_of_later(world: BruteForce, rows: np.ndarray) -> dict[int, float]:
    """By how much the session's variance rises with that of each expiration after the event's."""
    _, _, gain = world.posterior(rows)
    event = world.reports.index(1)
    return {int(row): float(each) for row, each in zip(rows, world.in_session() @ gain, strict=True) if row > event}


@pytest.mark.parametrize(
    ("errors", "left_out"),
    [((2e-5,) * 6, [5, 4]), ((1e-4,) * 6, [2, 5, 4]), ((2e-5, 1e-3, 1e-3, 2e-5, 1e-3, 1e-3), [3, 2, 4, 5])],
)
def test_later_expirations_that_would_raise_the_move_by_being_dearer_go_the_worst_first_until_none_does(
    errors: tuple[float, ...], left_out: list[int]
) -> None:
    world = BruteForce((1, 3, 8, 13, 33, 60), 2, (4e-4, 5e-3, 7e-3, 8e-3, 0.016, 0.025), errors, (0, 1, 1, 1, 1, 1))
    rows, gone = np.arange(6), []
    while max((later := gains_of_later(world, rows)).values(), default=0.0) > 0:
        gone.append(max(later, key=later.__getitem__))
        rows = rows[rows != gone[-1]]
    assert gone == left_out
    assert np.flatnonzero(monotone_rows(world.terms, world.prior)).tolist() == rows.tolist()
