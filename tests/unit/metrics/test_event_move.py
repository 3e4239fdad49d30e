"""The estimate on surfaces made by hand: its move, every part of its standard error, its interval and its shape.

Most worlds have one expiration. With a flat prior on the jump, the session's variance is then that of the expiration
less ordinary variance outside the session, and so are its errors: sums that can be worked by hand.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from math import hypot, sqrt

import numpy as np
import pytest

from ivcrush.application.metrics.event_move import EventMove, ambient_prior, estimate_event_move
from ivcrush.application.metrics.event_variance import AmbientPrior, TermVariances, fit_events
from ivcrush.application.metrics.jump_shape import JumpShape
from ivcrush.application.metrics.session_clock import SessionClock
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.domain.errors import Err, ErrorCode, Ok
from tests.unit.metrics.option_market import normal_cdf

DAY = date(2026, 5, 15)
Z90 = 1.6448536269514722
W = 0.006
YEAR = 252 + 0.15 * 113  # sessions, with what closed days weigh
STRAIGHT = 0.025  # curvature of an ordinary smile, give or take as much


def surface(
    variance: float, error: float = 0.0, reports: int = 1, curvature: float = 0.0, curvature_se: float = 0.0
) -> ExpirationSurface:
    """An expiration of which only what the estimate reads is filled in."""
    nothing = np.zeros(0)
    return ExpirationSurface(
        expiration=DAY,
        years=0.02,
        forward=100.0,
        discount=1.0,
        strikes=nothing,
        log_moneyness=nothing,
        total_stdev=nothing,
        stdev_se=nothing,
        is_call=np.zeros(0, dtype=np.bool_),
        atm_variance=variance,
        atm_variance_se=error,
        straddle=1.0,
        reports_before=reports,
        rejected=(),
        flags=(),
        curvature=curvature,
        curvature_se=curvature_se,
    )


def clock(sessions: Sequence[float], closed_days: Sequence[float] | None = None) -> SessionClock:
    """Expirations first, then the closes before and after the reaction session."""
    whole = np.zeros(len(sessions)) if closed_days is None else np.array(closed_days, dtype=np.float64)
    return SessionClock(np.array(sessions, dtype=np.float64), whole)


def estimate(
    surfaces: Sequence[ExpirationSurface], time: SessionClock, realised: float | None, at: int = 0
) -> EventMove:
    found = estimate_event_move(surfaces, surfaces[at], time, realised)
    assert isinstance(found, Ok), found
    return found.value


def straddle(variance: float) -> float:
    return 4 * normal_cdf(sqrt(variance) / 2) - 2


def rate_of(realised: float) -> float:
    """Ordinary implied variance is 5 % of the volatility above realised variance."""
    return 1.05 * realised**2


# The event's own expiration ends with the reaction session: all of its variance is the session's.
SAME_DAY = clock((1, 0, 1))
SHARP = {"curvature": 0.0, "curvature_se": 1e-7}  # a smile seen exactly, of a jump that is all of it: lognormal


def test_of_an_expiration_that_ends_with_the_session_the_move_is_the_straddle_and_the_error_its_quotes_and_smiles() -> (
    None
):
    found = estimate([surface(W, 0.05 * W, **SHARP)], SAME_DAY, 1e-4)
    noise = W * hypot(0.05, 0.008)
    assert found.move == pytest.approx(straddle(W), rel=1e-5)
    assert found.standard_error == pytest.approx(
        hypot(straddle(W) - straddle(W - noise), 0.002 * straddle(W)), rel=1e-4
    )
    assert found.event_sigma == pytest.approx(sqrt(W), rel=1e-5)
    assert found.jump_sigma == pytest.approx(sqrt(W), rel=1e-4)
    assert found.jump_variance == pytest.approx(W, rel=1e-4)
    assert found.jump_se == pytest.approx(noise, rel=1e-4)
    assert found.ambient_vol == pytest.approx(sqrt(1.05) * 1e-4, rel=1e-6)
    assert found.worst_misfit < 0.1


def test_no_move_is_said_to_be_known_better_than_a_fiftieth_of_a_tenth_of_it() -> None:
    # Smiles disagree by 0.8 % of variance, 0.4 % of the move; in squares 0.2 % are a ninth more.
    found = estimate([surface(W, 0.0, **SHARP)], SAME_DAY, 1e-4)
    assert found.standard_error / found.move == pytest.approx(hypot(0.004, 0.002), rel=5e-3)


def test_the_interval_is_symmetric_in_variance_and_never_above_what_the_expiration_may_hold() -> None:
    found = estimate([surface(W, 0.05 * W, **SHARP)], SAME_DAY, 1e-4)
    reach = Z90 * 2 * found.standard_error / found.move
    low, high = found.interval_90
    assert low == pytest.approx(found.move * sqrt(1 - reach), rel=1e-9)
    assert high == pytest.approx(straddle(W * (1 + Z90 * 0.05)), rel=1e-9)
    assert high < found.move * sqrt(1 + reach)


def test_the_interval_never_reaches_below_an_ordinary_session() -> None:
    # A session of 2 %: 0.0004 of variance; quotes that are wrong by nine tenths leave nothing else.
    realised = 0.02 * sqrt(YEAR / 1.05)
    found = estimate([surface(W, 0.9 * W, **SHARP)], SAME_DAY, realised)
    assert Z90 * 2 * found.standard_error > found.move
    assert found.interval_90[0] == pytest.approx(straddle(0.0004), rel=2e-3)


def after(sessions: float, closed: float, weight: float = 0.15) -> float:
    """Years of variance time, where a closed day weighs so much."""
    return (sessions + closed * weight) / (252 + 113 * weight)


def ordinary_error(rate: float, start: float, end: float) -> float:
    """Prior standard deviation of the ordinary variance between two times: level, tilt and wandering in 400 steps."""
    cells = start + (np.arange(400) + 0.5) / 400 * (end - start)
    kernel = 0.5**2 + 0.6**2 * np.exp(-8 * np.add.outer(cells, cells))
    kernel += 0.2**2 * np.exp(-12 * np.abs(np.subtract.outer(cells, cells)))
    return float(rate * (end - start) * sqrt(kernel.mean()))


@pytest.mark.parametrize("smile", [(0.0, 0.0), (-0.1, 0.01), (0.2, 0.01)], ids=["unseen", "concave", "fat"])
@pytest.mark.parametrize(("realised", "quoted"), [(0.25, 0.02), (0.1, 0.0), (0.02, 0.1)])
def test_the_standard_error_is_quotes_ordinary_days_clock_smile_and_kind_of_mixture_in_squares(
    smile: tuple[float, float], realised: float, quoted: float
) -> None:
    """One expiration, four sessions and thirty closed days behind the reaction: each part worked by itself."""
    rate, error, outside = rate_of(realised), quoted * W, (4, 30)
    seen = surface(W, error, curvature=smile[0], curvature_se=smile[1])
    found = estimate([seen], clock((5, 0, 1), (30, 0, 0)), realised)

    def shown(shape: JumpShape, variance: float) -> float:
        return straddle(shape.at_the_forward(max(variance, 1.0001 * shape.least_total))[0])  # no less than the humps

    def moved(shape: JumpShape, weight: float = 0.15) -> float:
        return shown(shape, shape.total(W)[0] - rate * after(*outside, weight))

    shape = found.shape
    (total, growth), move = shape.total(W), moved(shape)
    quotes = hypot(error * growth, 0.008 * total)
    ordinary = ordinary_error(rate, after(1, 0), after(5, 30))
    day = total - rate * after(*outside)
    parts = {
        "quotes and ordinary days": move - shown(shape, day - hypot(quotes, 0.3 * ordinary)),
        "clock": 0.2 * max(abs(moved(shape, weight) - move) for weight in (0.0, 0.5)),
        "smile": abs(moved(shape.moved(1.0)) - move),
        "kind of mixture": 0.3 * abs(moved(JumpShape(W)) - move),
        "least": 0.002 * move,
    }
    assert found.move == pytest.approx(move, rel=3e-4)
    assert found.standard_error == pytest.approx(sqrt(sum(part**2 for part in parts.values())), rel=3e-3)
    reach = Z90 * 2 * found.standard_error / found.move
    assert found.interval_90 == (
        pytest.approx(max(found.move * sqrt(1 - reach), straddle(rate / YEAR)), rel=1e-4),
        pytest.approx(min(found.move * sqrt(1 + reach), straddle(W + Z90 * error)), rel=1e-9),
    )


def test_a_concave_smile_leaves_the_straddle_more_of_the_move_and_three_tenths_of_that_are_uncertain() -> None:
    realised, bend = 0.2, -0.2
    rate, years = rate_of(realised), 4 / YEAR
    share = (W - rate * 5 / YEAR) / W
    seen = bend + STRAIGHT * (1 - share) ** 2
    found = estimate([surface(W, 0.0, curvature=seen, curvature_se=1e-3)], clock((5, 0, 1)), realised)
    error = hypot(1e-3, STRAIGHT * (1 - share) ** 2)
    prior, seen_weight = (0.08 * share**2) ** -2, error**-2
    assert found.shape.bend == pytest.approx(bend * seen_weight / (prior + seen_weight), rel=1e-4)
    assert found.shape.standard_error == pytest.approx((prior + seen_weight) ** -0.5, rel=1e-3)
    shape, plain = JumpShape.bent(W, found.shape.bend, 0.0), straddle(W - rate * years)
    day = shape.total(W)[0] - rate * years
    assert found.event_sigma == pytest.approx(sqrt(day), rel=1e-4)
    assert found.move == pytest.approx(straddle(shape.at_the_forward(day)[0]), rel=1e-4)
    assert found.move > plain
    # Of variance that is added or missing a straddle between humps sees only 1 + 2·bend.
    same_day = estimate([surface(W, 0.0, curvature=bend, curvature_se=1e-5)], SAME_DAY, 1e-4)
    seen_error = 0.008 * same_day.event_sigma**2 * (1 + 2 * bend)
    assert same_day.event_sigma**2 == pytest.approx(JumpShape.bent(W, bend, 0.0).total(W)[0], rel=1e-4)
    assert same_day.standard_error == pytest.approx(
        hypot(straddle(W) - straddle(W - seen_error), 0.002 * straddle(W)), rel=1e-2
    )


def test_with_two_humps_the_session_has_no_less_variance_than_the_humps() -> None:
    realised = sqrt(0.4 * W / 1.05 * YEAR / 4)
    found = estimate([surface(W, 0.3 * W, curvature=-0.45, curvature_se=1e-4)], clock((5, 0, 1)), realised)
    shown, _ = found.shape.at_the_forward(1.0001 * found.shape.least_total)
    assert found.event_sigma >= sqrt(found.shape.least_total)
    assert found.move >= straddle(shown) * (1 - 1e-9)


def bend_of(found: EventMove, share: float, error: float) -> float:
    """The curvature that was read, before it was drawn to the prior's 0 ± 0.08·share²."""
    return found.shape.bend * (1 + error**2 / (0.08 * share**2) ** 2)


