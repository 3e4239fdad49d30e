"""Whether the system lets a run open as many files and connections as it needs, asked before it begins.

Met in the middle, a limit looks like something else each time: a provider that cannot be reached, a module that is not
there. Changes no limit.
"""

import resource
from typing import Final

from ivcrush.domain.errors import ErrorCode, Ok, Result, err

# Both databases with their logs, the lock and the gate are a dozen; then connections, and modules as they are loaded.
NEEDED: Final = 64


def enough_descriptors() -> Result[None]:
    """Errors: DBERROR for a limit below `NEEDED`."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= allowed < NEEDED:  # negative: no limit
        return err(
            ErrorCode.DBERROR,
            f"open files: {allowed} are allowed, {NEEDED} needed; type: ulimit -n 1024",
            reason="limit",
        )
    return Ok(None)
