"""What can be typed: every command, flag and default, and nothing else.

Imports next to nothing beside argparse, so that `--help` is instant. Values are checked where they are used; here only
their shape is told.
"""

import argparse
from collections.abc import Iterable
from typing import Any, NoReturn

from ivcrush import __version__
from ivcrush.utils.text import printable

DESCRIPTIONS = {
    "analyze": "Is the earnings move that options imply richer than what this company's reports have done?",
    "analyze-batch": "Analyse the companies of a calendar file or a list, ranked; a run that was cut is taken up.",
    "scan": "Analyse everybody who reports in some days, by the calendar, ranked; and why others are left out.",
    "backfill": "Fetch and keep the past moves of companies, and what they are measured from.",
    "health-check": "Is everything there that the next run needs? Exit code 0 if so, 1 if not.",
    "database": "Make, check, back up or restore the database.",
    "cache": "Count, clear or clean the replies kept on disk; those in a run's memory end with the run.",
    "quota": "How many calls are left of the day, and when the next one is free; asks nobody.",
    "runs": "The last runs over many companies, and how they ended.",
    "score": "Were the kept analyses right? Each held against the move that was measured since.",
}
# The commands that look after the machine's own files: no script of their own, and nothing to analyse.
OPERATING = frozenset({"database", "cache", "quota", "runs", "score"})
_ACTIONS = {
    "database": {
        "init": "Make the database where there is none, or bring it up to date; both happen by themselves in a run.",
        "check": "Read every page, index and reference, and count what is there. Exit code 0 if sound, 74 if not.",
        "backup": "Write a sound copy into a new file, also while a run writes.",
        "restore": "Put a backup in the database's place; the former database is set aside under a dated name.",
    },
    "cache": {
        "stats": "What is kept, by kind of question.",
        "clear": "Forget every reply.",
        "clean": "Forget the replies whose time is over.",
    },
}
_FILES = {"backup": "new file for the copy", "restore": "backup to restore from"}
SHELLS = ("bash", "zsh", "fish")


class OneLineParser(argparse.ArgumentParser):
    """Refuses in one line, harmless on a terminal, instead of showing the whole usage first."""

    def error(self, message: str) -> NoReturn:
        """Leaves with code 2."""
        self.exit(2, f"{self.prog}: {printable(message, 500)}; see {self.prog} --help\n")

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Knows all or leaves: the command whose flag it is not refuses it, because its help lists what it takes."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown


def command_parser(command: str, prog: str) -> argparse.ArgumentParser:
    """The parser of one command, as its script uses it."""
    parser = OneLineParser(prog=prog, description=DESCRIPTIONS[command], allow_abbrev=False)
    _fill(parser, command)
    return parser