def test_what_an_ordinary_smile_before_the_report_is_bent_is_taken_off_the_event_s_smile() -> None:
    # Three sessions before, eight in all, of 4 % of the variance each: the jump has 0.68 of the event's expiration.
    realised, daily = sqrt(0.04 * W / 1.05 * YEAR), 0.04 * W
    before = surface(3 * daily, 0.0, 0, curvature=0.10, curvature_se=0.004)
    event = surface(W, 0.0, curvature=-0.2, curvature_se=0.003)
    found = estimate([before, event], clock((3, 8, 3, 4)), realised, at=1)
    ordinary = 0.32**2
    error = hypot(0.003, 0.004 * ordinary)
    assert bend_of(found, 0.68, error) == pytest.approx(-0.2 - 0.10 * ordinary, rel=1e-2)
    blunt = replace(before, curvature_se=0.03)  # less sure than what most smiles are
    found = estimate([blunt, event], clock((3, 8, 3, 4)), realised, at=1)
    assert bend_of(found, 0.68, error) == pytest.approx(-0.2 - STRAIGHT * ordinary, rel=1e-2)
    unseen = replace(before, curvature_se=0.0)
    found = estimate([unseen, event], clock((3, 8, 3, 4)), realised, at=1)
    assert bend_of(found, 0.68, error) == pytest.approx(-0.2 - STRAIGHT * ordinary, rel=1e-2)


