"""Blocking work is waited for as long as somebody asks, and not a moment longer."""

import asyncio
import subprocess
import sys
import threading

import pytest

from ivcrush.utils.own_thread import in_own_thread
from ivcrush.utils.tracing import correlation_id, correlation_scope

GIVE_UP = """
import asyncio, time
from ivcrush.utils.own_thread import in_own_thread
async def main():
    try:
        async with asyncio.timeout(0.01):
            await in_own_thread(lambda: time.sleep(60))
    except TimeoutError:
        print("given up")
asyncio.run(main())
"""


async def test_the_value_comes_from_another_thread() -> None:
    assert await in_own_thread(threading.get_ident) != threading.get_ident()


async def test_an_exception_arrives_where_the_question_was_asked() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_own_thread(lambda: 1 // 0)


async def test_an_answer_after_the_asker_gave_up_is_dropped() -> None:
    release, done = threading.Event(), threading.Event()

    def work() -> None:
        release.wait(5)
        done.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await in_own_thread(work)
    release.set()
    done.wait(5)
    await asyncio.sleep(0.01)  # its call reaches the loop; a warning would fail the test


def test_a_program_that_gave_up_ends_without_waiting_for_the_thread() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", GIVE_UP], capture_output=True, text=True, timeout=20, check=True
    )  # the work takes a minute
    assert (ended.stdout, ended.stderr) == ("given up\n", "")


async def test_work_knows_the_context_of_whoever_asked() -> None:
    with correlation_scope("c0ffee"):
        assert await in_own_thread(correlation_id) == "c0ffee"
