"""How often a client may ask: Tradier's clock-aligned rate window, Alpha Vantage's counts a second and a day.

Each counts one service's requests under one set of switches; the clocks are given.
"""

from collections import deque
from collections.abc import Callable

from simulated_market.faults import daily_quota_text, per_second_text
from simulated_market.switches import Switches

Headers = tuple[tuple[str, str], ...]
_UNLIMITED = 100_000


class RateWindow:
    """Tradier's requests in the running window; `clock` is epoch seconds."""

    def __init__(self, switches: Switches, clock: Callable[[], float]) -> None:
        self._switches = switches
        self._clock = clock
        self._window = -1
        self._used = 0

    def take(self) -> tuple[Headers, bool]:
        """Counts one request: the headers its reply carries, and whether it is within the limit."""
        window = int(self._clock() // self._switches.rate_window_s)
        if window != self._window:
            self._window, self._used = window, 0
        self._used += 1
        allowed = _UNLIMITED if self._switches.rate_limit is None else self._switches.rate_limit
        headers = (
            ("X-Ratelimit-Allowed", str(allowed)),
            ("X-Ratelimit-Used", str(self._used)),
            ("X-Ratelimit-Available", str(max(allowed - self._used, 0))),
            ("X-Ratelimit-Expiry", self.expiry_text()),
        )
        within = self._switches.rate_limit is None or self._used <= allowed
        return (headers if self._switches.rate_headers else ()), within

    def expiry_text(self) -> str:
        """The end of the running window as the headers give it; windows are aligned to the clock."""
        length = self._switches.rate_window_s
        end_s = (int(self._clock() // length) + 1) * length
        return str(int(end_s * 1000) if self._switches.rate_expiry_unit == "ms" else int(end_s))


class KeyQuota:
    """Alpha Vantage's accepted requests of the last second and since the switches were set."""

    def __init__(self, switches: Switches, monotonic: Callable[[], float]) -> None:
        self._switches = switches
        self._monotonic = monotonic
        self._accepted: deque[float] = deque(maxlen=1000)
        self._today = 0

    def refusal(self, key: str) -> str | None:
        """Counts one request, or says why it is refused (the daily text echoes `key`)."""
        now = self._monotonic()
        recent = sum(1 for at in self._accepted if now - at < 1.0)
        if self._switches.per_second is not None and recent >= self._switches.per_second:
            return per_second_text()
        if self._switches.per_day is not None and self._today >= self._switches.per_day:
            return daily_quota_text(key)
        self._accepted.append(now)
        self._today += 1
        return None
