"""The real program against the simulated market, one fault at a time; after each no canary may be left in any file.

Tests marked `privileged` mount file systems, trace system calls or fill disks: they run with RUN_PRIVILEGED=1 only,
which `make faults` sets.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.verdict import canaries_below
from tests.integration.conftest import desk, market, running

__all__ = ["desk", "market", "running"]  # the fixtures that pytest is to find here


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs the machine for itself, unless it was given."""
    if os.environ.get("RUN_PRIVILEGED") == "1":
        return
    for item in items:
        if item.get_closest_marker("privileged") is not None:
            item.add_marker(pytest.mark.skip(reason="needs root and the machine for itself: `make faults` runs it"))


@pytest.fixture(autouse=True)
def no_canary_is_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test did to the program: its token and its key are in no file that it wrote."""
    yield
    assert canaries_below(tmp_path) == []
