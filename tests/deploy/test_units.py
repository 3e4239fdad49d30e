"""The units hold: systemd finds nothing to say against them, and they promise what the documents do."""

import re
import shutil
from pathlib import Path

import pytest

from ivcrush.cli.arguments import program_parser
from ivcrush.cli.exit_codes import Exit
from ivcrush.config.validation import load_settings
from tests.deploy.unit_files import DEPLOY, SERVICES, TIMERS, command, environment, sandbox, settings, systemd_analyze

WORST_EXPOSURE = 1.5
WORKING = tuple(DEPLOY / f"ivcrush{name}.service" for name in ("", "-backfill", "-health"))


def in_place(unit: Path, directory: Path) -> Path:
    """A copy of a unit whose programs exist, so that only the unit itself can be found fault with."""
    stand_in = shutil.which("true")
    assert stand_in is not None
    copy = directory / unit.name
    copy.write_text(re.sub(r"/opt/ivcrush/\S+", stand_in, unit.read_text()))
    return copy


@pytest.mark.parametrize("unit", [*SERVICES, *TIMERS], ids=lambda unit: unit.name)
def test_systemd_finds_nothing_to_say_against_a_unit(unit: Path, tmp_path: Path) -> None:
    for each in SERVICES:
        in_place(each, tmp_path)
    found = systemd_analyze("verify", str(in_place(unit, tmp_path)))
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_exposed_to_little(unit: Path) -> None:
    found = systemd_analyze("security", "--offline=true", str(unit))
    rated = re.search(r"Overall exposure level for \S+: ([\d.]+)", found.stdout)
    assert rated is not None, found.stdout + found.stderr
    assert float(rated[1]) <= WORST_EXPOSURE


def test_every_service_lives_in_the_same_sandbox() -> None:
    assert len(SERVICES) == 4
    assert len({sandbox(unit) for unit in SERVICES}) == 1
    assert "ProtectSystem=strict" in sandbox(SERVICES[0])


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_every_service_runs_once_ends_some_time_and_is_nobody(unit: Path) -> None:
    found = settings(unit)
    assert found["Type"] == ["oneshot"]
    assert re.fullmatch(r"\d+(min|h)", *found["TimeoutStartSec"])
    assert found["DynamicUser"] == ["yes"]


@pytest.mark.parametrize("unit", WORKING, ids=lambda unit: unit.name)
def test_whoever_touches_the_database_is_one_user_with_keys_as_credentials(unit: Path) -> None:
    found = settings(unit)
    assert (found["User"], found["StateDirectory"], found["StateDirectoryMode"]) == (["ivcrush"], ["ivcrush"], ["0700"])
    assert found["LoadCredential"] == [
        "tradier_api_key:/etc/ivcrush/credentials/TRADIER_API_KEY",
        "alpha_vantage_key:/etc/ivcrush/credentials/ALPHA_VANTAGE_KEY",
    ]
    assert found["EnvironmentFile"] == ["/etc/ivcrush/ivcrush.env"]
    assert found["OnFailure"] == ["ivcrush-alert@%n.service"]


def test_who_tells_of_a_failure_has_no_key_and_no_database_and_is_not_told_of() -> None:
    found = settings(DEPLOY / "ivcrush-alert@.service")
    assert {"LoadCredential", "StateDirectory", "User", "OnFailure"} & found.keys() == set()
    assert found["SupplementaryGroups"] == ["systemd-journal"]


def test_every_exit_code_is_a_success_a_retry_or_an_alert() -> None:
    scan = settings(DEPLOY / "ivcrush.service")
    successes = {0, *map(int, scan["SuccessExitStatus"][0].split())}
    alerts = {int(code) for code in scan["RestartPreventExitStatus"][0].split() if code.isdigit()}
    assert {code for code in Exit if code in successes} == {Exit.DONE, Exit.PARTIAL, Exit.TERMINATED}
    assert set(Exit) - successes - alerts == {Exit.UNAVAILABLE, Exit.TRY_LATER}
    backfill = settings(DEPLOY / "ivcrush-backfill.service")
    assert backfill["SuccessExitStatus"] == ["3 75 143"]


def test_retries_end_before_their_count_is_forgotten() -> None:
    """Five starts, each as long as may be, with the pauses between them, fit into the three hours that are counted."""
    found = settings(DEPLOY / "ivcrush.service")
    assert [found[key] for key in ("StartLimitBurst", "TimeoutStartSec", "RestartSec", "StartLimitIntervalSec")] == [
        ["5"], ["30min"], ["2min"], ["3h"],
    ]  # fmt: skip
    assert 5 * (30 + 2) < 3 * 60


@pytest.mark.parametrize("unit", WORKING, ids=lambda unit: unit.name)
def test_the_program_understands_the_command_of_a_unit(unit: Path) -> None:
    (line,) = settings(unit)["ExecStart"]
    program, *arguments = command(line, environment(unit))
    assert program == "/opt/ivcrush/bin/ivcrush"
    assert program_parser().parse_args(arguments).command in {"scan", "backfill", "health-check"}


@pytest.mark.parametrize("unit", WORKING, ids=lambda unit: unit.name)
def test_with_the_example_of_metrics_every_unit_writes_a_file_of_its_own(unit: Path, tmp_path: Path) -> None:
    example = DEPLOY / "examples/metrics.conf"
    given = {name: value.replace("%N", unit.stem) for name, value in environment(example).items()}
    _, *arguments = command(settings(unit)["ExecStart"][0], environment(unit) | given)
    file = Path(program_parser().parse_args(arguments).metrics_file)
    assert file == Path(f"/var/lib/prometheus/node-exporter/{unit.stem}.prom")
    assert settings(example)["ReadWritePaths"] == [str(file.parent)]
    merged = in_place(unit, tmp_path)
    merged.write_text(merged.read_text() + "\n" + example.read_text())
    rated = re.search(r"level for \S+: ([\d.]+)", systemd_analyze("security", "--offline=true", str(merged)).stdout)
    assert rated is not None
    assert float(rated[1]) <= WORST_EXPOSURE


def test_the_settings_file_says_what_the_units_do_without_it() -> None:
    given = dict(line.split("=", 1) for line in example_lines(commented=False))
    without = {name: value for unit in WORKING for name, value in environment(unit).items()}
    assert given == {name: value for name, value in without.items() if name != "IVCRUSH_METRICS"}


def test_every_choice_of_the_settings_file_is_understood() -> None:
    commands = [line.split("=", 1)[1] for line in example_lines(commented=True) if "COMMAND=" in line]
    assert len(commands) == 3
    for each in commands:
        assert program_parser().parse_args(each.split()).command in {"scan", "analyze-batch", "backfill"}


def test_the_settings_file_holds_no_key() -> None:
    assert not [line for line in example_lines(commented=True) if line.startswith(("TRADIER_API", "ALPHA_VANTAGE_K"))]


def test_what_concerns_the_services_alone_is_no_fault_of_the_programs_settings(tmp_path: Path) -> None:
    extra = dict(line.split("=", 1) for line in example_lines(commented=True) if line.startswith("IVCRUSH_"))
    assert len(extra) > 6
    loaded = load_settings({"STATE_DIRECTORY": str(tmp_path), **extra}, tmp_path, required_keys=())
    assert loaded.warnings == ()


def example_lines(*, commented: bool) -> list[str]:
    """The assignments of ivcrush.env; `commented`: those too that are only proposed."""
    text = (DEPLOY / "ivcrush.env").read_text()
    return re.findall(r"^#?([A-Z_]+=\S.*)$" if commented else r"^([A-Z_]+=.*)$", text, flags=re.MULTILINE)
