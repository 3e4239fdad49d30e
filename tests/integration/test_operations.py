"""The operating commands from the outside: real files, damaged, foreign, missing, locked; and a restore drill."""

import csv
import io
import json
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ivcrush.domain.errors import Ok
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache
from ivcrush.infrastructure.database.connection import connect
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.migrations import MIGRATIONS, migrate
from ivcrush.infrastructure.run_lock import RunLock
from simulated_market import Switches
from tests.integration.conftest import INHERITED, KEY, TOKEN, Desk, Finished

BAR = "INSERT INTO daily_bars VALUES (?, ?, 1, 2, 1, 2, 1000)"
RUN = "INSERT INTO batch_runs VALUES (?, ?, '', ?, ?, ?, ?)"
ITEM = "INSERT INTO batch_items VALUES (?, ?, ?, ?, ?, ?, ?)"
ANALYSIS = "INSERT INTO analysis_log VALUES (1, 'r', 'AAPL', '2026-05-20', 'a', 'b', x'00', x'00')"
# Read inside a SQLite connection that a process keeps open, until its stdin ends.
HOLD_OPEN = """import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM daily_bars").fetchone()
print("open", flush=True)
sys.stdin.read()"""
DELETE_AND_DIE = """import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("DELETE FROM daily_bars")
os._exit(0)"""

Contents = dict[str, list[tuple[object, ...]]]


# --- what the tests are made of ---


def operate(desk: Desk, *arguments: str, **settings: str) -> Finished:
    """The command; it asks nobody, and says no secret."""
    before = len(desk.market.log())
    finished = desk.run(*arguments, as_of=False, **settings)
    assert len(desk.market.log()) == before
    assert TOKEN not in finished.out + finished.err
    assert KEY not in finished.out + finished.err
    return finished


def told(desk: Desk, *arguments: str, **settings: str) -> dict[str, object]:
    """The document of a command that went well."""
    finished = operate(desk, *arguments, "--format", "json", **settings)
    assert (finished.code, finished.err) == (0, "")
    document: dict[str, object] = json.loads(finished.out)
    return document


def refused(desk: Desk, code: int, *arguments: str, **settings: str) -> str:
    """The one line of a command that did not go well."""
    finished = operate(desk, *arguments, **settings)
    assert finished.code == code
    assert finished.out == ""
    (line,) = finished.err.splitlines()
    return line


def path_of(desk: Desk) -> Path:
    return desk.directory / "data" / "ivcrush.db"


def database(desk: Desk, rows: int = 100) -> Path:
    """A database with a bar a day of that many companies."""
    path = path_of(desk)
    opened = init_database(path)
    assert isinstance(opened, Ok)
    opened.value.close()
    add(path, range(rows))
    return path


def add(path: Path, companies: range) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(BAR, ((f"T{number:07}", "2026-05-15") for number in companies))