def later_smile(jump: float, ordinary: float) -> tuple[list[ExpirationSurface], float]:
    """An event's expiration and a later one, ordinary to 0.75, bent by both causes; and the event's share."""
    share, later = 0.75, 3 * W
    left = 1 - 0.75 * W / later
    at_event = jump + ordinary * (1 - share) ** 2
    at_later = jump * (W / later) ** 2 + ordinary * left**2
    sharp = 1e-5
    event = surface(W, 0.0, curvature=at_event, curvature_se=sharp)
    return [event, surface(later, 0.0, curvature=at_later, curvature_se=sharp)], share


@pytest.mark.parametrize(("jump", "ordinary"), [(-0.2, 0.2), (0.1, 0.4), (-0.05, -0.3)])
def test_two_smiles_bent_by_the_same_jump_and_the_same_ordinary_days_are_solved_for_the_jump_s(
    jump: float, ordinary: float
) -> None:
    surfaces, share = later_smile(jump, ordinary)
    # A quarter of the event's variance over 5 sessions, nine quarters of it over 45.
    found = estimate(surfaces, clock((5, 45, 0, 1)), sqrt(0.05 * W / 1.05 * YEAR))
    assert found.shape.bend == pytest.approx(jump, rel=2e-3)
    passed_on = (W / (3 * W)) ** 2 / 0.75**2 * (1 - share) ** 2
    error = 1e-5 * hypot(1, (1 - share) ** 2 / 0.75**2) / (1 - passed_on)
    assert found.shape.standard_error == pytest.approx(error, rel=1e-2)


