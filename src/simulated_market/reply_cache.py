"""Replies already encoded, bounded by their bytes: a load test asks the same questions again and again."""

from collections import OrderedDict
from collections.abc import Callable

from simulated_market.messages import Reply

_BYTES_KEPT = 256_000_000


class ReplyCache:
    """The most recently used replies, at most `limit_bytes` of bodies."""

    def __init__(self, limit_bytes: int = _BYTES_KEPT) -> None:
        self._limit_bytes = limit_bytes
        self._replies: OrderedDict[str, Reply] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, key: str, build: Callable[[], Reply]) -> Reply:
        """The kept reply, or the one that `build` makes, kept from now on."""
        kept = self._replies.get(key)
        if kept is not None:
            self._replies.move_to_end(key)
            return kept
        reply = build()
        self._replies[key] = reply
        self._bytes += len(reply.body)
        while self._bytes > self._limit_bytes:
            _, dropped = self._replies.popitem(last=False)
            self._bytes -= len(dropped.body)
        return reply