def write(path: Path, sql: str, *rows: tuple[object, ...]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executemany(sql, rows or [()])


def contents(path: Path) -> Contents:
    """Every row of every table, read without the program."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1, 2').fetchall() for name in names}


def damage(path: Path) -> None:
    """Overwrite every page but the first three."""
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xa5" * (path.stat().st_size - 3 * 4096))


def files(desk: Desk) -> dict[str, bytes]:
    found = (path for path in desk.directory.rglob("*") if path.is_file())
    return {str(path.relative_to(desk.directory)): path.read_bytes() for path in found}


def leftovers(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name.startswith(".")]


def started(desk: Desk, *arguments: str, **options: object) -> "subprocess.Popen[bytes]":
    """The program as a process of its own."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    command = [sys.executable, "-m", "ivcrush.cli.main", *arguments]
    chosen = {"cwd": desk.directory, "env": kept | desk.environment, "stdout": subprocess.PIPE} | options
    return subprocess.Popen(command, stderr=subprocess.PIPE, **chosen)  # type: ignore[call-overload, no-any-return]


def until(happened: Callable[[], object], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@contextmanager
def held_open(path: Path) -> Iterator[None]:
    """Another process has the database open."""
    command = [sys.executable, "-c", HOLD_OPEN, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield
        process.communicate()


def older_schema(desk: Desk) -> Path:
    path = path_of(desk)
    path.parent.mkdir()
    path.touch()
    with closing(connect(path, 1)) as connection:
        migrate(connection, MIGRATIONS[:1])
    return path


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


# --- database init ---


def test_init_makes_a_private_database_once(desk: Desk) -> None:
    made = told(desk, "database", "init")
    assert made["schema"] == "ivcrush.database/1"
    assert (made["path"], made["done"], made["schema_version"]) == (str(path_of(desk)), "made", len(MIGRATIONS))
    assert stat.S_IMODE(path_of(desk).stat().st_mode) == 0o600
    before = contents(path_of(desk))
    assert told(desk, "database", "init")["done"] == "found as it should be"
    assert contents(path_of(desk)) == before


def test_init_migrates_an_older_schema(desk: Desk) -> None:
    older_schema(desk)
    assert told(desk, "database", "init")["done"] == "migrated from schema 1"
    assert told(desk, "database", "check")["schema_version"] == len(MIGRATIONS)


def test_init_where_nothing_can_be_made_is_a_storage_failure(desk: Desk) -> None:
    desk.file("data", b"a file where the folder should be")
    assert "data" in refused(desk, 74, "database", "init")


# --- database check ---


def test_a_sound_database_is_counted_and_not_touched(desk: Desk) -> None:
    path = database(desk, 7)
    before = path.read_bytes()
    document = told(desk, "database", "check")
    assert path.read_bytes() == before
    assert document["sound"] is True
    assert document["damage"] == []
    assert document["application_id"] == "IVCR"
    assert document["run_in_progress"] is None
    assert document["size_bytes"] == path.stat().st_size
    assert isinstance(document["tables"], dict)
    assert {name: rows for name, rows in document["tables"].items() if rows} == {"daily_bars": 7}
    assert set(document["tables"]) == set(contents(path)) - {"sqlite_sequence"}


def test_free_pages_are_counted(desk: Desk) -> None:
    path = database(desk, 5000)
    write(path, "DELETE FROM daily_bars")
    with closing(sqlite3.connect(path)) as connection:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    assert free > 20
    assert told(desk, "database", "check")["free_pages"] == free


@pytest.mark.parametrize("action", [("check",), ("backup", "copy.db")])
def test_a_missing_database_is_a_storage_failure_that_says_how_to_make_one(desk: Desk, action: tuple[str, ...]) -> None:
    line = refused(desk, 74, "database", *action)
    assert line == f"{path_of(desk)}: there is no database; backfill or ivcrush database init makes one"
    assert list(desk.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "the file is empty; restore a backup"), (b"garbage" * 1000, "not a database")],
)
def test_a_file_that_is_no_database_is_a_storage_failure_and_stays(desk: Desk, content: bytes, words: str) -> None:
    path_of(desk).parent.mkdir()
    path_of(desk).write_bytes(content)
    for action in (("check",), ("init",), ("backup", "copy.db")):
        assert words in refused(desk, 74, "database", *action)
    assert files(desk) == {"data/ivcrush.db": content}


@pytest.mark.parametrize("action", [("check",), ("init",), ("backup", "copy.db")])
def test_another_programs_database_and_a_newer_schema_are_refused(desk: Desk, action: tuple[str, ...]) -> None:
    path = database(desk)
    write(path, "PRAGMA application_id = 7")
    assert "another program's database" in refused(desk, 74, "database", *action)
    write(path, "PRAGMA application_id = 0x49564352")
    write(path, "PRAGMA user_version = 99")
    assert "schema 99, this program knows 2; upgrade ivcrush" in refused(desk, 78, "database", *action)


def test_damaged_pages_are_told_in_the_document_and_by_the_code(desk: Desk) -> None:
    path = database(desk, 5000)
    with path.open("r+b") as file:  # rows alone; the schema can be read
        file.seek(path.stat().st_size - 20 * 4096)
        file.write(b"\xa5" * 20 * 4096)
    finished = operate(desk, "database", "check", "--format", "json")
    assert finished.code == 74
    document = json.loads(finished.out)
    assert document["sound"] is False
    assert document["damage"]
    assert finished.err.startswith(f"{path}: damaged (")


def test_a_schema_that_cannot_be_read_is_told_in_a_line(desk: Desk) -> None:
    path = database(desk, 5000)
    damage(path)
    assert refused(desk, 74, "database", "check").startswith(f"{path}: damaged (")


def test_a_truncated_database_is_damaged(desk: Desk) -> None:
    path = database(desk, 5000)
    os.truncate(path, path.stat().st_size // 2)
    assert operate(desk, "database", "check").code == 74


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "INSERT INTO batch_items (run_id, position, question) VALUES ('nobody', 0, 'q')",
            "a row of batch_items refers to a row of batch_runs that is not there",
        ),
        ("DROP TABLE daily_bars", "table daily_bars is missing"),
    ],
)
def test_what_pages_do_not_show_is_damage_too(desk: Desk, statement: str, words: str) -> None:
    write(database(desk), statement)
    finished = operate(desk, "database", "check", "--format", "json")
    assert finished.code == 74
    assert json.loads(finished.out)["damage"] == [words]


