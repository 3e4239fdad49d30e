"""The run lock as every long command takes it, so that whoever comes second is told the same: who, which process, when.

Long runs are backfill, batch and scan, and restoring a database; analyze and health checks never take it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ivcrush.application.documents import moment
from ivcrush.container import Container
from ivcrush.domain.errors import Result
from ivcrush.utils.tracing import correlation_id

if TYPE_CHECKING:
    from ivcrush.operations_container import OperationsContainer


@contextmanager
def alone(container: "Container | OperationsContainer", command: str) -> Iterator[Result[None]]:
    """Hold the run lock of the container's database for `command` until the block ends.

    Yields at once, Ok where it is held. Errors: DBERROR, with the reason `locked` (exit 75) where another run has it.
    """
    holder = f"{command}, process {os.getpid()}, run {correlation_id()}, since {moment(container.clock.now())}"
    with container.run_lock() as lock:
        yield lock.acquire(holder)
