"""What the caches count, as plain values for a summary or a health check."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Level 1. `evictions` left for want of room, `expirations` for age."""

    hits: int
    misses: int
    sets: int
    evictions: int
    expirations: int
    entries: int


@dataclass(frozen=True, slots=True)
class DiskStats:
    """Level 2. `corrupt` rows failed their checksum, `rebuilds` are damaged files set aside, `bytes` of payloads."""

    hits: int
    misses: int
    sets: int
    corrupt: int
    rebuilds: int
    entries: int
    bytes: int
    working: bool


@dataclass(frozen=True, slots=True)
class HybridStats:
    """Both levels. `promotions` went from disk to memory, `undecodable` rows were dropped, `loads` asked outside."""

    memory: MemoryStats
    disk: DiskStats | None
    promotions: int
    undecodable: int
    loads: int

    @property
    def hits(self) -> int:
        """Answers that cost no request."""
        return self.memory.hits + self.promotions
