"""Level 2: validated reply bodies in a SQLite file of its own, shared by processes, of no value that cannot be fetched.

It never fails its caller: a damaged file is set aside and begun anew, one that cannot be used is done without, both
with one warning. A row is handed out only if its checksum is right. Keys come from the caller and hold no secret;
payloads are bytes that nothing here interprets.
"""

import logging
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from ivcrush.infrastructure.cache.statistics import DiskStats
from ivcrush.infrastructure.database.private_files import make_private_directory, make_private_file
from ivcrush.utils.performance import track_performance

T = TypeVar("T")

APPLICATION_ID: Final = 0x49564343  # "IVCC"
SCHEMA: Final = 2
_CLOCK_SLACK_S: Final = 1.0  # a row from further in the future has an unknown age
_SWEEP_EVERY_SETS: Final = 256
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SKIPPED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_LOG: Final = logging.getLogger(__name__)

_CREATE: Final = (
    "DROP TABLE IF EXISTS replies",
    """CREATE TABLE replies (
        key TEXT PRIMARY KEY, stored_at REAL NOT NULL, expires_at REAL NOT NULL, size INTEGER NOT NULL,
        checksum INTEGER NOT NULL, payload BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX replies_by_expiry ON replies (expires_at, size)",  # covers the sweep: no payload page is read
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA}",
)
_GET: Final = "SELECT stored_at, expires_at, checksum, payload FROM replies WHERE key = ?"
_SET: Final = """INSERT INTO replies (key, stored_at, expires_at, size, checksum, payload) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET stored_at = excluded.stored_at, expires_at = excluded.expires_at,
    size = excluded.size, checksum = excluded.checksum, payload = excluded.payload"""
_TOTALS: Final = "SELECT count(*), ifnull(sum(size), 0) FROM replies"
# Rows beyond the limits, counted from those that live longest.
_DROP_SURPLUS: Final = """DELETE FROM replies WHERE key IN (SELECT key FROM (
    SELECT key, row_number() OVER longest AS place, sum(size) OVER longest AS reached FROM replies
    WINDOW longest AS (ORDER BY expires_at DESC, key ROWS UNBOUNDED PRECEDING)) WHERE place > ? OR reached > ?)"""


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A reply's bytes, the seconds that it may still be used, more than 0, and those since it was stored."""

    payload: bytes
    remaining_s: float
    age_s: float


class _AnothersFile(sqlite3.DatabaseError):
    """A healthy database that is no cache of ours: left alone."""


class SqliteCache:
    """At most about `max_rows` rows and `max_bytes` of payload; `clock` is the wall clock in epoch seconds."""

    def __init__(
        self,
        path: Path,
        *,
        max_rows: int = 20_000,
        max_bytes: int = 256_000_000,
        busy_timeout_s: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._busy_timeout_s, self._clock = busy_timeout_s, clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._hits = self._misses = self._sets = self._corrupt = self._rebuilds = 0
        self._sets_since_sweep, self._bytes_since_sweep = _SWEEP_EVERY_SETS, 0  # short runs sweep too, at the first set
        self._warned = False
        with self._lock:
            self._open()

    @track_performance(name="cache file get", threshold_s=1.0)
    def get(self, key: str) -> StoredReply | None:
        """The reply, or None where there is none, its time is over, its age is unknown or its bytes are damaged."""
        with self._lock:
            reply = self._attempt(lambda connection: self._read(connection, key), None)
            if reply is None:
                self._misses += 1
            else:
                self._hits += 1
            return reply

    @track_performance(name="cache file set", threshold_s=1.0)
    def set(self, key: str, payload: bytes, ttl_s: float) -> None:
        """Keep a reply for that many seconds; one larger than an eighth of the cache is not kept."""
        if ttl_s <= 0 or len(payload) > self._max_bytes // 8:
            return
        now = self._clock()
        expires_at = now + ttl_s
        row = (key, now, expires_at, len(payload), _checksum(key, now, expires_at, payload), payload)
        with self._lock:
            if self._attempt(lambda connection: _done(connection.execute(_SET, row)), False):
                self._sets += 1
                self._sweep_when_due(len(payload))

    def drop(self, key: str) -> None:
        """Forget one reply."""
        with self._lock:
            self._attempt(
                lambda connection: _done(connection.execute("DELETE FROM replies WHERE key = ?", (key,))), False
            )

    def stats(self) -> DiskStats:
        """The counts since the start, and what lies in the file now."""
        with self._lock:
            entries, held = self._attempt(_totals, (0, 0))
            working = self._connection is not None
            return DiskStats(
                self._hits, self._misses, self._sets, self._corrupt, self._rebuilds, entries, held, working
            )

    def close(self) -> None:
        """Close the file; a closed cache holds nothing and keeps nothing."""
        with self._lock:
            self._forget_connection()

    def _read(self, connection: sqlite3.Connection, key: str) -> StoredReply | None:
        row = connection.execute(_GET, (key,)).fetchone()
        if row is None:
            return None
        stored_at, expires_at, checksum, payload = row
        now = self._clock()
        age_s = now - stored_at
        intact = checksum == _checksum(key, stored_at, expires_at, payload)
        if intact and age_s >= -_CLOCK_SLACK_S and now < expires_at:
            return StoredReply(payload, min(expires_at - now, expires_at - stored_at), max(0.0, age_s))
        self._corrupt += not intact
        connection.execute("DELETE FROM replies WHERE key = ? AND checksum = ?", (key, checksum))
        return None

    def _sweep_when_due(self, added_bytes: int) -> None:
        self._sets_since_sweep += 1
        self._bytes_since_sweep += added_bytes
        if self._sets_since_sweep >= _SWEEP_EVERY_SETS or self._bytes_since_sweep >= self._max_bytes // 8:
            self._sets_since_sweep = self._bytes_since_sweep = 0
            self._attempt(self._sweep, None)

    def _sweep(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM replies WHERE expires_at <= ?", (self._clock(),))
        entries, held = _totals(connection)
        if entries > self._max_rows or held > self._max_bytes:
            connection.execute(_DROP_SURPLUS, (self._max_rows, self._max_bytes))

    def _attempt(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What `work` gives, or `otherwise` where the file does not let it; damage is repaired for the next time."""
        if self._connection is None:
            return otherwise
        try:
            return work(self._connection)
        except sqlite3.DatabaseError as error:
            if _primary_code(error) in _DAMAGE:
                self._forget_connection()
                self._begin_anew(error)
            elif _primary_code(error) not in _SKIPPED:
                self._warn_once(error)
            return otherwise

    def _open(self) -> None:
        try:
            self._connection = _opened(self.path, self._busy_timeout_s)
        except sqlite3.DatabaseError as error:
            if _primary_code(error) in _DAMAGE:
                self._begin_anew(error)
            else:
                self._warn_once(error)
        except OSError as error:
            self._warn_once(error)

    def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        """Set the damaged file aside under another name, one at most: it might be somebody's. Make a new one."""
        self._rebuilds += 1
        _LOG.warning("cache %s: damaged (%s); begun anew, the old file is kept as .damaged", self.path, error)
        try:
            self.path.replace(self.path.with_name(self.path.name + ".damaged"))
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._connection = _opened(self.path, self._busy_timeout_s)
        except (OSError, sqlite3.DatabaseError) as refusal:
            self._warn_once(refusal)

    def _warn_once(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning("cache %s: cannot be used (%s); going on without it", self.path, error)

    def _forget_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _opened(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection to a cache of our schema, made where there is none. Raises OSError, sqlite3.DatabaseError."""
    make_private_directory(path.parent)
    make_private_file(path)
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")  # both answers from one moment, whoever else is just making the file
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    connection.execute("COMMIT")
    if application_id != APPLICATION_ID and tables > 0:
        raise _AnothersFile("another program's database")
    connection.execute("PRAGMA page_size = 16384")  # a reply of 60 KB is four overflow pages instead of fifteen
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")  # a power loss may cost the cache, and only the cache
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA journal_size_limit = 16000000")
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA:  # new, or of another version of this program: nothing in it is worth migrating
        for statement in _CREATE:
            connection.execute(statement)
    connection.execute("COMMIT")


def _checksum(key: str, stored_at: float, expires_at: float, payload: bytes) -> int:
    """CRC-32 of the whole row: a payload under another key or with another age is as wrong as a flipped bit.

    It guards against accidents, of which it misses one in 2^32 and no run of up to 32 bits. Whoever may write the file
    can compute any unkeyed digest too; against them stand the file's mode and the parsers. A cryptographic digest of a
    chain costs more than the rest of reading it.
    """
    return zlib.crc32(payload, zlib.crc32(struct.pack("<dd", stored_at, expires_at) + key.encode()))


def _totals(connection: sqlite3.Connection) -> tuple[int, int]:
    entries, held = connection.execute(_TOTALS).fetchone()
    return int(entries), int(held)


def _done(_: sqlite3.Cursor) -> bool:
    return True


def _primary_code(error: sqlite3.DatabaseError) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
