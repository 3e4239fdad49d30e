"""Refusals for haste, window by window, on a clock that is told how late it is."""

from dataclasses import dataclass

from ivcrush.infrastructure.api.haste import HasteRefusals


@dataclass
class Told:
    """A clock."""

    now_s: float = 100.0

    def monotonic(self) -> float:
        return self.now_s


def test_several_refusals_of_one_window_are_one() -> None:
    clock = Told()
    haste = HasteRefusals(most=3, monotonic=clock.monotonic)
    assert haste.refused(100.0, 60.0)
    clock.now_s = 101.0
    assert not haste.refused(100.5, 59.0)
    assert (haste.windows, haste.exhausted) == (1, False)


def test_what_was_sent_before_the_window_ended_belongs_to_it_however_late_the_refusal() -> None:
    clock = Told()
    haste = HasteRefusals(most=3, monotonic=clock.monotonic)
    haste.refused(100.0, 60.0)
    clock.now_s = 163.0
    assert not haste.refused(159.0, 60.0)
    assert haste.windows == 1


def test_the_third_window_in_a_row_closes_the_way_until_it_is_over() -> None:
    clock = Told()
    haste = HasteRefusals(most=3, monotonic=clock.monotonic)
    for sent_at in (100.0, 160.0, 220.0):
        clock.now_s = sent_at
        haste.refused(sent_at, 60.0)
    assert (haste.exhausted, haste.closed_for_s) == (True, 60.0)
    clock.now_s = 280.0
    assert (haste.exhausted, haste.closed_for_s) == (True, 0.0)


def test_a_request_that_was_let_through_begins_the_count_anew() -> None:
    clock = Told()
    haste = HasteRefusals(most=1, monotonic=clock.monotonic)
    haste.refused(100.0, 60.0)
    haste.answered()
    assert (haste.windows, haste.exhausted, haste.closed_for_s) == (0, False, 0.0)


def test_a_wait_of_a_second_is_waited_for_by_everybody_however_often_it_came() -> None:
    haste = HasteRefusals(most=1, monotonic=Told().monotonic)
    haste.refused(100.0, 1.2)
    assert (haste.exhausted, haste.closed_for_s) == (True, 0.0)