def test_check_shows_the_run_under_way(desk: Desk) -> None:
    path = database(desk)
    with RunLock(path.with_name(path.name + ".lock")) as lock:
        lock.acquire("scan, process 1")
        assert told(desk, "database", "check")["run_in_progress"] == "scan, process 1"


# --- database backup ---


def test_a_backup_holds_the_same_rows_under_a_name_of_its_own_and_is_private(desk: Desk) -> None:
    path = database(desk, 500)
    assert told(desk, "database", "backup", "copy.db")["backup"] == str(desk.directory / "copy.db")
    copy = desk.directory / "copy.db"
    assert contents(copy) == contents(path)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert leftovers(desk.directory) == []


def test_a_backup_holds_what_is_still_in_the_log_of_a_writer(desk: Desk) -> None:
    path = database(desk, 10)
    with closing(sqlite3.connect(path)) as writer:
        writer.executemany(BAR, [("NEW", "2026-05-15")])
        writer.commit()
        assert path.with_name(path.name + "-wal").stat().st_size > 0
        told(desk, "database", "backup", "copy.db")
    assert len(contents(desk.directory / "copy.db")["daily_bars"]) == 11


def test_a_backup_never_replaces_a_file(desk: Desk) -> None:
    database(desk)
    copy = desk.file("copy.db", b"precious")
    assert "copy.db: exists already" in refused(desk, 2, "database", "backup", "copy.db")
    (desk.directory / "link.db").symlink_to("nowhere")
    assert "exists already" in refused(desk, 2, "database", "backup", "link.db")
    assert copy.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (".", "is a directory; a new file name is needed"),
        ("no/where.db", "no is no directory; an existing one is needed"),
        ("", "a file name of printable characters is needed"),
        ("a\x1b[31m.db", "a file name of printable characters is needed"),
    ],
)
def test_a_backup_to_a_name_that_cannot_be_meant_is_a_usage_error(desk: Desk, name: str, words: str) -> None:
    database(desk)
    assert words in refused(desk, 2, "database", "backup", name)


def test_a_damaged_database_gives_no_backup(desk: Desk) -> None:
    damage(database(desk, 5000))
    assert "; restore a backup" in refused(desk, 74, "database", "backup", "copy.db")
    assert not (desk.directory / "copy.db").exists()


def test_an_older_schema_is_backed_up_as_it_is(desk: Desk) -> None:
    path = older_schema(desk)
    assert told(desk, "database", "backup", "before-upgrade.db")["schema_version"] == 1
    assert contents(desk.directory / "before-upgrade.db") == contents(path)


def test_a_backup_while_a_batch_writes_is_of_one_moment_and_disturbs_nobody(desk: Desk) -> None:
    desk.run("backfill", "--calendar")
    batch = desk.process("scan.py", "--days", "3", "--as-of", "2026-05-15T15:45:00-04:00", "--format", "json")
    until(lambda: len(contents(path_of(desk))["batch_runs"]) == 1)
    copies = 0
    while batch.poll() is None and copies < 5:
        assert desk.run("database", "backup", f"copy{copies}.db", as_of=False).code == 0
        copies += 1
    out, _ = batch.communicate(timeout=60)
    assert batch.returncode in {0, 3}
    assert json.loads(out)["summary"]["total"] > 0
    assert copies > 0
    for number in range(copies):
        copy = contents(desk.directory / f"copy{number}.db")
        done = {row[3] for row in copy["batch_items"] if row[3] is not None}
        assert done == {row[0] for row in copy["analysis_log"]}  # a row and its analysis are committed together


