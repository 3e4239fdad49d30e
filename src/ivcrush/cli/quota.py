"""`quota`: how many calls are left of the day, and when the next is free. Asks no provider.

Alpha Vantage's calls are counted in the database. Tradier's limit is one of a minute: only the pace is told, since
nothing of it is kept.
"""

import argparse
from datetime import datetime

from ivcrush.application.documents import Document, Json, moment
from ivcrush.cli.command import Outcome, Style
from ivcrush.cli.exit_codes import Exit, exit_of
from ivcrush.cli.render.facts import render_facts
from ivcrush.config.settings import Provider
from ivcrush.domain.errors import Err
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.operations_container import OperationsContainer

QUOTA_SCHEMA = "ivcrush.quota/1"


def prepare(arguments: argparse.Namespace) -> None:
    """Nothing can be asked for beside what these commands take."""


def operate(_: None, operations: OperationsContainer, style: Style) -> Outcome:
    """Tell the calls of both providers."""
    state = operations.quota()
    if isinstance(state, Err):
        return Outcome((), exit_of(state.error), (state.error.message,))
    tradier_a_minute, alpha_vantage_a_minute = operations.rates_a_minute
    quota = state.value
    providers: list[Json] = [
        {
            "provider": Provider.ALPHA_VANTAGE,
            "per_minute": alpha_vantage_a_minute,
            "per_day": quota.limit,
            "used_24_h": quota.used,
            "left": quota.left,
            "next_at": _moment(quota.next_at),
            "refused_at": _moment(quota.refused_at),
            "key_refused_at": _moment(quota.key_refused_at),
        },
        {
            "provider": Provider.TRADIER,
            "per_minute": tradier_a_minute,
            "per_day": None,
            "used_24_h": None,
            "left": None,
            "next_at": None,
            "refused_at": None,
            "key_refused_at": None,
        },
    ]
    document: Document = {
        "schema": QUOTA_SCHEMA,
        "as_of": moment(operations.as_of),
        "simulated": style.simulated,
        "providers": providers,
    }
    return Outcome((render_facts(document, "providers", style),), Exit.DONE)


def _moment(value: datetime | None) -> str | None:
    return None if value is None else moment(value.astimezone(NEW_YORK))
