"""The closed form against published and constructed examples, and the fit against variances made from known parts."""

import numpy as np
import pytest

from ivcrush.application.metrics.event_variance import TermVariances, fit_event, two_expiration_variances


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


def terms(jump: float, ambient: float, days: list[float], reports: list[int], error: float = 1e-7) -> TermVariances:
    time = np.array(days) / 252
    counts = np.array(reports)
    return TermVariances(
        counts * jump**2 + ambient**2 * time, np.full(len(days), error), time, counts, 1 / 252, 2 / 252
    )


def test_exact_variances_with_the_right_prior_give_jump_and_session_back() -> None:
    fit = fit_event(terms(0.06, 0.3, [3, 8, 13, 33], [1, 1, 1, 1]), 0.09, 0.5)
    assert fit.jump_variance == pytest.approx(0.0036, rel=1e-5)
    assert fit.day_variance == pytest.approx(0.0036 + 0.09 / 252, rel=1e-5)
    assert fit.ambient_rate == pytest.approx(0.09, rel=1e-5)
    assert fit.worst_misfit < 1e-3
