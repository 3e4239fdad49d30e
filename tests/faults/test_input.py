"""Faults 63 to 67: input files and what others wrote into them."""

import pytest

from tests.faults.verdict import ends
from tests.integration.conftest import Desk


@pytest.mark.fault(63)
def test_a_directory_as_input_file_is_refused_by_name(desk: Desk) -> None:
    ends(desk.run("backfill", "--file", "."), 65, ".: no regular file")
