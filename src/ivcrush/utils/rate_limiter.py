"""Keeps our requests inside a provider's windows by waiting; never refuses, never asks the network, knows no provider.

Two gates, and a request passes when both are open:

* our own setting: at most `limit` requests in *any* stretch of `period_s`. A request counts from its grant until one
  period after its reply, because only then is the window in which the provider counted it surely over. So no window of
  the provider can hold more than the limit, wherever its boundaries lie.
* what the provider says is left of its current window, less what we have in flight. While somebody else draws on the
  same allowance, what he is likely to leave us is spread over the rest of the window.

Until the first reply, at the beginning of each of the provider's windows and after a silence, one request travels
alone: the allowance may be spent already.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

# No wait that a provider names is longer, whoever waits: its header may hold anything, and windows are of a minute.
MAX_SERVER_WAIT_S = 65.0
MILLISECONDS_FROM = 1e11  # as seconds this would be the year 5138
_TRUST_IN_LAST_WINDOW_S = 5.0
_TRUST_IN_WHAT_IS_LEFT_S = 2.0
_REPLIES_COMPARED = 20
_SAME_WINDOW_S = 1.0  # ends that differ by less are one end, rounded
_CLOCK_STEP_S = 2.0  # a provider's clock that seems this much later than before was set back
_SHORTEST_SLEEP_S = 0.001  # a rounding error away from the moment would be slept for without end


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` requests in any stretch of `period_s` seconds."""

    limit: int
    period_s: float

    def __post_init__(self) -> None:
        if self.limit < 1 or self.period_s <= 0:
            raise ValueError(f"a window needs a positive limit and period, got {self.limit} in {self.period_s} s")


@dataclass(slots=True)
class _ServerWindow:
    """The provider's current window as far as its headers tell.

    `heard_at` is when they last told, None while we only suppose that the window began.
    `expires_at` is its end by the provider's clock, which names the window; `ends_at` the same by ours. `used_before`
    and `number_before` are where this window's count began, `others_per_s` what somebody else drew on the one before.
    `beyond_ours` is, of the latest replies, by how much the provider's count exceeds that of our requests.
    """

    expires_at: float
    allowed: int
    available: int
    ends_at: float
    began_at: float
    seen_at: float
    used_before: int
    number_before: int
    heard_at: float | None = None
    others_per_s: float = 0.0
    beyond_ours: deque[int] = field(default_factory=lambda: deque(maxlen=_REPLIES_COMPARED))

    def hear(self, number: int, allowed: int, available: int, now: float) -> None:
        """What the reply to our request of that number says is left."""
        self.allowed, self.heard_at = allowed, now
        self.beyond_ours.append(allowed - available - self.used_before - (number - self.number_before))
        if available <= self.available:  # replies overtake each other
            self.available, self.seen_at = available, now

    def others_rate(self) -> float:
        """Foreign requests a second, by this window and, as long as that is young, by the last one.

        Requests that overtake each other are counted out of turn; what even the least of several replies shows is
        foreign.
        """
        others = max(0, min(self.beyond_ours, default=0))
        carried_s = _TRUST_IN_LAST_WINDOW_S if self.others_per_s > 0 else 0.0
        return (others + self.others_per_s * carried_s) / max(1.0, self.seen_at - self.began_at + carried_s)

    def free(self, in_flight: int) -> float:
        """What is left for us: the rest, less what others will have taken by the end, and a reserve for their haste."""
        rest = float(self.available - in_flight)
        rate = self.others_rate()
        return rest if rate == 0 else rest - max(1.0, self.allowed / 20) - rate * (self.ends_at - self.seen_at)


def epoch_seconds(epoch: float) -> float:
    """A moment that may be in milliseconds, in seconds."""
    return epoch / 1000 if epoch > MILLISECONDS_FROM else epoch


