"""Opening: made where missing, migrated where old, refused by name where it is not ours; nothing is replaced."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok
from ivcrush.infrastructure.database import init_schema
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.migrations import APPLICATION_ID, MIGRATIONS, migrate
from ivcrush.infrastructure.database.write_gate import WriteGate


def refusal(result: object) -> AppError:
    assert isinstance(result, Err), result
    return result.error


def pragma(path: Path, name: str) -> object:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]
    finally:
        connection.close()


def test_a_missing_file_is_made_with_its_directories_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "ivcrush.db"
    opened = init_database(path)
    assert isinstance(opened, Ok)
    opened.value.write(lambda connection: connection.execute("DELETE FROM dividends"))
    names = {entry.name for entry in path.parent.iterdir()}
    assert names == {"ivcrush.db", "ivcrush.db-wal", "ivcrush.db-shm", "ivcrush.db.gate"}
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()} == {0o600}
    assert [stat.S_IMODE(made.stat().st_mode) for made in (tmp_path / "a", path.parent)] == [0o700, 0o700]
    opened.value.close()


def test_the_file_says_whose_it_is_and_how_it_is_kept(database: Database) -> None:
    assert pragma(database.path, "application_id") == APPLICATION_ID
    assert pragma(database.path, "user_version") == len(MIGRATIONS)
    assert pragma(database.path, "journal_mode") == "wal"
    assert database.rows("PRAGMA synchronous", (), lambda row: row[0]) == Ok((2,))
    assert database.rows("PRAGMA mmap_size", (), lambda row: row[0]) == Ok((0,))
    assert database.rows("PRAGMA foreign_keys", (), lambda row: row[0]) == Ok((1,))


def test_a_rollback_journal_that_a_power_loss_left_is_played_back(database_path: Path, tmp_path: Path) -> None:
    """A restored backup is turned to WAL at its first opening; a cut there leaves a journal."""
    opened = init_database(database_path)
    assert isinstance(opened, Ok)
    opened.value.close()
    cut = tmp_path / "cut" / "ivcrush.db"
    cut.parent.mkdir()
    connection = sqlite3.connect(database_path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA cache_size = 1")  # a page must leave the memory before the end of the transaction
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO calendar_refreshes VALUES (?, 't', 0)", [(f"{number}" * 100,) for number in range(2000)]
    )
    for suffix in ("", "-journal"):
        shutil.copyfile(f"{database_path}{suffix}", f"{cut}{suffix}")
    connection.execute("ROLLBACK")
    connection.close()
    again = init_database(cut)
    assert isinstance(again, Ok), again
    assert again.value.rows("SELECT count(*) FROM calendar_refreshes", (), lambda row: row[0]) == Ok((0,))
    again.value.close()
    assert pragma(cut, "journal_mode") == "wal"


def test_who_waits_while_a_database_is_restored_works_on_the_restored_one(database_path: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh" / "ivcrush.db"
    for path, ticker in ((database_path, "OLD"), (fresh, "NEW")):
        opened = init_database(path)
        assert isinstance(opened, Ok)
        opened.value.write(
            lambda connection, name=ticker: connection.execute(
                "INSERT INTO ticker_metadata (ticker, last_backfill) VALUES (?, 'x')", (name,)
            )
        )
        opened.value.close()
    with ThreadPoolExecutor() as pool:
        with WriteGate(database_path, 0.0):
            waiting = pool.submit(init_database, database_path, busy_timeout_s=30.0)
            while open_files().count(f"{database_path}.gate") < 2:
                time.sleep(0.001)
            assert str(database_path) not in open_files()
            fresh.replace(database_path)
        opened = waiting.result()
    assert isinstance(opened, Ok)
    assert opened.value.rows("SELECT ticker FROM ticker_metadata", (), lambda row: row[0]) == Ok(("NEW",))
    opened.value.close()


def open_files() -> list[str]:
    """The names of the files that this process has open."""
    names = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            names.append(str(each.readlink()))
    return names


def test_a_schema_whose_damage_is_no_text_is_told_as_damage(database_path: Path) -> None:
    opened = init_database(database_path)
    assert isinstance(opened, Ok)
    opened.value.close()
    content = database_path.read_bytes()
    damaged = content.replace(b"tabledividendsdividends", b"table\xbbividends\xbbividends").replace(
        b"CREATE TABLE dividends", b"CREATE TABEL \xbbividends"
    )
    assert damaged != content
    database_path.write_bytes(damaged)
    error = refusal(init_database(database_path))
    assert error.code is ErrorCode.DBERROR
    assert "damaged" in error.message


def test_a_name_with_a_question_mark_and_a_hash_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "what?mode=memory#1 %41.db"
    opened = init_database(path)
    assert isinstance(opened, Ok)
    opened.value.close()
    assert path.is_file()


def test_a_process_that_was_faster_wins_and_its_rows_stay(tmp_path: Path) -> None:
    path = tmp_path / "ivcrush.db"
    winner = init_database(path)
    assert isinstance(winner, Ok)
    winner.value.write(
        lambda connection: connection.execute("INSERT INTO ticker_metadata (ticker, last_backfill) VALUES ('IBM', 'x')")
    )
    init_schema._create(path, 1.0)  # what a slower process does that saw no file a moment ago
    assert winner.value.rows("SELECT ticker FROM ticker_metadata", (), lambda row: row[0]) == Ok(("IBM",))
    winner.value.close()
    assert {entry.name for entry in tmp_path.iterdir()} == {"ivcrush.db", "ivcrush.db.gate"}


def empty(path: Path) -> None:
    path.touch()


def garbage(path: Path) -> None:
    path.write_bytes(b"ticker,earnings_date\n" * 500)


def directory(path: Path) -> None:
    path.mkdir()


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()


def foreign_with_our_table_names(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE earnings_calendar (ticker TEXT)")
    connection.execute("PRAGMA user_version = 1")
    connection.close()


def truncated(path: Path) -> None:
    ours(path)
    path.write_bytes(path.read_bytes()[: 3 * 4096])


def broken_page(path: Path) -> None:
    ours(path)
    content = bytearray(path.read_bytes())
    content[4 * 4096 : 5 * 4096] = b"\x5a" * 4096
    path.write_bytes(content)


def without_a_table(path: Path) -> None:
    ours(path)
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE daily_bars")
    connection.close()


def ours(path: Path) -> None:
    opened = init_database(path)
    assert isinstance(opened, Ok)
    opened.value.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (empty, "the file is empty"),
        (garbage, "not a database"),
        (directory, "not a file"),
        (foreign, "another program's database"),
        (foreign_with_our_table_names, "another program's database"),
        (truncated, "damaged"),
        (broken_page, "damaged"),
        (without_a_table, "table daily_bars is missing"),
    ],
)
def test_what_is_not_a_whole_database_of_ours_is_refused_by_name_and_left_alone(
    database_path: Path, spoil: object, says: str
) -> None:
    assert callable(spoil)
    spoil(database_path)
    before = database_path.read_bytes() if database_path.is_file() else b""
    error = refusal(init_database(database_path))
    assert error.code is ErrorCode.DBERROR
    assert str(database_path) in error.message
    assert says in error.message
    assert (database_path.read_bytes() if database_path.is_file() else b"") == before


def test_a_file_where_a_directory_is_needed_is_said_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    error = refusal(init_database(tmp_path / "data" / "ivcrush.db"))
    assert error.code is ErrorCode.DBERROR
    assert error.message.startswith(f"{tmp_path / 'data' / 'ivcrush.db'}: Not a directory")


def test_a_newer_schema_asks_for_an_upgrade_and_stays_as_it_is(database_path: Path) -> None:
    ours(database_path)
    connection = sqlite3.connect(database_path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    error = refusal(init_database(database_path))
    assert error.code is ErrorCode.CONFIG
    assert "upgrade ivcrush" in error.message
    assert pragma(database_path, "user_version") == len(MIGRATIONS) + 1


def test_an_older_schema_is_migrated(database_path: Path) -> None:
    connection = sqlite3.connect(database_path, isolation_level=None)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("VACUUM")
    connection.close()
    opened = init_database(database_path)
    assert isinstance(opened, Ok)
    opened.value.close()
    assert pragma(database_path, "user_version") == len(MIGRATIONS)


def test_a_backup_by_vacuum_into_opens_again_in_wal_mode(database: Database, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    assert database.rows("VACUUM INTO ?", (str(backup),), lambda row: row) == Ok(())
    opened = init_database(backup)
    assert isinstance(opened, Ok)
    opened.value.close()
    assert pragma(backup, "journal_mode") == "wal"


def as_nobody(ask: Callable[[], str]) -> str:
    """What `ask` answers in a process of a user whom file modes bind."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        os.setgid(65534)
        os.setuid(65534)
        os.write(sender, ask().encode())
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, encoding="utf-8") as answer:
        text = answer.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return text


