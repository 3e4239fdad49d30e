"""What a backfill says: its plan before it begins, and what came of every company. Decides nothing."""

from dataclasses import dataclass

from ivcrush.application.documents import Document, moment
from ivcrush.application.services.backfill_plan import BackfillPlan
from ivcrush.application.services.history_backfill import BackfillOutcome
from ivcrush.application.services.history_needs import Standing
from ivcrush.cli.command import Style
from ivcrush.cli.failures import EVERYBODY, labelled_failure
from ivcrush.container import Container
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.errors import ErrorCode
from ivcrush.utils.tracing import correlation_id

BACKFILL_SCHEMA = "ivcrush.backfill/1"
PLAN_SCHEMA = "ivcrush.backfill-plan/1"


@dataclass(frozen=True, slots=True)
class Row:
    """One company, as it stood before and as it is kept now."""

    standing: Standing
    outcome: BackfillOutcome


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """All rows, all failures, and how many reports the calendar lists, None where it was not wanted.

    `market_caps` counts the capitalisations that were imported.
    """

    rows: tuple[Row, ...]
    failures: tuple[TickerFailure, ...]
    calendar_rows: int | None
    market_caps: int = 0

    def document(self, container: Container, style: Style) -> Document:
        """The result of a run."""
        failed = sum(each.ticker != EVERYBODY and each.error.code is not ErrorCode.SKIPPED for each in self.failures)
        skipped = sum(each.error.code is ErrorCode.SKIPPED for each in self.failures)
        return {
            "schema": BACKFILL_SCHEMA,
            "run_id": correlation_id(),
            "as_of": moment(container.as_of),
            "simulated": style.simulated,
            "summary": {
                "total": len(self.rows) + failed + skipped,
                "done": len(self.rows),
                "failed": failed,
                "skipped": skipped,
                "already_complete": sum(not row.standing.calls for row in self.rows),
                "calendar_rows": self.calendar_rows or 0,
                "market_caps": self.market_caps,
                "requests": container.providers.usage.requests,
                "cache_hits": container.providers.usage.cache_hits,
            },
            "tickers": [_row_document(row, style) for row in self.rows],
            "failures": [labelled_failure(failure, style) for failure in self.failures],
        }


def plan_document(plan: BackfillPlan, style: Style) -> Document:
    """What a run would cost."""
    return {
        "schema": PLAN_SCHEMA,
        "simulated": style.simulated,
        "tickers": len(plan.standings),
        "already_complete": plan.already_complete,
        "to_fetch": len(plan.standings) - plan.already_complete,
        "alpha_vantage_calls": plan.scarce_calls,
        "tradier_calls": plan.plentiful_calls,
        "alpha_vantage_calls_left_today": plan.allowance.left_today,
        "days": plan.days,
        "minutes_today": round(plan.minutes_today, 1),
    }


def plan_line(plan: BackfillPlan) -> str:
    """The plan in one line, for the log."""
    return (
        f"{plan.already_complete} of {len(plan.standings)} companies are complete; "
        f"{plan.scarce_calls} Alpha Vantage calls ({plan.allowance.left_today} left today) and "
        f"{plan.plentiful_calls} Tradier calls for the others: about {plan.minutes_today:.0f} minutes today, "
        f"{plan.days} days in all"
    )


def _row_document(row: Row, style: Style) -> Document:
    outcome = row.outcome
    return {
        "ticker": outcome.ticker,
        "simulated": style.simulated,
        "moves": len(outcome.moves),
        "missing": [
            {"earnings_date": report.report_date.isoformat(), "reason": report.reason} for report in outcome.missing
        ],
        "newest": max((move.report_date.isoformat() for move in outcome.moves), default=None),
        "complete": outcome.complete,
        "fetched": _fetched(row.standing),
        "dividends": outcome.dividends,
    }


def _fetched(standing: Standing) -> str:
    """What this run asked for beside dividends: all of it, prices alone, or nothing."""
    return "history" if standing.lacks_reports else "prices" if standing.lacks_bars else "nothing"
