"""The provider's implied volatilities as a check of our own: how old they are, and whether they say something else.

They enter no number: their moment, rate, dividends and calendar are not known well enough.
"""

from datetime import datetime

import numpy as np

from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.domain.enums import Right
from ivcrush.domain.types import OptionChain

STALE_AFTER_S = 5400.0
NEAREST_STRIKES = 2
# Two conventions of time differ by less over a week; of our own standard errors a difference has to be this many.
DISAGREEMENT = 0.1
DISAGREEMENT_ERRORS = 3.0


def vendor_is_stale(chain: OptionChain, as_of: datetime) -> bool:
    """Whether the provider computed its volatilities more than 90 minutes before; no, where it does not say when."""
    return chain.greeks_at is not None and as_of.timestamp() - chain.greeks_at.timestamp() > STALE_AFTER_S


def vendor_disagrees(chain: OptionChain, surface: ExpirationSurface, as_of: datetime) -> bool:
    """Whether fresh volatilities of the provider differ from ours at the forward by over a tenth and our own noise.

    `surface` is of the same expiration as `chain`.
    """
    vendor_iv = vendor_atm_iv(chain, surface.forward)
    if vendor_iv is None or vendor_is_stale(chain, as_of):
        return False
    error = surface.atm_variance_se / (2 * surface.atm_iv * surface.years)
    return abs(vendor_iv - surface.atm_iv) > max(DISAGREEMENT * surface.atm_iv, DISAGREEMENT_ERRORS * error)


def vendor_atm_iv(chain: OptionChain, forward: float) -> float | None:
    """The middle of what the provider gives for calls and puts of the two strikes nearest the forward.

    A fraction a year; None where it gives nothing there. One volatility of a stale quote does not move a median.
    """
    nearest = np.argsort(np.abs(chain.strikes - forward))[:NEAREST_STRIKES]
    found = np.concatenate([chain.columns(right).iv[nearest] for right in Right])
    given = found[found > 0]
    return float(np.median(given)) if len(given) else None
