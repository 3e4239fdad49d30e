"""The run lock as every long command takes it, so that whoever comes second is told the same: who, which process, when.

Long runs are backfill, batch and scan, and restoring a database; analyze and health checks never take it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from ivcrush.application.documents import moment
from ivcrush.domain.errors import Result
from ivcrush.utils.tracing import correlation_id

if TYPE_CHECKING:
    from ivcrush.container import Container
    from ivcrush.operations_container import OperationsContainer


def taken(container: "Container", command: str) -> Result[None]:
    """Hold the run lock for `command` until the container is closed: its result is delivered under it, too.

    At once. Errors: DBERROR, with the reason `locked` (exit 75) where another run has it.
    """
    return container.hold(_holder(command, container.clock.now()))


@contextmanager
def alone(container: "Container | OperationsContainer", command: str) -> Iterator[Result[None]]:
    """The same until the block ends, for what is over when its work is; yields at once. Errors: those of `taken`."""
    with container.run_lock() as lock:
        yield lock.acquire(_holder(command, container.clock.now()))


def _holder(command: str, now: datetime) -> str:
    return f"{command}, process {os.getpid()}, run {correlation_id()}, since {moment(now)}"