@pytest.mark.parametrize(("error", "told"), [(0.012, True), (0.016, False)])
def test_an_ordinary_smile_counts_where_its_error_undiluted_is_less_than_what_most_smiles_differ_by(
    error: float, told: bool
) -> None:
    # Three quarters ordinary: 0.012 is 0.0213 of a wholly ordinary smile, 0.016 is 0.0284; most are 0.025 ± 0.025.
    (event, later), share = later_smile(-0.1, 0.2)
    blunt = replace(later, curvature_se=error)
    found = estimate([event, blunt], clock((5, 45, 0, 1)), sqrt(0.05 * W / 1.05 * YEAR))
    diluted = (1 - share) ** 2
    scale = 1 - (W / (3 * W)) ** 2 / 0.75**2 * diluted if told else 1.0
    seen_error = hypot(1e-5, (error / 0.75**2 if told else STRAIGHT) * diluted) / scale
    expected = -0.1 if told else event.curvature - STRAIGHT * diluted
    assert bend_of(found, share, seen_error) == pytest.approx(expected, rel=2e-3)
    drawn = (seen_error**-2 + (0.08 * share**2) ** -2) ** -0.5
    assert found.shape.standard_error == pytest.approx(drawn, rel=2e-2)


def test_a_smile_twice_as_ordinary_as_the_event_s_tells_of_ordinary_smiles() -> None:
    # 0.4 of the event's variance is ordinary and 0.8 of the later one's.
    jump, ordinary, later = -0.05, 0.3, 3 * W
    surfaces = [
        surface(W, 0.0, curvature=jump + ordinary * 0.4**2, curvature_se=1e-5),
        surface(later, 0.0, curvature=jump * (W / later) ** 2 + ordinary * 0.8**2, curvature_se=1e-5),
    ]
    found = estimate(surfaces, clock((8, 48, 0, 1)), sqrt(0.05 * W / 1.05 * YEAR))
    assert found.shape.bend == pytest.approx(jump, rel=2e-2)