def test_a_full_disk_leaves_no_copy_and_no_litter(desk: Desk) -> None:
    path = database(desk, 20_000)
    backups = desk.directory / "backups"
    backups.mkdir()
    half = path.stat().st_size // 2
    process = started(
        desk,
        "database", "backup", "backups/copy.db",
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (half, half)),
    )  # fmt: skip
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 74
    assert complaint.decode().startswith(f"{backups}: ")
    assert len(complaint.splitlines()) == 1
    assert list(backups.iterdir()) == []
    assert operate(desk, "database", "check").code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_backup_leaves_no_file(desk: Desk, number: signal.Signals, code: int) -> None:
    database(desk, 200_000)
    backups = desk.directory / "backups"
    backups.mkdir()
    process = started(desk, "database", "backup", "backups/copy.db")
    until(lambda: leftovers(backups))
    process.send_signal(number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == code
    assert list(backups.iterdir()) == []
    assert complaint == b"interrupted; what was finished is kept\n"


def test_a_killed_backup_has_no_name(desk: Desk) -> None:
    database(desk, 200_000)
    backups = desk.directory / "backups"
    backups.mkdir()
    process = started(desk, "database", "backup", "backups/copy.db")
    until(lambda: leftovers(backups))
    process.kill()
    process.communicate(timeout=60)
    assert not (backups / "copy.db").exists()
    assert told(desk, "database", "backup", "backups/copy.db")["sound"] is True


# --- database restore ---


def test_the_restore_drill_gives_back_every_row_and_keeps_the_damaged_file(desk: Desk) -> None:
    path = database(desk, 5000)
    wanted = contents(path)
    assert told(desk, "database", "backup", "copy.db")["sound"] is True
    damage(path)
    ruin = path.read_bytes()
    assert operate(desk, "database", "check").code == 74
    document = told(desk, "database", "restore", "copy.db")
    assert told(desk, "database", "check")["sound"] is True
    assert contents(path) == wanted
    aside = Path(str(document["set_aside"]))
    assert aside.name.startswith("ivcrush.db.before-restore-20")
    assert aside.read_bytes() == ruin
    assert contents(desk.directory / "copy.db") == wanted
    assert told(desk, "database", "init")["journal_mode"] == "wal"
    assert leftovers(path.parent) == []


def test_a_log_left_by_the_former_database_is_set_aside_and_not_played_in(desk: Desk) -> None:
    path = database(desk, 10)
    told(desk, "database", "backup", "copy.db")
    wanted = contents(path)
    subprocess.run([sys.executable, "-c", DELETE_AND_DIE, str(path)], check=True)
    log = path.with_name(path.name + "-wal").read_bytes()
    assert log
    document = told(desk, "database", "restore", "copy.db")
    assert contents(path) == wanted
    aside = Path(str(document["set_aside"]))
    assert aside.with_name(aside.name + "-wal").read_bytes() == log
    assert contents(aside)["daily_bars"] == []  # the former database, whole with its log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_restores_belongs_to_whom_the_former_database_belonged(desk: Desk) -> None:
    path = database(desk)
    told(desk, "database", "backup", "copy.db")
    os.chown(path, 65534, 65534)
    told(desk, "database", "restore", "copy.db")
    assert (path.stat().st_uid, path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (65534, 65534, 0o600)


def test_a_backup_restores_where_there_is_no_database(desk: Desk) -> None:
    path = database(desk)
    told(desk, "database", "backup", "copy.db")
    wanted = contents(path)
    for each in path.parent.iterdir():
        each.unlink()
    path.parent.rmdir()
    assert told(desk, "database", "restore", "copy.db")["set_aside"] is None
    assert contents(path) == wanted


def test_an_older_backup_goes_back_under_an_older_program(desk: Desk) -> None:
    path = database(desk)
    told(desk, "database", "backup", "copy.db")
    write(path, "PRAGMA user_version = 99")  # as a newer program leaves it
    assert told(desk, "database", "restore", "copy.db")["sound"] is True
    assert told(desk, "database", "check")["schema_version"] == len(MIGRATIONS)


def test_a_backup_of_an_older_schema_is_migrated_at_the_next_opening(desk: Desk) -> None:
    path = older_schema(desk)
    told(desk, "database", "backup", "copy.db")
    path.unlink()
    assert told(desk, "database", "restore", "copy.db")["schema_version"] == 1
    assert told(desk, "database", "init")["done"] == "migrated from schema 1"


def test_a_file_that_is_no_sound_backup_changes_nothing(desk: Desk) -> None:
    path = database(desk, 5000)
    told(desk, "database", "backup", "damaged.db")
    damage(desk.directory / "damaged.db")
    desk.file("empty.db", b"")
    desk.file("garbage.db", b"garbage" * 1000)
    write(desk.directory / "foreign.db", "CREATE TABLE someone (a)")
    before = path.read_bytes()
    for name, words in (
        ("damaged.db", "damaged ("),
        ("empty.db", "the file is empty"),
        ("garbage.db", "not a database"),
        ("foreign.db", "another program's database"),
    ):
        line = refused(desk, 65, "database", "restore", name)
        assert line.startswith(f"{desk.directory / name}: {words}")
        assert line.endswith("; nothing was changed, another backup is needed")
    assert "there is no such file" in refused(desk, 65, "database", "restore", "nowhere.db")
    told(desk, "database", "backup", "newer.db")
    write(desk.directory / "newer.db", "PRAGMA user_version = 99")
    assert "upgrade ivcrush" in refused(desk, 78, "database", "restore", "newer.db")
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir() if "before-restore" in each.name] == []


def test_another_programs_database_is_not_moved_away(desk: Desk) -> None:
    path = database(desk)
    told(desk, "database", "backup", "copy.db")
    write(path, "PRAGMA application_id = 7")
    line = refused(desk, 74, "database", "restore", "copy.db")
    assert line == f"{path}: another program's database; name another DB_PATH, or move it away"


def test_a_restore_waits_for_no_run_and_names_it(desk: Desk) -> None:
    path = database(desk)
    told(desk, "database", "backup", "copy.db")
    before = path.read_bytes()
    with RunLock(path.with_name(path.name + ".lock")) as lock:
        lock.acquire("scan, process 1")
        assert "scan, process 1; try later" in refused(desk, 75, "database", "restore", "copy.db")
    assert path.read_bytes() == before


def test_a_restore_goes_under_nobodys_open_connection(desk: Desk) -> None:
    path = database(desk)
    told(desk, "database", "backup", "copy.db")
    inode = path.stat().st_ino
    with held_open(path):
        line = refused(desk, 75, "database", "restore", "copy.db", DB_TIMEOUT="0.05")
        assert "open in another process" in line
        assert path.stat().st_ino == inode
    assert told(desk, "database", "restore", "copy.db")["sound"] is True
    assert path.stat().st_ino != inode


def test_a_restore_onto_a_full_disk_leaves_the_former_database(desk: Desk) -> None:
    path = database(desk, 20_000)
    told(desk, "database", "backup", "copy.db")
    inode, half = path.stat().st_ino, path.stat().st_size // 2
    process = started(
        desk,
        "database", "restore", "copy.db",
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (half, half)),
    )  # fmt: skip
    process.communicate(timeout=60)
    assert process.returncode == 74
    assert path.stat().st_ino == inode
    assert leftovers(path.parent) == []
    assert told(desk, "database", "check")["sound"] is True


