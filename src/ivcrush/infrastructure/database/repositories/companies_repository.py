"""What is known of companies beside their reports: market capitalisations, as the user imported them.

No provider is ever asked for one. A company that was not imported has none, which means unknown and not small.
"""

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.types import Ticker
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.moments import utc_text

# The table's other columns belong to `prices_repository`; neither writes what is the other's.
_SAVE = """INSERT INTO ticker_metadata (ticker, market_cap_millions, market_cap_at) VALUES (?, ?, ?)
    ON CONFLICT (ticker) DO UPDATE
        SET market_cap_millions = excluded.market_cap_millions, market_cap_at = excluded.market_cap_at"""
_MARKET_CAPS = "SELECT ticker, market_cap_millions FROM ticker_metadata WHERE market_cap_millions IS NOT NULL"


class CompaniesRepository:
    """`CompanyStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_market_caps(self, caps_millions: Mapping[Ticker, float], seen_at: datetime) -> Result[None]:
        """Keep these, each in millions of dollars; other companies keep theirs. One transaction. Errors: DBERROR."""
        rows = [(ticker, float(cap), utc_text(seen_at)) for ticker, cap in caps_millions.items()]

        def keep(connection: sqlite3.Connection) -> None:
            connection.executemany(_SAVE, rows)

        return self._database.write(keep)

    def market_caps_millions(self) -> Result[Mapping[Ticker, float]]:
        """All that are known, in millions of dollars. Errors: DBERROR."""
        found = self._database.rows(_MARKET_CAPS, (), lambda row: (Ticker(row[0]), float(row[1])))
        return found if isinstance(found, Err) else Ok(MappingProxyType(dict(found.value)))