def program_parser() -> argparse.ArgumentParser:
    """The parser of the installed program, with all commands."""
    parser = OneLineParser(prog="ivcrush", description=DESCRIPTIONS["analyze"], allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"ivcrush {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, description in DESCRIPTIONS.items():
        sub = commands.add_parser(command, help=description, description=description, allow_abbrev=False)
        _fill(sub, command)
    what = "Print the completions of a shell: source <(ivcrush completion bash)"
    shells = commands.add_parser("completion", help=what, description=what, allow_abbrev=False)
    shells.add_argument("shell", choices=SHELLS, help="the shell that is to complete")
    return parser


def _fill(parser: argparse.ArgumentParser, command: str) -> None:
    if command not in OPERATING:
        _ADD[command](parser)
        _add_common(parser)
    elif command in _ACTIONS:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for action, description in _ACTIONS[command].items():
            sub = actions.add_parser(action, help=description, description=description, allow_abbrev=False)
            if action in _FILES:
                sub.add_argument("file", metavar="FILE", help=_FILES[action])
            _add_operating(sub)
    else:
        if command == "runs":
            parser.add_argument("--last", default="10", metavar="N", help="how many, newest first (10)")
        elif command == "score":
            parser.add_argument("tickers", nargs="*", metavar="TICKER", help="only these companies' (all)")
            parser.add_argument("--since", metavar="D", help="only of reports from this date on, YYYY-MM-DD")
        _add_operating(parser)


def _add_operating(parser: argparse.ArgumentParser) -> None:
    """The common options, without those of analyses: what is looked after is looked after now."""
    _add_shared(parser)
    parser.set_defaults(as_of=None, refresh=False, metrics_file=None)


def _add_analyze(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tickers", nargs="+", metavar="TICKER", help="company to analyse (AAPL, BRK.B)")
    parser.add_argument("--earnings-date", metavar="D", help="date of the report, YYYY-MM-DD; found when left out")
    parser.add_argument("--timing", choices=("BMO", "AMC", "DMH"), help="session of the report; found when left out")
    parser.add_argument("--expiration", metavar="D", help="expiration to read, YYYY-MM-DD; found when left out")


def _add_analyze_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--earnings-file", metavar="FILE", help="CSV with ticker,earnings_date,expiration_date and, if known, timing"
    )
    parser.add_argument("--file", metavar="FILE", help="file with a ticker a line: only these; # begins a comment")
    parser.add_argument("--tickers", metavar="A,B", help="only these")
    parser.add_argument("--continue-on-error", action="store_true", help="a row that fails does not end the run")
    parser.add_argument("--max-concurrent", metavar="N", help="companies under way at once (MAX_CONCURRENT_REQUESTS)")
    parser.add_argument("--fresh", action="store_true", help="begin anew, whatever a run that was cut had done")
    _add_closed_days(parser)


def _add_scan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", metavar="N", help="reports of today and of the next N trading days (5)")
    parser.add_argument("--from", dest="start", metavar="D", help="instead: reports from this date, YYYY-MM-DD")
    parser.add_argument("--to", dest="end", metavar="D", help="through this one")
    parser.add_argument("--top", metavar="N", help="only the first N")
    parser.add_argument("--min-vrp", metavar="X", help="only with a VRP ratio of X or more")
    parser.add_argument(
        "--sort",
        metavar="FIELD",
        help="by a number of the JSON document, such as vrp.ratio, largest first; ranked when left out",
    )
    _add_closed_days(parser)


def _add_closed_days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--skip-closed-days", action="store_true", help="do nothing on a day on which the exchange is closed"
    )


def _add_backfill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tickers", nargs="*", metavar="TICKER", help="companies to fetch")
    parser.add_argument("--file", metavar="FILE", help="file with a ticker a line; # begins a comment")
    parser.add_argument(
        "--reporting-days",
        metavar="N",
        help="also those who report today or in the next N trading days, by the calendar, soonest first",
    )
    parser.add_argument("--quarters", default="12", metavar="N", help="reports to measure, newest first (12)")
    parser.add_argument("--calendar", action="store_true", help="also fetch everybody's coming report dates (one call)")
    parser.add_argument(
        "--market-caps", metavar="FILE", help="also keep a CSV's market capitalisations: ticker,market_cap_millions"
    )
    parser.add_argument("--dividends", action="store_true", help="also fetch dividends (one more call a ticker)")
    parser.add_argument(
        "--timeout",
        default="300",
        metavar="S",
        help="seconds for one ticker, beside its waiting for the permitted pace (300)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the plan (calls, quota left, days, minutes) and do nothing"
    )


def _add_health_check(parser: argparse.ArgumentParser) -> None:
    """Nothing beside the common options."""


def _add_common(parser: argparse.ArgumentParser) -> None:
    common = _add_shared(parser)
    common.add_argument(
        "--as-of",
        metavar="TIMESTAMP",
        help="analyse as of this moment: ISO 8601, New York time without an offset; nothing later is used",
    )
    common.add_argument("--refresh", action="store_true", help="ignore cached replies")
    common.add_argument(
        "--metrics-file", metavar="FILE", help="write figures of the run for Prometheus there, also of one that failed"
    )


def _add_shared(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    common = parser.add_argument_group("common options")
    common.add_argument(
        "--format",
        choices=("table", "json", "csv"),
        help="form of the result (table; that of --output where it ends in .json or .csv)",
    )
    common.add_argument("--output", metavar="FILE", help="write the result there, whole or not at all")
    common.add_argument("--demo", action="store_true", help="use the embedded simulated market: no key, no network")
    common.add_argument(
        "--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="what is logged on stderr (LOG_LEVEL)"
    )
    common.add_argument("--timings", action="store_true", help="afterwards show on stderr how long each operation took")
    common.add_argument("--no-color", action="store_true", help="no colours on a terminal; NO_COLOR does the same")
    common.add_argument("--version", action="version", version=f"ivcrush {__version__}")
    return common


_ADD = {
    "analyze": _add_analyze,
    "scan": _add_scan,
    "analyze-batch": _add_analyze_batch,
    "backfill": _add_backfill,
    "health-check": _add_health_check,
}