# --- cache ---


def filled_cache(desk: Desk) -> Path:
    """Two live quotes, a live chain, and a chain whose time is over."""
    path = desk.directory / "data" / "ivcrush-cache.db"
    now_s = time.time()
    for age_s, key, size, life_s in (
        (20, "https://t/v1/quotes?symbols=A", 10, 300),
        (10, "https://t/v1/chain?symbol=A", 2_000, 300),
        (0, "https://t/v1/quotes?symbols=B", 30, 300),
        (600, "https://t/v1/chain?symbol=OLD", 5_000, 300),  # last: whoever comes later sweeps it out
    ):
        cache = SqliteCache(path, clock=lambda age_s=age_s: now_s - age_s)  # type: ignore[misc]
        cache.set(key, b"x" * size, life_s)
        cache.close()
    return path


def test_the_cache_is_counted_by_kind(desk: Desk) -> None:
    path = filled_cache(desk)
    document = told(desk, "cache", "stats")
    assert document["schema"] == "ivcrush.cache/1"
    assert (document["state"], document["working"], document["path"]) == ("ready", True, str(path))
    assert (document["entries"], document["expired"], document["payload_bytes"]) == (4, 1, 7_040)
    assert document["file_bytes"] == path.stat().st_size
    assert "ends with the run" in str(document["level_1"])
    assert isinstance(document["kinds"], list)
    chains, quotes = document["kinds"]
    assert {name: chains[name] for name in ("kind", "entries", "expired", "payload_bytes")} == {
        "kind": "chain", "entries": 2, "expired": 1, "payload_bytes": 7_000,
    }  # fmt: skip
    assert (quotes["kind"], quotes["entries"], quotes["expired"]) == ("quotes", 2, 0)
    span = datetime.fromisoformat(quotes["newest_at"]) - datetime.fromisoformat(quotes["oldest_at"])
    assert abs(span - timedelta(seconds=20)) <= timedelta(seconds=1)


def test_what_a_real_analysis_kept_is_told_and_cleared(desk: Desk) -> None:
    assert desk.run("analyze", "AAPL").code in {0, 3}
    kinds = told(desk, "cache", "stats")["kinds"]
    assert isinstance(kinds, list)
    assert {"quotes", "expirations", "chain"} <= {kind["kind"] for kind in kinds}
    entries = sum(kind["entries"] for kind in kinds)
    cleared = told(desk, "cache", "clear")
    assert cleared["removed"] == entries
    assert told(desk, "cache", "stats")["entries"] == 0


