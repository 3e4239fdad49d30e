"""`score [TICKER…] [--since D]`: were the kept analyses right? Each held against the move that was measured since.

Asks no provider and writes nothing. What is not scored is told with its reason; nothing is told of too few reports.
"""

import argparse
from collections import Counter
from typing import Final

from ivcrush.application.documents import Document, Json, moment, number
from ivcrush.application.metrics.scoring import ENOUGH_REPORTS, ENOUGH_SESSIONS
from ivcrush.cli.analyze import unique_tickers
from ivcrush.cli.command import Outcome, Style, required
from ivcrush.cli.demo import DEMO_AS_OF
from ivcrush.cli.exit_codes import Exit, exit_of
from ivcrush.cli.render.score import render_score
from ivcrush.domain.analysis import UnreadableStatement
from ivcrush.domain.enums import Unscored
from ivcrush.domain.errors import Err
from ivcrush.domain.score import (
    Estimate,
    GroupScore,
    InsideScore,
    RichnessScore,
    Score,
    Scorecard,
    ScoredReport,
    ScoreQuestion,
    UnscoredStatement,
)
from ivcrush.operations_container import OperationsContainer
from ivcrush.utils.timezone import parse_date

SCORE_SCHEMA: Final = "ivcrush.score/1"


def prepare(arguments: argparse.Namespace) -> ScoreQuestion:
    """Which analyses. Raises UsageError."""
    return ScoreQuestion(
        tickers=unique_tickers(arguments.tickers),
        since=None if arguments.since is None else required("--since", parse_date(arguments.since)),
        simulated=arguments.demo,
    )


def operate(question: ScoreQuestion, operations: OperationsContainer, style: Style) -> Outcome:
    """Score them. No analysis at all is no usable result; none to be scored yet is one."""
    now = DEMO_AS_OF if question.simulated else operations.as_of
    found = operations.score(question, now)
    if isinstance(found, Err):
        return Outcome((), exit_of(found.error), (found.error.message,))
    score = found.value
    document: Document = {
        "schema": SCORE_SCHEMA,
        "as_of": moment(now),
        "simulated": style.simulated,
        "since": None if question.since is None else question.since.isoformat(),
        "tickers": list(question.tickers),
        "analyses": _counts(score),
        "needed": {"reports": ENOUGH_REPORTS, "sessions": ENOUGH_SESSIONS},
        "to_backfill": _to_backfill(score),
        **_card(score.card),
        "scored": [_report(each) for each in score.scored],
        "unscored": [_unscored(each) for each in score.unscored],
    }
    pieces = (render_score(document, style),)
    if score.scored or score.unscored:
        return Outcome(pieces, Exit.DONE)
    return Outcome(pieces, Exit.NO_RESULT, (f"{operations.database_path}: no such analysis is kept",))


def _counts(score: Score) -> Document:
    """Every analysis once."""
    reasons = Counter(each.reason for each in score.unscored)
    total = len(score.scored) + len(score.unscored)
    return {"total": total, "scored": len(score.scored), **{reason: reasons[reason] for reason in Unscored}}


def _to_backfill(score: Score) -> list[Json]:
    """The companies whose moves a backfill may bring, sorted."""
    lacking = {each.statement.ticker for each in score.unscored if each.reason is Unscored.NOT_MEASURED}
    return [*sorted(lacking)]


def _card(card: Scorecard | None) -> Document:
    if card is None:
        nothing: Document = dict.fromkeys(("level", "inside", "richness"))
        return {"reports": 0, "companies": 0, "sessions": 0, **nothing, "verdicts": []}
    return {
        "reports": card.reports,
        "companies": card.companies,
        "sessions": card.sessions,
        "level": {
            "implied_pct": number(card.implied_pct),
            "realised_pct": number(card.realised_pct),
            "ratio": None if card.ratio is None else _estimate(card.ratio, 1),
        },
        "inside": None if card.inside is None else _inside(card.inside),
        "richness": None if card.richness is None else _richness(card.richness),
        "verdicts": [_group(each) for each in card.groups],
    }


def _inside(inside: InsideScore) -> Document:
    return {
        "reports": inside.reports,
        "stated": number(inside.stated),
        "came": number(inside.inside),
        "excess": _estimate(inside.excess, 0),
        "brier": number(inside.brier),
        "base_rate_brier": number(inside.base_brier),
        "brier_gain": _estimate(inside.brier_gain, 0),
        "log_loss": number(inside.log_loss),
        "base_rate_log_loss": number(inside.base_log_loss),
        "log_loss_gain": _estimate(inside.log_loss_gain, 0),
        "bins": [
            {"reports": each.reports, "stated": number(each.stated), "came": _estimate(each.inside, each.stated)}
            for each in inside.bins
        ],
    }


def _richness(richness: RichnessScore) -> Document:
    correlation = richness.rank_correlation
    return {
        "reports": richness.reports,
        "stated_ratio": number(richness.stated_ratio),
        "realised_ratio": _estimate(richness.realised_ratio, richness.stated_ratio),
        "rank_correlation": None if correlation is None else _estimate(correlation, 0),
    }


def _group(group: GroupScore) -> Document:
    return {
        "verdict": group.name,
        "reports": group.reports,
        "implied_pct": number(group.implied_pct),
        "realised_pct": number(group.realised_pct),
        "premium_pct": _estimate(group.premium_pct, 0),
        "with_costs": group.costed,
        "after_costs_pct": None if group.after_costs_pct is None else _estimate(group.after_costs_pct, 0),
    }


def _estimate(found: Estimate, against: float) -> Document:
    """`finding` is on which side of `against` the whole interval lies."""
    interval = found.interval_90
    return {
        "value": number(found.value),
        "interval_90": None if interval is None else [number(bound) for bound in interval],
        "finding": found.against(against),
    }


def _report(report: ScoredReport) -> Document:
    said, move, stated = report.statement, report.move, report.statement.stated
    return {
        "ticker": said.ticker,
        "earnings_date": move.report_date.isoformat(),
        "timing": move.timing,
        "reaction_session": move.reaction_session.isoformat(),
        "analysis": said.number,
        "as_of": moment(said.as_of),
        "stated_date": said.report_date.isoformat(),
        "stated_timing": said.timing,
        "moved": report.moved,
        "event_move_pct": said.event_move_pct,
        "straddle_pct": said.straddle_pct,
        "close_to_close_pct": number(move.close_to_close_pct),
        "inside": report.inside,
        "inside_probability": None if stated is None else stated.inside_probability,
        "ratio": None if stated is None else stated.ratio,
        "shrunk_ratio": None if stated is None else stated.shrunk_ratio,
        "premium_pct": number(report.premium_pct),
        "cost_pct": said.cost_pct,
        "after_costs_pct": None if report.after_costs_pct is None else number(report.after_costs_pct),
        "recommendation": said.recommendation,
        "tradeable": said.tradeable,
    }


def _unscored(each: UnscoredStatement) -> Document:
    said = each.statement
    read = None if isinstance(said, UnreadableStatement) else said
    return {
        "ticker": said.ticker,
        "earnings_date": str(said.report_date),
        "timing": None if read is None else read.timing,
        "analysis": said.number,
        "as_of": None if read is None else moment(read.as_of),
        "reason": each.reason,
        "detail": each.detail,
    }
