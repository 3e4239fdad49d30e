"""What the command line cannot show of a restore: a former database that another death left half done."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from ivcrush.domain.errors import Err, Ok
from ivcrush.infrastructure.database.backup import back_up, restore
from ivcrush.infrastructure.database.init_schema import init_database


def never() -> bool:
    return False


def made(path: Path, rows: int) -> None:
    opened = init_database(path)
    assert isinstance(opened, Ok)
    opened.value.write(
        lambda connection: connection.executemany(
            "INSERT INTO calendar_refreshes VALUES (?, 't', 0)", [(f"{number}" * 100,) for number in range(rows)]
        )
    )
    opened.value.close()


def counted(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (rows,) = connection.execute("SELECT count(*) FROM calendar_refreshes").fetchone()
        return int(rows)


def cut_in_a_change(path: Path, folder: Path) -> None:
    """Leave the database with half a change in its file, and the journal that takes it back."""
    whole = folder / "cut.db"
    shutil.copyfile(path, whole)
    with closing(sqlite3.connect(whole, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA cache_size = 1")  # pages must leave the memory before the end of the transaction
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM calendar_refreshes")
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{whole}{suffix}", f"{path}{suffix}")


def test_half_a_change_is_not_backed_up(tmp_path: Path) -> None:
    path, copy = tmp_path / "ivcrush.db", tmp_path / "copy.db"
    made(path, 2000)
    cut_in_a_change(path, tmp_path)
    refused = back_up(path, copy, interrupted=never)
    assert isinstance(refused, Err)
    assert "a change was cut half way; the next run takes it back" in refused.error.message
    assert not copy.exists()
    made(path, 0)
    assert isinstance(back_up(path, copy, interrupted=never), Ok)
    assert counted(copy) == 2000


def test_a_journal_left_by_the_former_database_is_set_aside_and_not_played_back(tmp_path: Path) -> None:
    path, copy = tmp_path / "ivcrush.db", tmp_path / "copy.db"
    made(path, 1)
    assert isinstance(back_up(path, copy, interrupted=never), Ok)
    path.unlink()
    made(path, 2000)
    cut_in_a_change(path, tmp_path)
    journal = path.with_name(path.name + "-journal").read_bytes()
    done = restore(copy, path, suffix=".before", busy_timeout_s=1.0, interrupted=never)
    assert isinstance(done, Ok), done
    assert counted(path) == 1
    assert done.value.set_aside is not None
    assert done.value.set_aside.with_name("ivcrush.db.before-journal").read_bytes() == journal
    assert counted(done.value.set_aside) == 2000


def test_a_damaged_database_with_a_log_is_set_aside_as_it_is(tmp_path: Path) -> None:
    path, copy = tmp_path / "ivcrush.db", tmp_path / "copy.db"
    made(path, 3)
    assert isinstance(back_up(path, copy, interrupted=never), Ok)
    ruin, log = b"garbage" * 1000, b"no log either"
    path.write_bytes(ruin)
    path.with_name("ivcrush.db-wal").write_bytes(log)
    done = restore(copy, path, suffix=".before", busy_timeout_s=1.0, interrupted=never)
    assert isinstance(done, Ok), done
    assert counted(path) == 3
    assert (tmp_path / "ivcrush.db.before").read_bytes() == ruin
    assert (tmp_path / "ivcrush.db.before-wal").read_bytes() == log