def test_clean_drops_what_has_expired_and_gives_the_space_back(desk: Desk) -> None:
    path = filled_cache(desk)
    cache = SqliteCache(path, clock=lambda: time.time() - 600)
    for number in range(100):
        cache.set(f"https://t/v1/bars?symbol=T{number}", b"x" * 50_000, 300)
    cache.close()
    document = told(desk, "cache", "clean")
    assert document["removed"] == 101
    assert int(str(document["bytes_before"])) > 5_000_000
    assert int(str(document["bytes_after"])) < 200_000
    assert document["bytes_after"] == path.stat().st_size
    assert (told(desk, "cache", "stats")["entries"], told(desk, "cache", "clean")["removed"]) == (3, 0)


def test_clearing_under_an_open_cache_works_and_disturbs_it_not(desk: Desk) -> None:
    path = filled_cache(desk)
    in_use = SqliteCache(path)
    assert in_use.get("https://t/v1/quotes?symbols=A") is not None
    assert told(desk, "cache", "clear")["removed"] == 4
    assert in_use.get("https://t/v1/quotes?symbols=A") is None
    in_use.set("k", b"v", 60)
    assert in_use.get("k") is not None
    in_use.close()


@pytest.mark.parametrize("action", ["stats", "clear", "clean"])
def test_a_missing_cache_is_told_and_not_made(desk: Desk, action: str) -> None:
    assert told(desk, "cache", action)["state"] == "missing"
    assert list(desk.directory.iterdir()) == []


@pytest.mark.parametrize("action", ["stats", "clear", "clean"])
def test_a_cache_that_is_damaged_or_not_ours_is_a_storage_failure_and_stays(desk: Desk, action: str) -> None:
    (desk.directory / "data").mkdir()
    path = desk.file("data/ivcrush-cache.db", b"garbage" * 1000)
    assert "; the next run begins it anew, or remove it" in refused(desk, 74, "cache", action)
    assert path.read_bytes() == b"garbage" * 1000
    path.unlink()
    write(path, "CREATE TABLE someone (a)")
    assert "another program's database" in refused(desk, 74, "cache", action)
    path.unlink()
    path.mkdir()
    assert "not a file" in refused(desk, 74, "cache", action)


def test_damage_inside_the_cache_is_found(desk: Desk) -> None:
    path = filled_cache(desk)
    with path.open("r+b") as file:
        file.seek(16_384)
        file.write(b"\xa5" * 16_384)
    assert "damaged" in refused(desk, 74, "cache", "stats")


def test_a_cache_of_another_version_or_switched_off_is_told(desk: Desk) -> None:
    path = filled_cache(desk)
    assert told(desk, "cache", "stats", CACHE_ENABLED="false")["state"] == "switched_off"
    write(path, "PRAGMA user_version = 1")
    assert told(desk, "cache", "stats")["state"] == "other_version"
    assert told(desk, "cache", "clear")["removed"] == 0


def test_a_cache_locked_by_a_writer_is_to_be_tried_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled_cache(desk)
    monkeypatch.setattr("ivcrush.infrastructure.cache.maintenance._LOCK_WAIT_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert "locked" in refused(desk, 75, "cache", "clear")


# --- quota ---


def calls(desk: Desk, *rows: tuple[datetime, int, datetime | None]) -> None:
    minutes = (
        ("alpha_vantage", text(minute), used, None if refused_at is None else text(refused_at))
        for minute, used, refused_at in rows
    )
    write(database(desk), "INSERT INTO rate_limits VALUES (?, ?, ?, ?)", *minutes)


def of_provider(desk: Desk, **settings: str) -> dict[str, dict[str, object]]:
    document = told(desk, "quota", **settings)
    assert document["schema"] == "ivcrush.quota/1"
    assert isinstance(document["providers"], list)
    return {row["provider"]: row for row in document["providers"]}


def test_the_calls_of_the_last_day_are_counted_and_the_older_ones_not(desk: Desk) -> None:
    now = datetime.now(UTC)
    calls(desk, (now - timedelta(hours=30), 9, None), (now - timedelta(hours=3), 4, None), (now, 1, None))
    found = of_provider(desk)
    assert found["alpha_vantage"] == {
        "provider": "alpha_vantage", "per_minute": 1000, "per_day": 25, "used_24_h": 5, "left": 20, "next_at": None,
        "refused_at": None,
        "key_refused_at": None,
    }  # fmt: skip
    assert (found["tradier"]["per_minute"], found["tradier"]["left"]) == (100_000, None)


def test_a_spent_day_names_when_the_next_call_is_free(desk: Desk) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=3)
    calls(desk, (minute, 2, None))
    state = of_provider(desk, ALPHA_VANTAGE_PER_DAY="2")["alpha_vantage"]
    assert (state["left"], state["used_24_h"]) == (0, 2)
    assert datetime.fromisoformat(str(state["next_at"])) == minute + timedelta(hours=24, minutes=1)


