"""Many broken texts, one after the other: what a parser may do with them, and the seed that draws a failure again."""

import dataclasses
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from random import Random
from types import FrameType
from typing import Any

import numpy as np

from ivcrush.domain.errors import Err, ErrorCode
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import Target

LONGEST_CASE_S = 1.0  # of processor time
_MOST_FAILURES = 20
_DECLARED = frozenset({ErrorCode.INVALID, ErrorCode.NODATA, ErrorCode.DBERROR})


class Hang(Exception):  # noqa: N818  not an error of the code under test
    """A case took longer than it may."""


@dataclass
class Campaign:
    """Counts by target, and the failures with what draws them again."""

    seed: int
    cases: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    _watching: bool = False

    def run(self, targets: Mapping[str, Target], cases: int, limit_s: float) -> None:
        """So many cases in turn over all targets, fewer where the time or the patience with failures ends."""
        began = time.monotonic()
        names = list(targets)
        with self._watched():
            for number in range(cases):
                if len(self.failures) >= _MOST_FAILURES or (number % 256 == 0 and time.monotonic() - began > limit_s):
                    return
                self.case(targets, names[number % len(names)], number)

    def case(self, targets: Mapping[str, Target], name: str, number: int) -> None:
        """The case of that number: the same text for the same seed."""
        target, chance = targets[name], Random(f"{self.seed}/{number}")
        text = mutated(chance.choice(target.seeds), target.seeds, chance)
        self.cases[name] = self.cases.get(name, 0) + 1
        fault = self.judged(target, name, text)
        if fault is not None:
            self.failures.append(f"{name}, seed {self.seed}, case {number}: {fault}; text {text[:300]!r}")

    def judged(self, target: Target, name: str, text: bytes) -> str | None:
        """What is wrong about how the text was met, None where nothing is. Hangs are noticed inside `run` only."""
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_CASE_S if self._watching else 0.0)
        try:
            found = target.read(text)
        except target.refusals:
            return None
        except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
            return f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if isinstance(found, Err):
            return None if found.error.code in _DECLARED else f"undeclared {found.error.code}"
        self.accepted[name] = self.accepted.get(name, 0) + 1
        return "a number that is none in the value" if target.finite and not _is_finite(found) else None

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Inside, a case that takes too much of the processor's time ends with `Hang`, in the middle of a loop too."""

        def hang(_: int, frame: FrameType | None) -> None:
            raise Hang(f"more than {LONGEST_CASE_S:g} s at {frame}")

        before = signal.signal(signal.SIGVTALRM, hang)
        self._watching = True
        try:
            yield
        finally:
            self._watching = False
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)


def _is_finite(value: Any) -> bool:
    """Whether no NaN and no infinity is anywhere inside."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, np.ndarray):
        return bool(np.isfinite(value).all())
    if isinstance(value, Mapping):
        return all(_is_finite(item) for item in value.values())
    if isinstance(value, tuple | list):
        return all(_is_finite(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(_is_finite(getattr(value, each.name)) for each in dataclasses.fields(value))
    return True
