"""How a ticker without an answer is told: as a line for people and as a document for programs."""

from ivcrush.application.documents import Document, failure_document
from ivcrush.cli.command import Style
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.errors import ErrorCode

EVERYBODY = "*"  # the ticker of a failure that concerns no single one


def failure_line(ticker: str, code: str, message: str) -> str:
    """`AAPL: NODATA: 3 past moves, 4 needed`: the ticker once, whether or not the message begins with it."""
    return f"{ticker}: {code}: {message.removeprefix(f'{ticker}: ')}"


def stderr_lines(failures: tuple[TickerFailure, ...]) -> tuple[str, ...]:
    """A line each; those never reached, which all share one reason, in a single line."""
    reasons = [each for each in failures if each.error.code is not ErrorCode.SKIPPED]
    skipped = [each.ticker for each in failures if each.error.code is ErrorCode.SKIPPED]
    lines = [failure_line(each.ticker, each.error.code, each.error.message) for each in reasons]
    if skipped:
        lines.append(f"{len(skipped)} not reached after that: {', '.join(skipped)}")
    return tuple(lines)


def labelled_failure(failure: TickerFailure, style: Style) -> Document:
    """The failure's document, saying whether its market was simulated."""
    return {**failure_document(failure), "simulated": style.simulated}