def test_a_smile_that_is_not_seen_is_straight_give_or_take_the_prior_and_a_jump_is_at_most_all_of_the_variance() -> (
    None
):
    unseen = estimate([surface(W)], SAME_DAY, 1e-4)
    assert unseen.shape.bend == 0.0
    assert unseen.shape.standard_error == pytest.approx(0.08, rel=1e-4)
    partly = estimate([surface(W)], clock((5, 0, 1)), 0.25)
    share = 1 - rate_of(0.25) * 5 / YEAR / W
    assert partly.shape.standard_error == pytest.approx(0.08 * share**2, rel=1e-3)
    # The later expiration holds less than the event's: what is left for ordinary days is less than nothing.
    falling = estimate([surface(W), surface(0.5 * W)], clock((5, 45, 0, 1)), 0.3)
    assert falling.jump_variance > 1.01 * W
    assert falling.shape.standard_error == pytest.approx(0.08, rel=1e-6)


def test_quotes_before_the_report_are_as_uncertain_as_they_say() -> None:
    realised, time = 0.3, (3, 4, 3, 4)
    before = surface(0.0012, 2e-4, 0)
    event = surface(W, 1e-5, **SHARP)
    prior = AmbientPrior.on_clocks(np.array([time]) / YEAR, rate_of(realised), 0.5)
    (expected,) = fit_events((TermVariances(np.array((0.0012, W)), np.array((2e-4, 1e-5)), np.array((0, 1))),), prior)
    found = estimate([before, event], clock(time), realised, at=1)
    assert found.shape.bend == pytest.approx(0.0, abs=3e-3)
    assert found.jump_se == pytest.approx(expected.jump_se, rel=5e-3)
    assert found.jump_variance == pytest.approx(expected.jump_variance, rel=5e-3)


def test_of_several_ordinary_smiles_the_one_that_is_known_best_counts_in_whatever_order() -> None:
    surfaces, _ = later_smile(-0.2, 0.2)
    time = (5, 45, 45)
    worse = replace(surfaces[1], curvature=0.5, curvature_se=1e-3)
    for several, at in (((*surfaces, worse), 0), ((surfaces[0], worse, surfaces[1]), 0)):
        found = estimate(several, clock((*time, 0, 1)), sqrt(0.05 * W / 1.05 * YEAR), at=at)
        assert found.shape.bend == pytest.approx(-0.2, rel=2e-2)


def test_a_smile_that_is_hardly_more_ordinary_than_the_event_s_says_nothing_of_ordinary_smiles() -> None:
    # 0.55 of the later one is ordinary and 0.4 of the event's: less than half as much again.
    daily = 0.05 * W
    event = surface(W, 0.0, curvature=-0.1, curvature_se=1e-4)
    near = surface(0.6 * W / 0.45, 0.0, curvature=0.3, curvature_se=1e-5)
    found = estimate([event, near], clock((8, 8 + (0.6 / 0.45 - 1) / 0.05, 0, 1)), sqrt(daily / 1.05 * YEAR))
    error = hypot(1e-4, STRAIGHT * 0.4**2)
    assert bend_of(found, 0.6, error) == pytest.approx(-0.1 - STRAIGHT * 0.4**2, rel=1e-2)


def test_a_smile_that_is_less_than_half_ordinary_says_nothing_of_ordinary_smiles() -> None:
    # 0.1 of the event's variance is ordinary, 0.45 of the later one's: more ordinary, and still most of it the jump's.
    daily = 0.05 * W
    event = surface(W, 0.0, curvature=-0.1, curvature_se=1e-4)
    later = surface(0.9 * W / 0.55, 0.0, curvature=0.3, curvature_se=1e-5)
    found = estimate([event, later], clock((2, 2 + (0.9 / 0.55 - 1) / 0.05, 0, 1)), sqrt(daily / 1.05 * YEAR))
    error = hypot(1e-4, STRAIGHT * 0.1**2)
    assert bend_of(found, 0.9, error) == pytest.approx(-0.1 - STRAIGHT * 0.1**2, rel=1e-2)


def test_an_expiration_that_no_ordinary_rate_explains_makes_the_error_greater_by_its_misfit_over_three() -> None:
    # The event's own expiration ends with the session, so that the far one moves nothing but the misfit.
    errors = []
    for far in (1.0, 1.6, 20.0):
        realised = 0.3
        later = surface(0.9 * W + far * rate_of(realised) * 60 / YEAR, 1e-5, **SHARP)
        found = estimate([surface(W, 0.02 * W, **SHARP), later], clock((1, 60, 0, 1)), realised)
        errors.append((found.worst_misfit, found))
    (least, plain), (some, odd), (most, absurd) = errors
    assert least < 1 < some < 3 < most
    assert odd.standard_error == pytest.approx(plain.standard_error, rel=0.02)
    assert absurd.standard_error > 1.5 * plain.standard_error


