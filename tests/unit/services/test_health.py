"""Checks run at once, each within its time; bad news is a result, a defect is not."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from ivcrush.application.services.health import Check, HealthReport, examine
from ivcrush.domain.errors import ErrorCode, Ok, Result, err


def answering(result: Result[str]) -> Callable[[], Awaitable[Result[str]]]:
    async def look() -> Result[str]:
        return result

    return look


async def never() -> Result[str]:
    await asyncio.Event().wait()
    return Ok("")


async def run(*checks: Check) -> HealthReport:
    return await examine(checks, monotonic=time.monotonic, told=str)


async def test_one_unhealthy_check_makes_the_whole_unhealthy_and_says_why() -> None:
    report = await run(
        Check("cache", 1, answering(Ok("empty"))), Check("disk", 1, answering(err(ErrorCode.DBERROR, "1 GB needed")))
    )
    assert [(check.name, check.healthy, check.detail) for check in report.checks] == [
        ("cache", True, "empty"),
        ("disk", False, "1 GB needed"),
    ]
    assert report.healthy is False
    assert HealthReport(report.checks[:1]).healthy is True


async def test_a_check_without_an_answer_ends_in_its_own_time_and_holds_up_nobody() -> None:
    report = await run(Check("tradier", 0.02, never), Check("cache", 30, answering(Ok("empty"))))
    assert report.checks[0].detail == "no answer within 0.02 s"
    assert report.checks[0].healthy is False
    assert 20 <= report.checks[0].latency_ms < 1000
    assert report.checks[1].healthy is True


async def test_all_checks_are_under_way_at_the_same_time() -> None:
    barrier = asyncio.Barrier(9)

    async def look() -> Result[str]:
        await barrier.wait()
        return Ok("met")

    report = await run(*(Check(f"check {number}", 5, look) for number in range(9)))
    assert report.healthy is True


@pytest.mark.parametrize("defect", [TypeError("ours"), TimeoutError("a probe's own")])
async def test_a_defect_in_a_check_is_not_taken_for_bad_news(defect: Exception) -> None:
    async def look() -> Result[str]:
        raise defect

    with pytest.raises(ExceptionGroup) as raised:
        await run(Check("disk", 1, look), Check("tradier", 30, never))
    assert raised.value.exceptions == (defect,)


async def test_details_are_made_fit_to_be_shown() -> None:
    checks = [Check("tradier", 1, answering(err(ErrorCode.AUTH, "token abc refused")))]
    report = await examine(checks, monotonic=time.monotonic, told=lambda text: text.replace("abc", "***"))
    assert report.checks[0].detail == "token *** refused"
