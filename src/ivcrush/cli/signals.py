"""SIGINT and SIGTERM: a run stops, cleans up behind itself and ends with the signal's exit code."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, NoReturn, TypeVar

from ivcrush.cli.exit_codes import Exit

T = TypeVar("T")
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def interruptible(work: Callable[[], Coroutine[Any, Any, T]], stopped: Callable[[], None]) -> T | Exit:
    """What the work comes to, or 128 and the number of the signal that stopped it.

    The first SIGINT or SIGTERM lets the work clean up, or come to an end with what it has, which it tells itself;
    `stopped` hears of the former. A second one ends the process where it is.
    """
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in _STOPPING}

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None

        def stop(number: int) -> None:
            if received:
                os._exit(128 + number)
            received.append(number)
            task.cancel()

        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, stop, number)
        return await work()

    try:
        finished = asyncio.run(guarded())
    except asyncio.CancelledError:
        stopped()
        return Exit(128 + received[0])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return Exit(128 + received[0]) if received else finished


def hear_signals_at_once() -> None:
    """From here on nothing awaits: the loop would hear a signal only when a reader who stalls has read it all."""
    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        loop.remove_signal_handler(number)
        signal.signal(number, _leave)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
