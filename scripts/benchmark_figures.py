"""Figures of a benchmark: values with their spread, ratios of things measured in turns, and the table of them.

Knows nothing of what is measured.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

_LEAST_SAMPLE_S = 0.004  # shorter calls are repeated to this length within one sample
_HIGH_IS_GOOD = ("/s", "%")  # units of which the aim is the lowest


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of repeated measurements, between the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values))

    def times(self, factor: float) -> "Spread":
        """The same in another unit."""
        return Spread(self.median * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: a ratio (`unit` x) or an absolute value, and the highest one aimed at, if any.

    Of rates and shares (`unit` /s, %) the aim is the lowest.
    """

    name: str
    value: Spread
    unit: str
    aim: float | None = None
    detail: str = ""

    @property
    def met(self) -> str:
        """Whether the median meets the aim, in words; empty without an aim."""
        if self.aim is None:
            return ""
        met = self.value.median >= self.aim if self.unit in _HIGH_IS_GOOD else self.value.median <= self.aim
        return "yes" if met else "NO"

    def cells(self) -> tuple[str, ...]:
        """The texts of the row."""
        aim = "" if self.aim is None else f"{'>=' if self.unit in _HIGH_IS_GOOD else '<='} {self.aim:,g} {self.unit}"
        value, low, high = (_short(number) for number in (self.value.median, self.value.low, self.value.high))
        return self.name, f"{value} {self.unit}", f"{low} .. {high}", aim, self.met, self.detail


HEADINGS = ("measured", "median", "min .. max", "aim", "met", "absolute medians")


@dataclass(frozen=True, slots=True)
class Compared:
    """Two things measured in turns, in seconds each, and the ratio of the first to the second, round by round."""

    subject_s: Spread
    baseline_s: Spread
    ratio: Spread

    def line(self, name: str, aim: float | None = None) -> Line:
        """The ratio as a row, with both medians beside it."""
        detail = f"{self.subject_s.median * 1e3:.3g} ms / {self.baseline_s.median * 1e3:.3g} ms"
        return Line(name, self.ratio, "x", aim, detail)


def in_turns(subject: Callable[[], object], baseline: Callable[[], object], rounds: int) -> Compared:
    """Both timed `rounds` times, one after the other."""
    often, often_too = repeats(subject), repeats(baseline)
    pairs = [(sample_s(subject, often), sample_s(baseline, often_too)) for _ in range(rounds)]
    first, second = zip(*pairs, strict=True)
    return Compared(Spread.of(first), Spread.of(second), Spread.of([one / other for one, other in pairs]))


def table(lines: Sequence[Line]) -> list[str]:
    """Aligned plain text, headings first."""
    rows = [HEADINGS, *(line.cells() for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def repeats(call: Callable[[], object]) -> int:
    """How often to call within one sample; the first call warms what can be warmed."""
    call()
    return max(1, round(_LEAST_SAMPLE_S / sample_s(call, 1)))


def sample_s(call: Callable[[], object], often: int) -> float:
    """Seconds of one call, over so many of them."""
    begun = time.perf_counter()
    for _ in range(often):
        call()
    return (time.perf_counter() - begun) / often


def _short(number: float) -> str:
    """Three figures, thousands apart."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
