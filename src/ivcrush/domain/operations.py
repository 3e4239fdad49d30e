"""What the operating commands find out before anybody shows it: database, cache, quota, runs. Values only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """A database file at one moment; `log_bytes` is the size of its -wal file.

    `tables` holds each table's name and rows, nothing where the pages are damaged. `damage` is empty in a sound file.
    """

    size_bytes: int
    log_bytes: int
    page_size_bytes: int
    pages: int
    free_pages: int
    schema_version: int
    newest_schema: int
    application_id: int
    journal_mode: str
    tables: tuple[tuple[str, int], ...]
    damage: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.damage


class CacheState(StrEnum):
    """What the next run meets."""

    READY = "ready"
    MISSING = "missing"  # it makes one
    OTHER_VERSION = "other_version"  # it begins anew
    SWITCHED_OFF = "switched_off"


@dataclass(frozen=True, slots=True)
class RepliesOfKind:
    """The kept replies to one kind of question, those whose time is over among them."""

    kind: str
    entries: int
    expired: int
    payload_bytes: int
    oldest_at: datetime
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """The file of level 2; `file_bytes` with its -wal file."""

    state: CacheState
    file_bytes: int
    kinds: tuple[RepliesOfKind, ...]


@dataclass(frozen=True, slots=True)
class CacheCleaning:
    """What left the cache file, and its size (with its -wal file) before and after."""

    state: CacheState
    removed: int
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run over many companies, as its rows stand now.

    Of `rows`, `analysed` have an answer and `failed` a reason, `provider_failed` of these one of `PROVIDER_FAILURES`;
    `history_lost` counts the analyses for which a provider did not give the past moves. `last_at` is the last sign of
    life. `ended_at` is None while it is under way, and after it was cut; `complete`: every row was reached.
    """

    run_id: str
    command: str
    started_at: datetime
    ended_at: datetime | None
    last_at: datetime
    complete: bool
    exit_code: int | None
    rows: int
    analysed: int
    failed: int
    provider_failed: int
    history_lost: int = 0

    @property
    def reached(self) -> int:
        """The rows that have an answer or a reason."""
        return self.analysed + self.failed

    @property
    def left(self) -> int:
        """The rows that were not reached."""
        return self.rows - self.reached
