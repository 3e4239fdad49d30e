"""`health-check`: is everything there that the next run needs? A document, and an exit code for timers.

0 where every check is healthy, 1 otherwise, a broken configuration included: the document is made all the same and
lists every problem under `configuration`, so that whoever is woken by the code finds all reasons in one place. 78 would
say that there is no document.
"""

import argparse

from ivcrush.application.documents import Document, Json, moment
from ivcrush.application.services.health import CheckResult
from ivcrush.cli.command import Outcome, Style, Tally
from ivcrush.cli.exit_codes import Exit
from ivcrush.cli.render.health import render_health
from ivcrush.health_container import HealthContainer

HEALTH_SCHEMA = "ivcrush.health/1"


def prepare(arguments: argparse.Namespace) -> None:
    """Nothing can be asked for beside what every command takes."""


async def examine(container: HealthContainer, style: Style) -> Outcome:
    """Run all checks and render them."""
    report = await container.examine()
    checks: list[Json] = [_check_document(check) for check in report.checks]
    document: Document = {
        "schema": HEALTH_SCHEMA,
        "as_of": moment(container.as_of),
        "simulated": style.simulated,
        "healthy": report.healthy,
        "checks": checks,
    }
    return Outcome(
        pieces=(render_health(document, style),),
        code=Exit.DONE if report.healthy else Exit.NO_RESULT,
        tally=Tally(checks=tuple((check.name, check.healthy) for check in report.checks)),
    )


def _check_document(check: CheckResult) -> Document:
    return {
        "name": check.name,
        "healthy": check.healthy,
        "latency_ms": round(check.latency_ms, 1),
        "detail": check.detail,
    }
