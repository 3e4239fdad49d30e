"""The correlation id: which run of a command a log line belongs to.

It lives in a context variable, so a task started inside a scope carries it on without being told. It is never read to
decide anything.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_NONE = "-"
_current: ContextVar[str] = ContextVar("correlation_id", default=_NONE)


def new_correlation_id() -> str:
    """Twelve random hexadecimal digits."""
    return os.urandom(6).hex()


def correlation_id() -> str:
    """The id of the innermost scope, `-` outside of any."""
    return _current.get()


@contextmanager
def correlation_scope(identifier: str | None = None) -> Iterator[str]:
    """Everything logged inside carries this id (a new one without); the outer id is back afterwards."""
    chosen = new_correlation_id() if identifier is None else identifier
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)
