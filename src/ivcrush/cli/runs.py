"""`runs [--last N]`: the last runs over many companies and how they ended, the one that was last at work first."""

import argparse
from datetime import datetime
from typing import Final

from ivcrush.application.documents import Document, Json, moment
from ivcrush.cli.command import Outcome, Style, parsed
from ivcrush.cli.exit_codes import Exit, exit_of
from ivcrush.cli.render.facts import render_facts
from ivcrush.config import rules
from ivcrush.domain.errors import Err
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.operations import RunRecord
from ivcrush.operations_container import OperationsContainer

RUNS_SCHEMA: Final = "ivcrush.runs/1"
MOST_RUNS: Final = 10_000


def prepare(arguments: argparse.Namespace) -> int:
    """How many. Raises UsageError."""
    return parsed("--last", arguments.last, rules.whole(1, MOST_RUNS))


def operate(limit: int, operations: OperationsContainer, style: Style) -> Outcome:
    """List them, and whoever holds the run lock now."""
    found = operations.last_runs(limit)
    if isinstance(found, Err):
        return Outcome((), exit_of(found.error), (found.error.message,))
    asked = operations.run_holder()
    holder = None if isinstance(asked, Err) else asked.value
    runs: list[Json] = [
        _run_document(run, _state(run, holder if place == 0 else None), operations.as_of)
        for place, run in enumerate(found.value)
    ]
    document: Document = {
        "schema": RUNS_SCHEMA,
        "as_of": moment(operations.as_of),
        "simulated": style.simulated,
        "run_in_progress": holder,
        "runs": runs,
    }
    return Outcome((render_facts(document, "runs", style),), Exit.DONE)


def _state(run: RunRecord, holder: str | None) -> str:
    """Without an end it is under way if whoever holds the lock is of its command; only the newest can be that."""
    if run.ended_at is not None:
        return "complete" if run.complete else "stopped"
    return "under way" if holder is not None and holder.startswith(f"{run.command}, ") else "cut"


def _run_document(run: RunRecord, state: str, now: datetime) -> Document:
    return {
        "command": run.command,
        "started_at": moment(run.started_at.astimezone(NEW_YORK)),
        "ended_at": None if run.ended_at is None else moment(run.ended_at.astimezone(NEW_YORK)),
        "state": state,
        "exit_code": run.exit_code,
        "rows": run.rows,
        "analysed": run.analysed,
        "failed": run.failed,
        "provider_failed": run.provider_failed,
        "left": run.left,
        "age_s": round(max(0.0, (now - run.last_at).total_seconds())),
        "run_id": run.run_id,
    }
