"""Our formulas against the published and recomputed tables."""

from pathlib import Path

import pytest

from tests.accuracy.tables import reference_tables

pytestmark = pytest.mark.shared


def test_every_reference_table_is_met_within_its_tolerance(shared_dir: Path) -> None:
    results = reference_tables(shared_dir / "quant")
    assert len(results) == 9
    assert [each for each in results if not each.passed] == []