def test_the_providers_own_refusal_is_told(desk: Desk) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    calls(desk, (now, 3, now))
    state = of_provider(desk)["alpha_vantage"]
    assert (state["left"], state["used_24_h"]) == (0, 3)
    assert datetime.fromisoformat(str(state["refused_at"])) == now


def test_a_refused_key_is_told_by_quota_and_health_until_an_answer_comes(desk: Desk) -> None:
    desk.strike("invalid_key")
    assert desk.run("backfill", "AAPL").code == 77
    refused_at = datetime.fromisoformat(str(of_provider(desk)["alpha_vantage"]["key_refused_at"]))
    assert abs(refused_at - datetime.now(UTC)) < timedelta(minutes=5)
    desk.market.set_switches(Switches())
    assert "127.0.0.1 refused the key (ALPHA_VANTAGE_KEY) at " in alarm_of(desk, "alpha_vantage")
    assert desk.run("backfill", "AAPL").code == 0
    assert of_provider(desk)["alpha_vantage"]["key_refused_at"] is None
    assert alarm_of(desk, "alpha_vantage") == ""


def alarm_of(desk: Desk, name: str) -> str:
    """The detail of a check in alarm, nothing where it is well."""
    checks = json.loads(desk.run("health-check", "--format", "json").out)["checks"]
    return "".join(check["detail"] for check in checks if check["name"] == name and not check["healthy"])


def test_who_raises_the_days_calls_need_not_wait_for_midnight(desk: Desk) -> None:
    desk.strike("daily_quota")
    assert desk.run("backfill", "AAPL").code == 75
    desk.market.set_switches(Switches())
    assert desk.run("backfill", "AAPL").code == 75
    assert of_provider(desk, ALPHA_VANTAGE_PER_DAY="75")["alpha_vantage"]["next_at"] is None
    assert desk.run("backfill", "AAPL", ALPHA_VANTAGE_PER_DAY="75").code == 0


@pytest.mark.parametrize("command", ["quota", "runs"])
def test_without_a_readable_database_the_failure_says_what_to_do(desk: Desk, command: str) -> None:
    assert refused(desk, 74, command).endswith("there is no database; backfill or ivcrush database init makes one")
    assert list(desk.directory.iterdir()) == []
    older_schema(desk)
    assert refused(desk, 74, command).endswith("; the next run or ivcrush database init migrates it")


# --- runs ---


def some_runs(desk: Desk) -> tuple[Path, datetime]:
    """Four days ago complete, three days ago stopped, and one begun two hours ago that has no end."""
    path, now = database(desk), datetime.now(UTC)
    hours = timedelta(hours=1)
    days = 24 * hours
    write(
        path,
        RUN,
        ("r1", "scan", text(now - 4 * days), text(now - 4 * days + hours), 1, 0),
        ("r2", "analyze-batch", text(now - 3 * days), text(now - 3 * days), 0, 143),
        ("r3", "analyze-batch", text(now - 2 * hours), None, 0, None),
    )
    write(path, ANALYSIS)
    then = text(now - hours)
    write(
        path,
        ITEM,
        ("r3", 0, "a", 1, None, None, then),
        ("r3", 1, "b", None, "NODATA", "none", then),
        ("r3", 2, "c", None, None, None, None),
        ("r3", 3, "d", None, None, None, None),
    )
    return path, now


def listed(desk: Desk, *arguments: str) -> list[dict[str, object]]:
    document = told(desk, "runs", *arguments)
    assert document["schema"] == "ivcrush.runs/1"
    runs = document["runs"]
    assert isinstance(runs, list)
    return runs


