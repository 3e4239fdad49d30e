"""What can be typed."""

import pytest

from ivcrush import __version__
from ivcrush.cli.arguments import DESCRIPTIONS, command_parser, program_parser
from ivcrush.cli.main import main, script

COMMON = {
    "format": None,
    "output": None,
    "as_of": None,
    "demo": False,
    "refresh": False,
    "log_level": None,
    "timings": False,
    "metrics_file": None,
}


def test_every_default_is_that_of_the_contract() -> None:
    analyze = vars(program_parser().parse_args(["analyze", "AAPL"]))
    backfill = vars(command_parser("backfill", "backfill.py").parse_args([]))
    assert analyze == COMMON | {
        "command": "analyze", "tickers": ["AAPL"], "earnings_date": None, "timing": None, "expiration": None,
        "no_color": False,
    }  # fmt: skip
    assert backfill == COMMON | {
        "tickers": [], "file": None, "reporting_days": None, "quarters": "12", "calendar": False, "dividends": False,
        "timeout": "300", "dry_run": False, "market_caps": None, "no_color": False,
    }  # fmt: skip


@pytest.mark.parametrize("command", DESCRIPTIONS)
def test_help_explains_every_option_of_a_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        script(command, ["--help"])
    shown = capsys.readouterr().out
    assert leaving.value.code == 0
    assert f"usage: {command.replace('-', '_')}.py" in shown
    for option in command_parser(command, command)._option_string_actions:
        assert option in shown


def test_the_version_is_told_by_both_doors(capsys: pytest.CaptureFixture[str]) -> None:
    for leave in (lambda: main(["--version"]), lambda: script("analyze", ["--version"])):
        with pytest.raises(SystemExit):
            leave()
        assert capsys.readouterr().out == f"ivcrush {__version__}\n"


def test_an_unknown_option_is_refused_in_one_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        script("analyze", ["AAPL", "--\x1b[2J"])
    assert leaving.value.code == 2
    told = capsys.readouterr().err
    assert told == "analyze.py: unrecognized arguments: --\\x1b[2J; see analyze.py --help\n"


@pytest.mark.parametrize(
    ("typed", "refused_by"),
    [
        (["scan", "--max-concurrent", "3"], "ivcrush scan: unrecognized arguments: --max-concurrent 3"),
        (["database", "check", "--days", "3"], "ivcrush database check: unrecognized arguments: --days 3"),
        (["--days", "3", "scan"], "ivcrush: argument COMMAND: invalid choice: '3'"),
    ],
)
def test_a_flag_is_refused_by_the_command_whose_help_lists_the_others(
    typed: list[str], refused_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(typed)
    told = capsys.readouterr().err
    assert leaving.value.code == 2
    assert told.startswith(refused_by)
    assert told.endswith(f"; see {refused_by.partition(':')[0]} --help\n")


def test_a_scan_is_ranked_unless_it_is_asked_for_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["scan", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "such as vrp.ratio, largest first; ranked when left out" in shown
