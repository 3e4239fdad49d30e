"""A real database file for every test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ivcrush.domain.errors import Ok
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.init_schema import init_database


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    return tmp_path / "ivcrush.db"


@pytest.fixture
def database(database_path: Path) -> Iterator[Database]:
    opened = init_database(database_path, busy_timeout_s=0.2)
    assert isinstance(opened, Ok)
    yield opened.value
    opened.value.close()