class RateLimiter:
    """First come, first served; a waiter that is cancelled leaves its place to the next."""

    def __init__(
        self,
        windows: Sequence[Window],
        *,
        monotonic: Callable[[], float],
        wall_clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not windows:
            raise ValueError("a rate limiter needs at least one window")
        self._windows = tuple(windows)
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._queue = asyncio.Lock()
        self._finished = asyncio.Event()
        self._in_flight = 0
        self._number = 0
        self._answered = False
        self._ends: deque[float] = deque(maxlen=max(window.limit for window in windows))
        self._server: _ServerWindow | None = None
        self._server_clock_s: float | None = None
        self._server_period_s = max(window.period_s for window in self._windows)
        self._last_expiry: float | None = None
        self._paused_until = 0.0
        self._granted_at = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator["Slot"]:
        """Waits until a request may be sent and holds its place until the reply is complete."""
        await self._wait_for_turn()
        self._in_flight += 1
        self._number += 1
        slot = Slot(self._number)
        try:
            yield slot
        finally:
            self._give_back(slot)

    def observe(
        self,
        slot: "Slot",
        allowed: float,
        available: float,
        expires_at_epoch: float,
        server_now_epoch: float | None = None,
    ) -> None:
        """Takes over what the reply to that slot's request says of its window, unless it cannot be true.

        Moments are epoch seconds or milliseconds. The time left is measured on the provider's clock where it gave one,
        since ours may be wrong.
        """
        now = self._monotonic()
        left_s = self._time_left_s(expires_at_epoch, server_now_epoch, now)
        if not (allowed >= 1 and 0 <= available <= allowed) or left_s is None:
            return
        slot.counted = True
        seen = self._current_server_window(now)
        expires_at, ends_at = epoch_seconds(expires_at_epoch), now + left_s
        if seen is None or (seen.heard_at is not None and abs(expires_at - seen.expires_at) >= _SAME_WINDOW_S):
            before = int(allowed) - int(available)
            seen = _ServerWindow(
                expires_at, int(allowed), int(available), ends_at, now, now, before, number_before=slot.number
            )
            self._server = seen
        # The end is only ever seen too late, by travel and rounding; that of a supposed window was a guess.
        seen.ends_at = ends_at if seen.heard_at is None else min(seen.ends_at, ends_at)
        seen.expires_at = expires_at
        seen.hear(slot.number, int(allowed), int(available), now)
        self._learn_period(expires_at)

    def pause(self, wait_s: float) -> None:
        """Nobody sends for that long (at most 65 s): the provider has refused a request for going too fast."""
        self._paused_until = max(self._paused_until, self._monotonic() + min(max(wait_s, 0.0), MAX_SERVER_WAIT_S))

    def _learn_period(self, expires_at: float) -> None:
        """The provider's windows are as long as their ends lie apart."""
        if self._last_expiry is not None and expires_at - self._last_expiry > _SAME_WINDOW_S:
            self._server_period_s = min(self._server_period_s, expires_at - self._last_expiry)
        self._last_expiry = expires_at

    def _time_left_s(self, expires_at_epoch: float, server_now_epoch: float | None, now: float) -> float | None:
        """Seconds to the end of the window, None where neither clock makes sense of it."""
        expires_s = epoch_seconds(expires_at_epoch)
        clocks = (self._server_now_s(server_now_epoch, now), self._wall_clock())
        for clock_s in clocks:
            if clock_s is not None and 0 < expires_s - clock_s <= MAX_SERVER_WAIT_S:
                return expires_s - clock_s
        return None

    def _server_now_s(self, told: float | None, now: float) -> float | None:
        """The provider's clock: told in whole seconds and late by the travel, so the furthest ahead is the nearest."""
        if told is None or not math.isfinite(told):
            return None
        ahead_s = told - now
        if self._server_clock_s is None or not 0 <= self._server_clock_s - ahead_s < _CLOCK_STEP_S:
            self._server_clock_s = ahead_s
        return now + self._server_clock_s

    async def _wait_for_turn(self) -> None:
        async with self._queue:  # asyncio's lock serves in order of arrival and survives cancelled waiters
            while (delay_s := self._delay_s()) != 0:
                if delay_s is None:
                    self._finished.clear()
                    await self._finished.wait()
                else:
                    await self._sleep(max(delay_s, _SHORTEST_SLEEP_S))
            self._granted_at = self._monotonic()

    def _give_back(self, slot: "Slot") -> None:
        self._in_flight -= 1
        server = self._server
        if slot.sent:
            self._answered = True
            self._ends.append(self._monotonic())
            if server is not None and not slot.counted:
                server.available = max(0, server.available - 1)  # no word from the provider: it may have counted it
        self._finished.set()

    def _delay_s(self) -> float | None:
        """Seconds until the next request may go; 0 is now, None is not before one in flight has ended."""
        if self._in_flight and not self._answered:
            return None
        now = self._monotonic()
        waits = [max(0.0, self._paused_until - now), self._server_delay_s(now)]
        waits += [self._own_delay_s(window, now) for window in self._windows]
        return None if None in waits else max(wait for wait in waits if wait is not None)

    def _own_delay_s(self, window: Window, now: float) -> float | None:
        free = window.limit - self._in_flight
        if free <= 0:
            return None
        if len(self._ends) < free:
            return 0.0
        return max(0.0, self._ends[-free] + window.period_s - now)

    def _server_delay_s(self, now: float) -> float | None:
        server = self._current_server_window(now)
        if server is None:
            return 0.0
        if server.heard_at is None or now - server.heard_at > _TRUST_IN_WHAT_IS_LEFT_S:
            return None if self._in_flight else 0.0  # one goes ahead and learns what is left
        free = server.free(self._in_flight)
        if free < 1:
            return None if self._in_flight else server.ends_at - now
        if server.others_rate() == 0:
            return 0.0
        return max(0.0, self._granted_at + (server.ends_at - now) / free - now)

    def _current_server_window(self, now: float) -> _ServerWindow | None:
        """The provider's window, rolled over to a fresh one of the usual length where it has ended."""
        server = self._server
        if server is not None and now >= server.ends_at:
            windows_ago = (now - server.ends_at) // self._server_period_s
            began_at = server.ends_at + windows_ago * self._server_period_s
            heard_of_others = windows_ago == 0 and server.heard_at is not None
            self._server = server = _ServerWindow(
                server.expires_at + (windows_ago + 1) * self._server_period_s,
                server.allowed,
                server.allowed,
                ends_at=began_at + self._server_period_s,
                began_at=began_at,
                seen_at=began_at,
                used_before=0,
                number_before=self._number - self._in_flight,
                others_per_s=server.others_rate() if heard_of_others else 0.0,
            )
        return server


@dataclass(slots=True)
class Slot:
    """One granted request: `sent` once it is on its way, `counted` once its reply said what is left."""

    number: int
    sent: bool = False
    counted: bool = False
