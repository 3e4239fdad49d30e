"""Faults 13 to 25: the disk is full, read only, failing or locked, and files that are not what they were."""

import fcntl
import json
import os
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count as counting
from pathlib import Path

import pytest

from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache
from ivcrush.infrastructure.database.migrations import MIGRATIONS, migrate
from tests.faults.processes import ended, started
from tests.faults.verdict import count, ends, sound
from tests.integration.conftest import Desk

COMPANIES = ("AAPL", "KO", "MSFT")
GONE_AND_BACK_S = 0.4
LITTLE_ROOM_BYTES = 300_000


def database(desk: Desk) -> Path:
    return desk.directory / "data" / "ivcrush.db"


def asked(desk: Desk) -> int:
    """How many requests the market has met."""
    return int(str(desk.market.stats()["requests"]))


@pytest.fixture
def filled(desk: Desk) -> Desk:
    """A desk that has analysed one company."""
    assert desk.run("analyze", "AAPL").code == 0
    return desk


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """A file system at `place` until the block ends."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", *options, str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


# --- no room ---


@pytest.mark.fault(13)
def test_a_commit_that_finds_no_room_ends_with_74_and_keeps_what_was_committed(desk: Desk) -> None:
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LITTLE_ROOM_BYTES, LITTLE_ROOM_BYTES))

    companies = desk.market.world.tickers[:12]
    command = ("backfill", *companies)
    small = ended(started(desk, *command, first=little_room, CACHE_ENABLED="0", ALPHA_VANTAGE_PER_DAY="1000"))
    ends(small, 74, "ivcrush.db: reading or writing failed", "check the disk")
    sound(database(desk))
    assert 0 < count(database(desk), "ticker_metadata") < len(companies)
    ends(desk.run(*command, ALPHA_VANTAGE_PER_DAY="1000"), 0)


@pytest.mark.fault(13)
@pytest.mark.privileged
def test_a_full_disk_ends_with_74_saying_so_and_the_same_command_goes_on_once_there_is_room(desk: Desk) -> None:
    data = desk.directory / "data"
    companies = desk.market.world.tickers[:20]
    with mounted(data, "-t", "tmpfs", "-o", "size=1m", "none"):
        full = ends(desk.run("backfill", *companies, ALPHA_VANTAGE_PER_DAY="1000", CACHE_ENABLED="0"), 74)
        assert "the disk is full" in full.err
        sound(database(desk))
        kept = count(database(desk), "ticker_metadata")
        subprocess.run(["mount", "-o", "remount,size=64m", str(data)], check=True)
        ends(desk.run("backfill", *companies, ALPHA_VANTAGE_PER_DAY="1000"), 0)
        assert count(database(desk), "ticker_metadata") == len(companies) > kept


@pytest.mark.fault(14)
def test_a_result_that_finds_no_room_on_stdout_ends_with_74_and_is_safe_in_the_database(desk: Desk) -> None:
    with Path("/dev/full").open("wb") as full:
        finished = ended(started(desk, "analyze", "AAPL", stdout=full.fileno()))
    ends(finished, 74, "stdout: cannot be written: the disk is full", "what was fetched is kept in the database")
    assert count(database(desk), "analysis_log") == 1


@pytest.mark.fault(14)
@pytest.mark.privileged
def test_a_report_that_finds_no_room_ends_with_74_and_the_old_one_stays(filled: Desk) -> None:
    reports = filled.directory / "reports"
    with mounted(reports, "-t", "tmpfs", "-o", "size=16k", "none"):
        (reports / "report.json").write_text("yesterday's\n")
        (reports / "ballast").write_bytes(bytes(8_000))
        output = ("--format", "json", "--output", "reports/report.json")
        ends(filled.run("analyze", "AAPL", *output), 74, "reports/report.json: cannot be written: No space left")
        assert (reports / "report.json").read_text() == "yesterday's\n"
        assert sorted(path.name for path in reports.iterdir()) == ["ballast", "report.json"]
        (reports / "ballast").unlink()
        ends(filled.run("analyze", "AAPL", *output), 0)


@pytest.mark.fault(14)
def test_a_log_that_finds_no_room_is_told_of_once_and_the_work_goes_on(desk: Desk) -> None:
    finished = ended(started(desk, "analyze", "AAPL", LOG_FILE="/dev/full", LOG_LEVEL="DEBUG"))
    ends(finished, 0, "LOG_FILE /dev/full: No space left on device: lines are being lost")
    assert finished.err.count("lines are being lost") == 1


# --- no permission ---


@pytest.mark.fault(16)
@pytest.mark.privileged
def test_a_read_only_place_is_refused_before_any_request_and_can_still_be_read(filled: Desk) -> None:
    data = filled.directory / "data"
    with mounted(data, "--bind", str(data)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(data)], check=True)
        before = asked(filled)
        for command in (("analyze", "AAPL"), ("backfill", "KO"), ("analyze-batch", "--tickers", "AAPL")):
            ends(filled.run(*command), 74, str(data), "write")
        assert asked(filled) == before
        ends(filled.run("runs", as_of=False), 0)
        ends(filled.run("quota", as_of=False), 0)
        ends(filled.run("cache", "stats", as_of=False), 0)
        ends(filled.run("database", "check", as_of=False), 0)


# --- locked ---


@contextmanager
def written_to(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's transaction on the database, for as long as the block lasts."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@pytest.mark.fault(17)
def test_a_database_that_stays_locked_ends_with_75_after_its_timeout_and_nothing_is_lost(filled: Desk) -> None:
    kept = count(database(filled), "analysis_log")
    with written_to(database(filled)):
        ends(filled.run("analyze", "AAPL", DB_TIMEOUT="0.2"), 75, str(database(filled)), "locked by another process")
    assert count(database(filled), "analysis_log") == kept
    ends(filled.run("analyze", "AAPL"), 0)


@pytest.mark.fault(17)
def test_a_database_that_is_locked_for_a_moment_is_waited_for(filled: Desk) -> None:
    with written_to(database(filled)) as other:
        timer = threading.Timer(GONE_AND_BACK_S, lambda: other.execute("ROLLBACK"))
        timer.start()
        ends(filled.run("analyze", "AAPL"), 0)
        timer.join()
    assert count(database(filled), "analysis_log") == 2


@pytest.mark.fault(17)
def test_a_gate_that_stays_shut_ends_with_75(filled: Desk) -> None:
    with (database(filled).parent / "ivcrush.db.gate").open("rb") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        ends(filled.run("analyze", "AAPL", DB_TIMEOUT="0.1"), 75, "ivcrush.db", "locked")


# --- no database of ours ---


def header_gone(path: Path) -> None:
    path.write_bytes(b"garbage " * 12 + path.read_bytes()[96:])


def page_gone(path: Path) -> None:
    content = bytearray(path.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    content[page : 2 * page] = b"\xa5" * page
    path.write_bytes(content)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def made_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def made_anothers(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


DAMAGES = (header_gone, page_gone, cut_in_half, emptied, made_a_directory, made_anothers)


@pytest.mark.fault(18)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_file_that_is_no_sound_database_of_ours_is_refused_by_name_and_never_made_anew(
    filled: Desk, damage: Callable[[Path], None]
) -> None:
    path = database(filled)
    damage(path)
    found = path.read_bytes() if path.is_file() else None
    before = asked(filled)
    for command in (("analyze", "AAPL"), ("backfill", "KO"), ("analyze-batch", "--tickers", "AAPL")):
        ends(filled.run(*command), 74, str(path))
    assert asked(filled) == before
    assert (path.read_bytes() if path.is_file() else None) == found


@pytest.mark.fault(18)
@pytest.mark.parametrize("damage", [header_gone, page_gone, cut_in_half], ids=lambda damage: damage.__name__)
def test_a_damaged_cache_costs_a_warning_and_no_result(filled: Desk, damage: Callable[[Path], None]) -> None:
    damage(filled.directory / "data" / "ivcrush-cache.db")
    finished = filled.run("analyze", "AAPL", "--format", "json")
    ends(finished, 0)
    assert '"schema": "ivcrush.analysis/1"' in finished.out
    ends(filled.run("cache", "stats", as_of=False), 0)


@pytest.mark.fault(18)
def test_a_cache_that_is_another_programs_is_left_alone_and_done_without(filled: Desk) -> None:
    path = filled.directory / "data" / "ivcrush-cache.db"
    made_anothers(path)
    found = path.read_bytes()
    finished = ends(filled.run("analyze", "AAPL"), 0)
    assert "another program's database" in finished.err
    assert path.read_bytes() == found


# --- rows that are not what was stored ---


def rewrite(cache: Path, payload: bytes, *, checksum_too: bool) -> None:
    """Put this payload into every row, as a disk would, or as somebody who can compute a checksum."""
    with closing(sqlite3.connect(cache, isolation_level=None)) as connection:
        rows = connection.execute("SELECT key, stored_at, expires_at, checksum FROM replies").fetchall()
        assert rows
        for key, stored_at, expires_at, checksum in rows:
            right = zlib.crc32(payload, zlib.crc32(struct.pack("<dd", stored_at, expires_at) + key.encode()))
            connection.execute(
                "UPDATE replies SET payload = ?, size = ?, checksum = ? WHERE key = ?",
                (payload, len(payload), right if checksum_too else checksum, key),
            )


POISONS = {
    "flipped": (b"\x00" * 64, False),
    "wrong json": (b'{"quotes": ', True),
    "null": (b"null", True),
    "nothing": (b"", True),
    "pickle": (b"cos\nsystem\n(S'touch poisoned'\ntR.", True),
    "deep": (b"[" * 100_000, True),
    "surrogate": (b'{"quotes": {"quote": {"symbol": "\\ud800", "description": "\\u001b[31m"}}}', True),
}


@pytest.mark.fault(19, 70)
@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_cache_is_asked_for_anew_and_changes_no_number(filled: Desk, poison: str) -> None:
    wanted = json.loads(filled.run("analyze", "AAPL", "--format", "json").out)
    payload, checksum_too = POISONS[poison]
    rewrite(filled.directory / "data" / "ivcrush-cache.db", payload, checksum_too=checksum_too)
    before = asked(filled)
    finished = ends(filled.run("analyze", "AAPL", "--format", "json"), 0)
    assert asked(filled) > before
    assert json.loads(finished.out)["implied_move"] == wanted["implied_move"]
    assert not (filled.directory / "poisoned").exists()


@pytest.mark.fault(19)
@pytest.mark.parametrize(
    "payload",
    [
        b'{"quotes": {"quote": 7}, "options": {"option": "x"}, "expirations": [[]]}',
        b'{"quotes": {"quote": {"symbol": "AAPL", "last": 1e999, "bid": -1, "ask": "NaN"}}}',
    ],
    ids=["wrong shape", "no numbers"],
)
def test_a_cached_reply_without_data_is_no_number_and_a_refresh_heals_it(filled: Desk, payload: bytes) -> None:
    rewrite(filled.directory / "data" / "ivcrush-cache.db", payload, checksum_too=True)
    ends(filled.run("analyze", "AAPL", "--format", "json"), 1, "AAPL: NODATA: ")
    ends(filled.run("analyze", "AAPL", "--format", "json", "--refresh"), 0)


# --- the write-ahead log and copies ---


def killed_amid_work(desk: Desk, companies: tuple[str, ...]) -> None:
    """A backfill that dies with its write-ahead log on disk."""
    process = started(desk, "backfill", *companies, "--log-level", "INFO")
    assert process.stderr is not None
    for line in process.stderr:
        if f"/{len(companies)} " in line:
            break
    process.send_signal(signal.SIGKILL)
    ended(process)


@pytest.mark.fault(20)
@pytest.mark.parametrize("whose", ["deleted", "another's"])
def test_a_write_ahead_log_that_is_gone_or_another_files_leaves_a_sound_database(desk: Desk, whose: str) -> None:
    killed_amid_work(desk, COMPANIES)
    log = database(desk).with_name("ivcrush.db-wal")
    assert log.exists()
    log.unlink()
    if whose == "another's":
        ours = database(desk).read_bytes()
        with closing(sqlite3.connect(desk.directory / "other.db", isolation_level=None)) as other:
            other.execute("PRAGMA journal_mode = WAL")
            other.execute("CREATE TABLE bookmarks (url TEXT)")
            shutil.copyfile(desk.directory / "other.db-wal", log)
        ends(desk.run("backfill", *COMPANIES), 74, str(database(desk)), "another program's database")
        assert database(desk).read_bytes() == ours
        log.unlink()
    ends(desk.run("backfill", *COMPANIES), 0)
    sound(database(desk))
    ends(desk.run("analyze", *COMPANIES), 0)


@pytest.mark.fault(20)
def test_a_backup_made_amid_work_is_whole(desk: Desk) -> None:
    killed_amid_work(desk, COMPANIES)
    ends(desk.run("database", "backup", "kept.db", as_of=False), 0)
    sound(desk.directory / "kept.db")
    assert count(desk.directory / "kept.db", "ticker_metadata") == count(database(desk), "ticker_metadata") >= 1


# --- schemas ---


@pytest.mark.fault(21)
def test_a_migration_killed_at_any_statement_leaves_the_old_schema_or_the_new_one(desk: Desk) -> None:
    path = database(desk)
    path.parent.mkdir()
    for place in counting(1):
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection, MIGRATIONS[:1])
        if not dies_at_statement(path, place):
            break
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone()[0] in {1, len(MIGRATIONS)}
        sound(path)
    assert place > len(MIGRATIONS[1])
    path.chmod(0o600)
    ends(desk.run("analyze", "AAPL"), 0)


def dies_at_statement(path: Path, place: int) -> bool:
    """Whether a process that migrates the file came to its `place`-th statement, where it is killed."""
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        statements = counting(1)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.set_trace_callback(
            lambda _: os.kill(os.getpid(), signal.SIGKILL) if next(statements) == place else None
        )
        migrate(connection)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.fault(22)
def test_a_newer_schema_asks_for_an_upgrade_and_is_left_alone(filled: Desk) -> None:
    with closing(sqlite3.connect(database(filled))) as connection:
        connection.execute("PRAGMA user_version = 99")
    for command in (("analyze", "AAPL"), ("backfill", "KO")):
        ends(filled.run(*command), 78, str(database(filled)), "schema 99", "upgrade ivcrush")
    with closing(sqlite3.connect(database(filled))) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


# --- places and versions that one had better know of ---


def checked(desk: Desk) -> str:
    return desk.run("health-check", "--format", "csv").out


@pytest.mark.fault(23)
def test_a_database_behind_a_link_is_told_of_and_works(filled: Desk) -> None:
    path = database(filled)
    path.rename(path.with_name("elsewhere.db"))
    path.symlink_to("elsewhere.db")
    assert "a symbolic link" in checked(filled)
    path.unlink()
    path.hardlink_to(path.with_name("elsewhere.db"))
    assert "2 names by hard links" in checked(filled)


@pytest.mark.fault(24)
def test_a_cache_stays_within_its_bounds_over_a_years_replies(tmp_path: Path) -> None:
    now = [1_000_000.0]
    path = tmp_path / "cache.db"
    cache = SqliteCache(path, max_rows=200, max_bytes=2_000_000, clock=lambda: now[0])
    sizes = []
    for day in range(365):
        now[0] += 86_400
        for number in range(30):
            cache.set(f"{day}-{number}", bytes(5_000), 300.0)
        sizes.append(path.stat().st_size + path.with_name("cache.db-wal").stat().st_size)
    assert cache.stats().entries <= 200 + 256
    assert max(sizes[180:]) <= max(sizes[:180])
    cache.close()


@pytest.mark.fault(25)
def test_an_sqlite_that_can_damage_a_log_is_told_of(filled: Desk) -> None:
    old = sqlite3.sqlite_version_info < (3, 51, 3)
    assert (f"SQLite {sqlite3.sqlite_version}" in checked(filled)) == old
