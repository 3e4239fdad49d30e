"""One expiration's cleaned smile: what every option-based measure reads. Values only; `smile.py` builds them.

Total standard deviation is IV·√T, so nothing here depends on a choice of clock; `years` converts for display.
"""

from dataclasses import dataclass
from datetime import date

from ivcrush.domain.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ExpirationSurface:
    """The usable quotes of one expiration, as European total standard deviations around the implied forward.

    Arrays have shape (m,), rising in strike, one entry a usable quote (out of the money, near-the-money twins
    included): `log_moneyness` ln(K/F), `total_stdev` IV·√T, `stdev_se` its standard error, `is_call` which right.
    `atm_variance` is (IV·√T)² at the forward with its standard error; `straddle` the at-the-forward straddle in
    dollars, discounted; `years` calendar days over 365 to the expiration's close. `reports_before` counts the
    company's reports that react before the expiration. `rejected` counts quotes by reason code. `curvature` is b of
    σ(z)/σ(0) = 1 + slope·z + b·z² at the forward, z in standard deviations; a standard error of 0 says not measured.
    """

    expiration: date
    years: float
    forward: float
    discount: float
    strikes: FloatArray
    log_moneyness: FloatArray
    total_stdev: FloatArray
    stdev_se: FloatArray
    is_call: BoolArray
    atm_variance: float
    atm_variance_se: float
    straddle: float
    reports_before: int
    rejected: tuple[tuple[str, int], ...]
    flags: tuple[str, ...]
    curvature: float = 0.0
    curvature_se: float = 0.0

    @property
    def atm_iv(self) -> float:
        """At-the-forward implied volatility, a fraction a year of 365 days."""
        return float((self.atm_variance / self.years) ** 0.5)
