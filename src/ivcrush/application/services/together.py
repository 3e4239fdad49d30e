"""Several questions at once; a defect in one ends the others before anything they use is closed."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> tuple[T, ...]:
    """The answers in the order of the questions."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return tuple(task.result() for task in tasks)