def test_a_read_only_file_in_a_read_only_directory_is_refused_at_once() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become a user whom file modes bind")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "ivcrush.db"
        ours(path)
        path.chmod(0o444)
        Path(place).chmod(0o555)
        writing = as_nobody(lambda: refusal(init_database(path)).message)
    assert writing.startswith(f"{path}: ")
    assert "writable file in a writable directory is needed" in writing


_STEPS = ("CREATE TABLE one (a TEXT) STRICT", "INSERT INTO one VALUES ('x')", "CREATE TABLE two (b TEXT) STRICT")


@pytest.mark.parametrize("cut_after", range(len(_STEPS) + 1))
def test_a_migration_killed_after_any_statement_leaves_the_old_schema_whole(
    database_path: Path, cut_after: int
) -> None:
    ours(database_path)
    steps = (*_STEPS[:cut_after], "SELECT die()", *_STEPS[cut_after:])
    child = os.fork()
    if child == 0:  # pragma: no cover - it ends by SIGKILL
        connection = sqlite3.connect(database_path, isolation_level=None)
        connection.create_function("die", 0, lambda: os.kill(os.getpid(), 9))
        migrate(connection, (*MIGRATIONS, steps))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    connection = sqlite3.connect(database_path, isolation_level=None)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name IN ('one', 'two')").fetchone() == (0,)
    migrate(connection, (*MIGRATIONS, _STEPS))
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    assert connection.execute("SELECT a FROM one").fetchall() == [("x",)]
    connection.close()