def terms(variance: Sequence[float], reports: Sequence[int]) -> TermVariances:
    return TermVariances(np.array(variance), np.zeros(len(variance)), np.array(reports))


def test_ordinary_variance_is_the_past_s_with_its_premium_and_half_as_uncertain_as_that_of_options() -> None:
    past = ambient_prior(terms((0.004, 0.006), (1, 1)), np.array((0.02, 0.04)), 0.3)
    assert past == (pytest.approx(1.05 * 0.09), 0.5)


def test_without_a_past_the_first_and_the_last_expiration_after_the_report_say_what_is_ordinary() -> None:
    # 0.09 a year behind a jump of 0.0036; neither the expiration before nor the one between counts.
    times = np.array((0.01, 0.02, 0.04, 0.10))
    seen = terms((0.5, 0.0036 + 0.0018, 0.3, 0.0036 + 0.009), (0, 1, 1, 1))
    assert ambient_prior(seen, times, None) == (pytest.approx(0.09), 1.0)


def test_a_falling_term_structure_leaves_ordinary_days_a_twentieth_of_the_event_s_rate() -> None:
    seen = terms((0.006, 0.005), (1, 1))
    assert ambient_prior(seen, np.array((0.02, 0.1)), None) == (pytest.approx(0.05 * 0.006 / 0.02), 1.0)


def test_with_one_expiration_after_the_report_the_last_one_before_it_says_what_is_ordinary() -> None:
    seen = terms((0.01, 0.02, 0.0018, 0.006), (0, 0, 0, 1))
    assert ambient_prior(seen, np.array((0.005, 0.01, 0.02, 0.03)), None) == (pytest.approx(0.09), 1.0)
    assert ambient_prior(terms((0.006,), (1,)), np.array((0.03,)), None) is None


def test_options_alone_give_the_jump_back_that_they_were_made_from() -> None:
    closed = (0, 2, 5, 0, 0)
    rate, sessions = 0.09, (1, 6, 10, 0, 1)
    whole = [
        surface(0.0036 + rate * after(count, days), 1e-6, **SHARP)
        for count, days in zip(sessions[:3], closed[:3], strict=True)
    ]
    found = estimate(whole, clock(sessions, closed), None)
    assert found.jump_variance == pytest.approx(0.0036, rel=2e-3)
    assert found.ambient_vol == pytest.approx(0.3, rel=1e-2)
    assert found.move == pytest.approx(straddle(0.0036 + rate / YEAR), rel=1e-4)
    assert found.worst_misfit < 0.1


def test_one_expiration_without_a_past_and_options_without_a_jump_have_no_estimate() -> None:
    alone = estimate_event_move([surface(W)], surface(W), SAME_DAY, None)
    assert isinstance(alone, Err)
    assert alone.error.code is ErrorCode.NODATA
    assert alone.error.message == "one expiration and no volatility of ordinary days: one of two is needed"
    # Ordinary days of 30 % over nine sessions hold 0.0032, the expiration 0.0030.
    quiet = surface(0.003, 0.0, **SHARP)
    none = estimate_event_move([quiet], quiet, clock((9, 0, 1)), 0.3)
    assert isinstance(none, Err)
    assert none.error.code is ErrorCode.NODATA
    assert none.error.message.startswith("the options hold no variance for the report (-1.6e-04 ± ")


def test_between_two_humps_errors_of_the_straddle_grow_fivefold_and_no_more() -> None:
    # 1/(1 + 2·bend) is 10 at −0.45: what straddles say of variance there is believed to five times their error.
    found = estimate([surface(W, 0.02 * W, curvature=-0.45, curvature_se=1e-6)], SAME_DAY, 1e-4)
    total = JumpShape.bent(W, -0.45, 0.0).total(W)[0]
    assert found.jump_se == pytest.approx(hypot(5 * 0.02 * W, 0.008 * total), rel=1e-3)
