"""Against the printed tables."""

import pytest

from ivcrush.application.metrics.quantiles import t_95


@pytest.mark.parametrize(
    ("degrees", "published"),
    [(1, 6.314), (2, 2.920), (4, 2.132), (5, 2.015), (7, 1.895), (10, 1.812), (30, 1.697), (100, 1.660)],
)
def test_the_t_distribution_is_that_of_the_printed_tables(degrees: int, published: float) -> None:
    assert t_95(degrees) == pytest.approx(published, abs=0.002)
