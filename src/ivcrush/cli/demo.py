"""`--demo`: the embedded simulated market instead of the providers. The only file that knows `simulated_market`.

No key, no network, a database of its own; everything it leads to is labelled simulated.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ivcrush.domain.market_calendar import NEW_YORK

# A quarter of an hour before a Friday's close, when a trader would look. Fixed, so that the demo always says the same.
DEMO_AS_OF = datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK)
DEMO_SEED = 7
_UNPACED = "100000"


@contextmanager
def demo_market(as_of: datetime | None, *, data: Path, cache: Path) -> Iterator[Mapping[str, str]]:
    """Serve the simulated market on loopback; yields the settings that point the program there."""
    from simulated_market import SimulatedMarket, World

    moment = DEMO_AS_OF if as_of is None else as_of
    world = World(seed=DEMO_SEED, as_of=moment)
    name = (
        "demo" if world.anchor == DEMO_AS_OF.date() else f"demo-{world.anchor}"
    )  # each day is a world with its own past
    with SimulatedMarket(world) as market:
        yield {
            "TRADIER_API_KEY": "simulated",
            "TRADIER_BASE_URL": market.tradier_base_url,
            "TRADIER_PER_MINUTE": _UNPACED,
            "ALPHA_VANTAGE_KEY": "simulated",
            "ALPHA_VANTAGE_BASE_URL": market.alpha_vantage_base_url,
            "ALPHA_VANTAGE_PER_SECOND": _UNPACED,
            "ALPHA_VANTAGE_PER_MINUTE": _UNPACED,
            "ALPHA_VANTAGE_PER_DAY": _UNPACED,
            "DB_PATH": str(data / f"{name}.db"),
            "CACHE_PATH": str(cache / f"{name}-cache.db"),
        }
