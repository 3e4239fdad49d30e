"""A provider's refusals for going too fast, counted over all requests: one window of it refuses many of them.

Without it every call would wait its own windows out, one call after the other, and nobody would know for minutes what
is the matter. Never waits, never asks, never logs.
"""

from collections.abc import Callable

# So much is waited for without a word, and by everybody.
SHORT_WAIT_S = 5.0


class HasteRefusals:
    """How many windows in a row refused, no request between them being answered; `most` of them are waited for."""

    def __init__(self, *, most: int, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._monotonic = monotonic
        self._windows = 0
        self._until = 0.0

    @property
    def windows(self) -> int:
        """Windows in a row that refused."""
        return self._windows

    @property
    def exhausted(self) -> bool:
        """Whether so many refused that no call is to wait for another one."""
        return self._windows >= self._most

    @property
    def closed_for_s(self) -> float:
        """Seconds for which nobody needs to ask, 0 as long as waiting is worth while."""
        left_s = self._until - self._monotonic()
        return left_s if self.exhausted and left_s > SHORT_WAIT_S else 0.0

    def answered(self) -> None:
        """A request was let through."""
        self._windows, self._until = 0, 0.0

    def refused(self, sent_at: float, wait_s: float) -> bool:
        """Note a refusal of what was sent at that monotonic moment; whether it is the first one of its window."""
        first = sent_at >= self._until
        self._windows += first
        self._until = max(self._until, self._monotonic() + wait_s)
        return first
