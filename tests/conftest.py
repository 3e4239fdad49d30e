"""Fixtures for everyone: where the shared material lies, and the moment at which tests happen."""

from datetime import datetime
from pathlib import Path

import pytest

from ivcrush.domain.market_calendar import NEW_YORK

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The shared material beside the checkout; tests that need it skip where it is absent, and say so."""
    path = PROJECT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"needs the shared material at {path}")
    return path


@pytest.fixture
def as_of() -> datetime:
    """A Friday quarter of an hour before the close."""
    return datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK)
