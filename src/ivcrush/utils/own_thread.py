"""Blocking work in a thread of its own, so that a question with a deadline cannot be held up by a disk or a resolver.

asyncio's own threads are waited for when the loop ends; a read from a dead network disk would hold the whole program.
These are not: whoever gives up on the answer leaves the thread behind.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises, in the caller's context; cancelling forgets the thread and does not stop it."""
    loop = asyncio.get_running_loop()
    context = copy_context()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(value: T) -> None:
        if not answer.done():
            answer.set_result(value)

    def complain(error: BaseException) -> None:
        if not answer.done():
            answer.set_exception(error)

    def run() -> None:
        with suppress(RuntimeError):  # the loop has ended without waiting
            try:
                value = context.run(work)
            except BaseException as error:  # noqa: BLE001  whatever it is, it belongs to whoever asked
                loop.call_soon_threadsafe(complain, error)
            else:
                loop.call_soon_threadsafe(tell, value)

    threading.Thread(target=run, daemon=True, name="ivcrush-own-thread").start()
    return await answer
