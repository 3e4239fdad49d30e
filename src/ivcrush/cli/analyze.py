"""`analyze TICKER…`: one report each, found or named, and its answer. Renders; the thinking is the services'."""

import argparse
from collections.abc import Iterator, Sequence
from datetime import date

import msgspec

from ivcrush.application.documents import Document, RunFacts, analysis_document, batch_report
from ivcrush.application.ranking import answer, ranked
from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.cli.command import Outcome, Style, Tally, UsageError, required
from ivcrush.cli.exit_codes import exit_of_run
from ivcrush.cli.failures import labelled_failure, stderr_lines
from ivcrush.cli.render.documents import render_batch, render_single
from ivcrush.config.settings import Provider
from ivcrush.container import Container
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, Ok
from ivcrush.domain.types import Ticker, parse_ticker
from ivcrush.utils.timezone import parse_date
from ivcrush.utils.tracing import correlation_id


def prepare(arguments: argparse.Namespace) -> tuple[ReportQuestion, ...]:
    """One question a ticker, each ticker once. Raises UsageError for a ticker or a date that cannot be one."""
    tickers = unique_tickers(arguments.tickers)
    report_date = _date("--earnings-date", arguments.earnings_date)
    expiration = _date("--expiration", arguments.expiration)
    if len(tickers) > 1 and (report_date or expiration or arguments.timing):
        raise UsageError("--earnings-date, --timing and --expiration go with a single ticker")
    if report_date and expiration and expiration < report_date:
        raise UsageError(f"--expiration {expiration}: a date on or after the report of {report_date} is needed")
    timing = None if arguments.timing is None else Timing(arguments.timing)
    return tuple(ReportQuestion(ticker, report_date, timing, expiration) for ticker in tickers)


def needed_keys(questions: tuple[ReportQuestion, ...]) -> tuple[Provider, ...]:  # noqa: ARG001
    """The market's alone: what the other provider knows may be stored, or named on the command line."""
    return (Provider.TRADIER,)


async def execute(questions: tuple[ReportQuestion, ...], container: Container, style: Style) -> Outcome:
    """Analyse all of them and render one analysis, or a batch of several."""
    begun = container.clock.monotonic()
    if len(questions) > 1:  # one call for everybody instead of one for each; where it fails, each asks for itself
        await container.calendar_refresh.at_hand()
    results = await container.analyzer.analyze(questions, correlation_id())
    analyses = [result.value for result in results if isinstance(result, Ok)]
    failures = tuple(
        TickerFailure(asked.ticker, result.error)
        for asked, result in zip(questions, results, strict=True)
        if isinstance(result, Err)
    )
    documents = [analysis_document(analysis) for analysis in analyses]
    if len(questions) == 1:
        (only,) = documents or [labelled_failure(failures[0], style)]
        pieces: tuple[str, ...] | Iterator[str] = (render_single(only, style),)
    else:
        pieces = _batch(documents, failures, container, style, container.clock.monotonic() - begun)
    incomplete = sum(isinstance(analysis.vrp, Err) for analysis in analyses)
    return Outcome(
        pieces=pieces,
        code=exit_of_run(len(analyses), incomplete, [failure.error for failure in failures]),
        messages=stderr_lines(failures),
        tally=Tally(
            (("analysed", len(analyses)), ("failed", len(failures))),
            tradeable=sum(analysis.tradeable for analysis in analyses),
        ),
    )


def unique_tickers(texts: list[str]) -> tuple[Ticker, ...]:
    """Canonical tickers in their order, each once. Raises UsageError for one that cannot be one."""
    return tuple(dict.fromkeys(required("", parse_ticker(text)) for text in texts))


def _date(flag: str, text: str | None) -> date | None:
    return None if text is None else required(flag, parse_date(text))


def _batch(
    documents: Sequence[Document],
    failures: Sequence[TickerFailure],
    container: Container,
    style: Style,
    elapsed_s: float,
) -> Iterator[str]:
    answers = ranked([answer(msgspec.json.encode(document)) for document in documents])
    facts = RunFacts(
        run_id=correlation_id(),
        as_of=container.as_of,
        simulated=style.simulated,
        depth=container.depth,
        requests=container.providers.usage.requests,
        cache_hits=container.providers.usage.cache_hits,
        elapsed_s=elapsed_s,
    )
    failed = [labelled_failure(failure, style) for failure in failures]
    return render_batch(batch_report(answers, failed, facts), style)
