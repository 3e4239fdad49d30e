"""The closed form against published and constructed examples, and the fit against variances made from known parts."""

import numpy as np
import pytest

from ivcrush.application.metrics.event_variance import (
    AmbientPrior,
    TermVariances,
    fit_events,
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
