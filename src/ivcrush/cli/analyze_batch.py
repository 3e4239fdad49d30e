"""`analyze-batch`: the rows of a calendar file, or a list of companies, analysed and ranked.

Every row of the input comes out once, as an analysis or as a failure that names its line. Reads and renders; the run
itself is `batch_run`'s and the thinking the services'.
"""

import argparse
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ivcrush.application.documents import batch_report
from ivcrush.application.ranking import ranked
from ivcrush.application.services.batch_analyzer import Batch, BatchRow
from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.cli.batch_run import alone_on_its_day, closing_lines, code_of, run_batch, tallied
from ivcrush.cli.command import Outcome, Style, UsageError, parsed_if_given, required
from ivcrush.cli.earnings_csv import EarningsRow, read_earnings
from ivcrush.cli.failures import labelled_failure, stderr_lines
from ivcrush.cli.render.documents import render_batch
from ivcrush.cli.ticker_file import TickerFile, read_tickers
from ivcrush.config import rules
from ivcrush.config.settings import Provider
from ivcrush.container import Container
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import Ticker, parse_ticker

COMMAND = "analyze-batch"
MOST_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; `concurrency` None leaves it to the settings."""

    rows: tuple[BatchRow, ...]
    remarks: tuple[str, ...]
    concurrency: int | None
    continue_on_error: bool
    fresh: bool
    skip_closed_days: bool


def prepare(arguments: argparse.Namespace) -> Request:
    """The rows. Raises UsageError for arguments, InputError for a file, that cannot be used."""
    filed = None if arguments.file is None else read_tickers(Path(arguments.file))
    chosen = _chosen(arguments.tickers, filed)
    if arguments.earnings_file is None and chosen is None:
        raise UsageError(f"{COMMAND}: no rows given; name --earnings-file FILE, --file FILE or --tickers A,B")
    rows: tuple[BatchRow, ...]
    if arguments.earnings_file is None:
        remarks: tuple[str, ...] = ()
        rows = tuple(BatchRow(ticker, Ok(ReportQuestion(ticker))) for ticker in chosen or ())
    else:
        calendar = read_earnings(Path(arguments.earnings_file))
        remarks = calendar.remarks
        rows = _selected(calendar.rows, chosen, arguments.earnings_file)
    unreadable = () if filed is None else filed.unusable
    return Request(
        rows=(*rows, *(BatchRow(each.ticker, Err(each.error)) for each in unreadable)),
        remarks=remarks,
        concurrency=parsed_if_given("--max-concurrent", arguments.max_concurrent, rules.whole(1, MOST_AT_ONCE)),
        continue_on_error=arguments.continue_on_error,
        fresh=arguments.fresh,
        skip_closed_days=arguments.skip_closed_days,
    )


def needed_keys(request: Request) -> tuple[Provider, ...]:  # noqa: ARG001
    """The market's alone: report dates stand in the file or in the stored calendar."""
    return (Provider.TRADIER,)


async def execute(request: Request, container: Container, style: Style) -> Outcome:
    """Run all rows under the lock, and rank what came of them."""
    return await alone_on_its_day(
        COMMAND, container, lambda: _ranked(request, container, style), skip_closed_days=request.skip_closed_days
    )


async def _ranked(request: Request, container: Container, style: Style) -> Result[Outcome]:
    batch = Batch(
        command=COMMAND,
        rows=request.rows,
        concurrency=request.concurrency or container.rows_at_once,
        continue_on_error=request.continue_on_error,
        fresh=request.fresh,
    )
    ran = await run_batch(batch, container, style)
    if isinstance(ran, Err):
        return ran
    failures = [labelled_failure(failure, style) for failure in ran.value.failures]
    code = code_of(len(ran.value.answers), ran.value.answers, ran.value.failures)
    return Ok(
        Outcome(
            pieces=render_batch(batch_report(ranked(ran.value.answers), failures, ran.value.facts), style),
            code=code,
            messages=(*request.remarks, *stderr_lines(ran.value.failures), *closing_lines(ran.value, code)),
            delivered=lambda: ran.value.end(code),
            tally=tallied(ran.value.answers, ran.value.failures),
        )
    )


def _chosen(listed: str | None, filed: TickerFile | None) -> tuple[Ticker, ...] | None:
    """The companies of --tickers and --file, each once; None where neither was given."""
    if listed is None and filed is None:
        return None
    words = [word.strip() for word in (listed or "").split(",")]
    named = [required("--tickers", parse_ticker(word)) for word in words if word]
    chosen = tuple(dict.fromkeys((*named, *(() if filed is None else filed.tickers))))
    if not chosen:
        raise UsageError("--tickers: no ticker in it; one or more, with commas between them, are needed")
    return chosen


def _selected(rows: Sequence[EarningsRow], chosen: Collection[Ticker] | None, file: str) -> tuple[BatchRow, ...]:
    """The rows of these companies in the order of the file, then the companies that it does not name.

    A row whose company cannot be read is left in, since it may be anybody's.
    """
    taken = [row for row in rows if chosen is None or row.ticker is None or row.ticker in chosen]
    named = {row.ticker for row in taken}
    absent = [ticker for ticker in chosen or () if ticker not in named]
    return (
        *(BatchRow(row.label, row.question, row.place) for row in taken),
        *(BatchRow(ticker, err(ErrorCode.NODATA, f"{ticker}: not in {file}; a row is needed")) for ticker in absent),
    )