def test_a_migration_that_fails_is_rolled_back_and_its_fault_is_raised(database_path: Path) -> None:
    ours(database_path)
    connection = sqlite3.connect(database_path, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        migrate(connection, (*MIGRATIONS, ("CREATE TABLE one (a TEXT)", "INSERT INTO nowhere VALUES (1)")))
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'one'").fetchone() == (0,)
    connection.close()


def test_a_disk_too_small_for_the_schema_leaves_no_half_made_database(tmp_path: Path) -> None:
    limits = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192));"
    ignore = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    code = (
        limits + ignore + "import sys; from pathlib import Path;"
        "from ivcrush.infrastructure.database.init_schema import init_database;"
        "print(init_database(Path(sys.argv[1])).error)"
    )
    path = tmp_path / "ivcrush.db"
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"DBERROR: {path}: ")
    assert list(tmp_path.iterdir()) == []


def test_another_databases_log_beside_ours_is_refused_and_not_played_in(tmp_path: Path) -> None:
    path = tmp_path / "ivcrush.db"
    init_database(path).value.close()  # type: ignore[union-attr]
    ours = path.read_bytes()
    other = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    log = path.with_name("ivcrush.db-wal")
    log.write_bytes((tmp_path / "other.db-wal").read_bytes())
    other.close()
    assert "another program's database" in str(init_database(path))
    assert path.read_bytes() == ours
    log.unlink()
    init_database(path).value.close()  # type: ignore[union-attr]
