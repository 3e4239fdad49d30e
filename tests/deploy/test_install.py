"""Installed by one command, again without harm, removed by another; nothing of the user's is ever overwritten."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivcrush import __version__
from tests.conftest import PROJECT
from tests.deploy.conftest import install
from tests.deploy.unit_files import DEPLOY

KEY = "canary-key"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def root(installed: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the installed root, to do with as one likes."""
    copy = tmp_path / "root"
    shutil.copytree(installed, copy, symlinks=True, ignore=shutil.ignore_patterns("opt"))
    shutil.copytree(installed / "opt", copy / "opt", symlinks=True, copy_function=os.link)  # nobody writes into these
    yield copy
    shutil.rmtree(copy)


def run(root: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """The installed program in an environment that knows nothing of the checkout."""
    return subprocess.run(
        [str(root / "opt/ivcrush/bin/ivcrush"), *arguments],
        cwd=root,
        env={"PATH": "/usr/bin:/bin"} | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_everything_lies_where_it_belongs_with_the_rights_it_needs(installed: Path) -> None:
    units = {path.name for path in (*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer"))}
    assert {path.name for path in (installed / "etc/systemd/system").iterdir()} == units
    assert {mode(path) for path in (installed / "etc/systemd/system").iterdir()} == {0o644}
    assert mode(installed / "etc/ivcrush/ivcrush.env") == 0o644
    assert mode(installed / "etc/ivcrush/credentials") == 0o700
    assert list((installed / "etc/ivcrush/credentials").iterdir()) == []
    executables = ["opt/ivcrush/bin/ivcrush", "usr/local/bin/ivcrush"]
    executables += [f"opt/ivcrush/libexec/{name}" for name in ("alert", "heartbeat", "keep-report")]
    assert {mode(installed / path) for path in executables} == {0o755}
    assert not (installed / "opt/ivcrush.new").exists()


def test_every_program_that_a_unit_names_is_installed(installed: Path) -> None:
    named = {
        word
        for unit in (installed / "etc/systemd/system").glob("*.service")
        for line in unit.read_text().splitlines()
        if line.startswith("Exec")
        for word in line.partition("=")[2].lstrip("-").split()
        if word.startswith("/opt/")
    }
    assert len(named) == 4
    assert {name for name in named if not os.access(installed / name[1:], os.X_OK)} == set()


def test_the_installed_program_runs_from_there_and_not_from_the_checkout(installed: Path) -> None:
    finished = run(installed, "--version")
    assert (finished.returncode, finished.stdout) == (0, f"ivcrush {__version__}\n")
    asked = "import ivcrush; print(ivcrush.__file__)"
    where = subprocess.check_output([str(installed / "opt/ivcrush/bin/python"), "-I", "-c", asked], text=True)
    assert where.startswith(str(installed / "opt/ivcrush/lib"))
    assert str(PROJECT) not in where


def test_the_installed_program_scans_the_simulated_market(installed: Path, tmp_path: Path) -> None:
    finished = run(installed, "scan", "--demo", "--format", "json", STATE_DIRECTORY=str(tmp_path))
    assert finished.returncode in {0, 3}, finished.stderr
    found = json.loads(finished.stdout)
    assert (found["schema"], found["analyses"][0]["simulated"]) == ("ivcrush.batch/1", True)


def test_the_program_holds_what_it_needs_and_no_tools(installed: Path) -> None:
    (packages,) = (installed / "opt/ivcrush/lib").glob("python*/site-packages")
    names = {path.name.split("-")[0].lower() for path in packages.glob("*.dist-info")}
    assert {"ivcrush", "httpx", "numpy"} < names
    assert {"hatchling", "pip", "pytest"} & names == set()


def test_the_compiled_files_remember_the_place_of_use(installed: Path) -> None:
    (compiled,) = (installed / "opt/ivcrush/lib").glob("python*/site-packages/ivcrush/__pycache__/container.*.pyc")
    assert b"/opt/ivcrush/lib" in compiled.read_bytes()
    assert b"ivcrush.new" not in compiled.read_bytes()


def test_a_key_is_placed_as_the_user_is_told_to(tmp_path: Path) -> None:
    place = tmp_path / "TRADIER_API_KEY"
    command = ["install", "-m", "0600", "/dev/stdin", str(place)]
    subprocess.run(command, input=f"{KEY}\n", text=True, check=True)
    assert (place.read_text(), mode(place)) == (f"{KEY}\n", 0o600)


def test_installing_again_upgrades_leaves_what_is_the_users_and_says_what_comes_next(root: Path) -> None:
    settings, key = root / "etc/ivcrush/ivcrush.env", root / "etc/ivcrush/credentials/TRADIER_API_KEY"
    settings.write_text("IVCRUSH_FORMAT=json\n")
    settings.chmod(0o600)
    key.write_text(KEY)
    key.chmod(0o600)
    edited = root / "etc/systemd/system/ivcrush.service.d/override.conf"
    edited.parent.mkdir()
    edited.write_text("[Service]\nTimeoutStartSec=1h\n")
    (root / "opt/ivcrush/former").touch()
    finished = install(root)
    assert finished.returncode == 0, finished.stderr
    assert (settings.read_text(), mode(settings)) == ("IVCRUSH_FORMAT=json\n", 0o600)
    assert (key.read_text(), mode(key)) == (KEY, 0o600)
    assert edited.exists()
    assert not (root / "opt/ivcrush/former").exists()
    assert (root / "opt/ivcrush.old/former").exists()  # what a rollback moves back
    assert run(root, "--version").returncode == 0
    assert "sudo install -m 0600 /dev/stdin /etc/ivcrush/credentials/ALPHA_VANTAGE_KEY" in finished.stdout
    assert "TRADIER_API_KEY" not in finished.stdout  # it is there
    assert "sudo systemctl enable --now ivcrush.timer" in finished.stdout
    assert KEY not in finished.stdout + finished.stderr


def test_a_build_that_fails_leaves_the_program_as_it_was(root: Path, tmp_path: Path) -> None:
    broken = tmp_path / "checkout"
    shutil.copytree(DEPLOY, broken / "deploy")
    for name in ("src", "requirements"):
        shutil.copytree(PROJECT / name, broken / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, broken)
    lines = (broken / "requirements/build.txt").read_text().replace("sha256:", "sha256:00")
    (broken / "requirements/build.txt").write_text(lines)
    finished = subprocess.run(
        [str(broken / "deploy/install.sh")],
        env=os.environ | {"DESTDIR": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode != 0
    assert "hash" in finished.stderr.lower()
    assert run(root, "--version").stdout == f"ivcrush {__version__}\n"


@pytest.mark.parametrize(
    ("script", "python", "need"),
    [
        ("exit 1", "python", "Python 3.11 or newer is needed (package python3)"),
        ('[ "$1" = -c ]', "python", "pip is needed (package python3-pip)"),
    ],
    ids=["too old", "no pip"],
)
def test_what_the_machine_lacks_is_named_with_its_package(tmp_path: Path, script: str, python: str, need: str) -> None:
    stand_in = tmp_path / python
    stand_in.write_text(f"#!/bin/sh\n{script}\n")
    stand_in.chmod(0o755)
    finished = subprocess.run(
        [str(DEPLOY / "install.sh")],
        env={"PATH": "/usr/bin:/bin", "DESTDIR": str(tmp_path / "root"), "PYTHON": str(stand_in)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert finished.stderr == f"install: {stand_in}: {need}\n"
    assert not (tmp_path / "root").exists()


def test_an_interpreter_in_a_home_is_refused_since_services_see_no_homes(tmp_path: Path) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text("#!/bin/sh\ncase $2 in *base_prefix*) echo /home/you/.pyenv/versions/3.11.9 ;; esac\n")
    stand_in.chmod(0o755)
    if os.geteuid() != 0:
        pytest.skip("needs root, which is asked for first")
    finished = subprocess.run(
        [str(DEPLOY / "install.sh")],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(stand_in)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "lies in /home/you/.pyenv/versions/3.11.9, which services cannot see" in finished.stderr


def test_removing_leaves_settings_keys_and_data(root: Path) -> None:
    data = root / "var/lib/ivcrush/ivcrush.db"
    data.parent.mkdir(parents=True)
    data.touch()
    finished = install(root, "uninstall.sh")
    assert finished.returncode == 0, finished.stderr
    left = sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())
    assert left == ["etc/ivcrush/ivcrush.env", "var/lib/ivcrush/ivcrush.db"]
    assert install(root, "uninstall.sh").returncode == 0  # once more is no failure


def test_removing_with_purge_leaves_nothing_of_ours_and_everything_of_others(root: Path) -> None:
    for path in ("var/lib/private/ivcrush/ivcrush.db", "var/lib/systemd/timers/stamp-ivcrush.timer"):
        (root / path).parent.mkdir(parents=True)
        (root / path).touch()
    (root / "var/lib/ivcrush").symlink_to("private/ivcrush")
    (root / "etc/systemd/system/other.service").touch()
    (root / "etc/systemd/system/ivcrush.service.d").mkdir()
    (root / "etc/systemd/system/ivcrush.service.d/override.conf").touch()
    assert install(root, "uninstall.sh", "--purge").returncode == 0
    left = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or path.is_file()]
    assert left == ["etc/systemd/system/other.service"]


# Where systemd runs: its directories and ours replaced for one process, and a systemctl that writes down its words.
_RUNNING = r"""
set -eu
units=/etc/systemd/system
for place in /run /opt /usr/local/bin "$units"; do mount -t tmpfs tmpfs "$place"; done
mkdir -p /run/systemd/system /run/bin /opt/ivcrush "$units/ivcrush.service.d"
cp "$DEPLOY"/*.timer "$DEPLOY"/*.service "$DEPLOY"/examples/ivcrush-daily.timer "$units"
printf '#!/bin/sh\necho "$*" >>/run/told\n' >/run/bin/systemctl
chmod 755 /run/bin/systemctl
PATH=/run/bin:$PATH "$DEPLOY/uninstall.sh"
cat /run/told
ls "$units"
"""


def test_where_systemd_runs_timers_are_stopped_before_services_and_it_reads_its_units_anew(tmp_path: Path) -> None:
    apart = ["unshare", "--mount", "--propagation", "private"]
    if shutil.which("unshare") is None or os.geteuid() or not Path("/etc/systemd/system").is_dir():
        pytest.skip("needs root, unshare (package util-linux) and a directory /etc/systemd/system")
    if subprocess.run([*apart, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make mounts")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEPLOY": str(DEPLOY)}
    finished = subprocess.run(
        [*apart, "sh", "-c", _RUNNING], env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[1:] == [
        "disable --quiet --now ivcrush-backfill.timer",
        "disable --quiet --now ivcrush-health.timer",
        "disable --quiet --now ivcrush-preclose.timer",
        "disable --quiet --now ivcrush.timer",
        "disable --quiet --now ivcrush-daily.timer",
        "stop ivcrush-alert@*.service",
        "stop ivcrush-backfill.service",
        "stop ivcrush-health.service",
        "stop ivcrush.service",
        "daemon-reload",
        "ivcrush.service.d",
    ]


def test_a_command_of_somebody_else_is_not_removed(root: Path) -> None:
    (root / "usr/local/bin/ivcrush").write_text("#!/bin/sh\n# theirs\n")
    install(root, "uninstall.sh")
    assert (root / "usr/local/bin/ivcrush").exists()


def test_an_unknown_word_removes_nothing(root: Path) -> None:
    assert install(root, "uninstall.sh", "--all").returncode == 2
    assert run(root, "--version").returncode == 0


def test_make_hands_its_destination_to_the_scripts(tmp_path: Path) -> None:
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/ivcrush.timer").touch()
    command = ["make", "--no-print-directory", "uninstall-service", f"DESTDIR={tmp_path}"]
    finished = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert list((tmp_path / "etc/systemd/system").iterdir()) == []
