"""A cache file is looked at, not touched: what is not there is not made, what is broken stays broken."""

import sqlite3
from pathlib import Path

import pytest

from ivcrush.domain.errors import Err, Ok
from ivcrush.infrastructure.cache.inspection import inspect_cache
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


def test_a_missing_cache_is_healthy_and_is_not_made(path: Path) -> None:
    assert inspect_cache(path) == Ok(f"{path}: empty, the next run makes it")
    assert list(path.parent.iterdir()) == []


def test_a_cache_tells_how_much_it_holds(path: Path) -> None:
    cache = SqliteCache(path)
    cache.set("a", b"x" * 1_000_000, 60)
    cache.set("b", b"y" * 500_000, 60)
    assert inspect_cache(path) == Ok(f"{path}: 2 replies, 1.5 MB")
    cache.close()


def test_a_cache_of_another_version_will_be_begun_anew(path: Path) -> None:
    SqliteCache(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert inspect_cache(path) == Ok(f"{path}: of another version, the next run begins it anew")


def test_damage_is_told_and_not_repaired(path: Path) -> None:
    path.write_bytes(b"no database at all, and longer than a header" * 100)
    found = inspect_cache(path)
    assert isinstance(found, Err)
    assert found.error.about("reason") == "corrupt"
    assert path.read_bytes().startswith(b"no database")
    assert [each.name for each in path.parent.iterdir()] == ["cache.db"]


def test_another_programs_file_and_a_directory_are_no_cache(path: Path, tmp_path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    foreign, directory = inspect_cache(path), inspect_cache(tmp_path)
    assert isinstance(foreign, Err)
    assert foreign.error.message == f"{path}: another program's database; name another CACHE_PATH"
    assert isinstance(directory, Err)
    assert directory.error.message == f"{tmp_path}: not a file; name a file"
