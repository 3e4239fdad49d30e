"""Runs the checks that it is handed, all at once, each for as long as it may take, and says what came of them.

Knows neither databases nor providers. A check's bad news is a value; a defect in one ends the examination as a defect.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from ivcrush.application.services.together import together
from ivcrush.domain.errors import ErrorCode, Ok, Result, err

T = TypeVar("T")
Look: TypeAlias = Callable[[], Awaitable[Result[T]]]


@dataclass(frozen=True, slots=True)
class Check:
    """A question by its name: `look` answers with a line on what is well, or with why it is not."""

    name: str
    timeout_s: float
    look: Look[str]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of a check, and how long it took."""

    name: str
    healthy: bool
    latency_ms: float
    detail: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All checks in their order."""

    checks: tuple[CheckResult, ...]

    @property
    def healthy(self) -> bool:
        """Whether every single one is."""
        return all(check.healthy for check in self.checks)


async def examine(
    checks: Sequence[Check], *, monotonic: Callable[[], float], told: Callable[[str], str]
) -> HealthReport:
    """Ask all of them at once; `told` makes a detail fit to be shown."""
    return HealthReport(await together(_result(check, monotonic, told) for check in checks))


async def _result(check: Check, monotonic: Callable[[], float], told: Callable[[str], str]) -> CheckResult:
    begun = monotonic()
    found = await _within(check)
    detail = found.value if isinstance(found, Ok) else found.error.message
    return CheckResult(check.name, isinstance(found, Ok), (monotonic() - begun) * 1000, told(detail))


async def _within(check: Check) -> Result[str]:
    try:
        async with asyncio.timeout(check.timeout_s) as bound:
            return await check.look()
    except TimeoutError:
        if not bound.expired():  # a defect of the check's own
            raise
        return err(ErrorCode.TIMEOUT, f"no answer within {check.timeout_s:g} s")