def test_runs_are_listed_newest_first_with_their_outcome_and_age(desk: Desk) -> None:
    some_runs(desk)
    runs = listed(desk)
    assert [(run["run_id"], run["state"], run["exit_code"]) for run in runs] == [
        ("r3", "cut", None), ("r2", "stopped", 143), ("r1", "complete", 0),
    ]  # fmt: skip
    assert [runs[0][name] for name in ("rows", "analysed", "failed", "left")] == [4, 1, 1, 2]
    ages_s = [int(str(run["age_s"])) for run in runs]
    wanted_s = [3600, 3 * 86_400, 4 * 86_400 - 3600]  # since the last row, the stop, the end
    assert all(0 <= age_s - about_s < 60 for age_s, about_s in zip(ages_s, wanted_s, strict=True))
    assert [run["run_id"] for run in listed(desk, "--last", "1")] == ["r3"]


def test_a_run_without_an_end_is_under_way_while_its_command_holds_the_lock(desk: Desk) -> None:
    path, _ = some_runs(desk)
    with RunLock(path.with_name(path.name + ".lock")) as lock:
        lock.acquire("analyze-batch, process 1, run r3")
        assert [run["state"] for run in listed(desk)] == ["under way", "stopped", "complete"]
        assert told(desk, "runs")["run_in_progress"] == "analyze-batch, process 1, run r3"
    with RunLock(path.with_name(path.name + ".lock")) as lock:
        lock.acquire("backfill, process 1, run s")
        assert listed(desk)[0]["state"] == "cut"


@pytest.mark.parametrize("last", ["0", "-1", "x", "1.5", "٣"])
def test_a_count_of_runs_that_cannot_be_meant_is_a_usage_error(desk: Desk, last: str) -> None:
    assert "--last" in refused(desk, 2, "runs", f"--last={last}")


# --- forms, settings and the demonstration ---


def test_tables_are_for_people(desk: Desk) -> None:
    some_runs(desk)
    filled_cache(desk)
    runs = operate(desk, "runs").out.splitlines()
    assert runs[3].split()[:4] == ["command", "started", "at", "ended"]
    assert "60 min" in runs[4]
    assert "3 d" in runs[5]
    check = operate(desk, "database", "check").out.splitlines()
    assert "sound                 yes" in check
    assert "  batch_runs          3" in check
    assert operate(desk, "cache", "stats").out.splitlines()[-2].split()[0] == "chain"
    assert operate(desk, "quota").out.splitlines()[-1].split()[:2] == ["tradier", "100000"]


def test_csv_has_a_row_for_each_of_what_is_listed(desk: Desk) -> None:
    some_runs(desk)
    filled_cache(desk)
    for arguments, column, wanted in (
        (("runs",), "run_id", ["r3", "r2", "r1"]),
        (("cache", "stats"), "kind", ["chain", "quotes"]),
        (("quota",), "provider", ["alpha_vantage", "tradier"]),
        (("database", "check"), "tables_batch_runs", ["3"]),
    ):
        rows = list(csv.DictReader(io.StringIO(operate(desk, *arguments, "--format", "csv").out)))
        assert [row[column] for row in rows] == wanted
        assert {row["simulated"] for row in rows} == {"false"}


def test_the_result_goes_into_a_file_where_asked(desk: Desk) -> None:
    database(desk)
    finished = operate(desk, "database", "check", "--format", "json", "--output", "check.json")
    assert (finished.code, finished.out) == (0, "")
    assert json.loads((desk.directory / "check.json").read_text())["sound"] is True


def test_settings_that_cannot_work_are_told_all_at_once(desk: Desk) -> None:
    finished = operate(desk, "database", "check", DB_TIMEOUT="soon", TRADIER_PER_MINUTE="many")
    assert finished.code == 78
    assert len(finished.err.splitlines()) == 2


def test_no_key_is_needed(desk: Desk) -> None:
    database(desk)
    for arguments in (("database", "check"), ("cache", "stats"), ("quota",), ("runs",)):
        assert operate(desk, *arguments, TRADIER_API_KEY="", ALPHA_VANTAGE_KEY="").code == 0


def test_the_demonstration_has_files_of_its_own(desk: Desk) -> None:
    assert refused(desk, 74, "database", "check", "--demo").startswith(f"{desk.directory / 'data' / 'demo.db'}: ")
    made = told(desk, "database", "init", "--demo")
    assert (made["simulated"], made["path"]) == (True, str(desk.directory / "data" / "demo.db"))
    assert operate(desk, "quota", "--demo").out.startswith("SIMULATED MARKET")
    assert not path_of(desk).exists()


@pytest.mark.parametrize(
    "arguments", [("database",), ("cache",), ("cache", "empty"), ("quota", "--refresh"), ("runs", "--as-of", "2026")]
)
def test_what_these_commands_do_not_know_is_a_usage_error(desk: Desk, arguments: tuple[str, ...]) -> None:
    assert "see ivcrush" in refused(desk, 2, *arguments)
