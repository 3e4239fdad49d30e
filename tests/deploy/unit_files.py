"""Reads systemd's unit files of `deploy/`, as far as these tests need it."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.conftest import PROJECT

DEPLOY = PROJECT / "deploy"
SERVICES = tuple(sorted(DEPLOY.glob("*.service")))
TIMERS = tuple(sorted((*DEPLOY.glob("*.timer"), *(DEPLOY / "examples").glob("*.timer"))))
_SANDBOX = "\n# --- Sandbox"


def settings(unit: Path) -> dict[str, list[str]]:
    """Every value of every key of a unit, in their order; no key stands in two sections of ours."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def sandbox(unit: Path) -> str:
    """The part of a service that all of them share."""
    return unit.read_text().partition(_SANDBOX)[2]


def command(line: str, environment: Mapping[str, str]) -> list[str]:
    """A command line as systemd would run it: `$NAME` splits at spaces, `${NAME}` does not, %S is /var/lib."""
    words: list[str] = []
    for word in line.lstrip("-").replace("%S", "/var/lib").split():
        if word.startswith("$") and not word.startswith("${"):
            words += environment[word[1:]].split()
        else:
            for name, value in environment.items():
                word = word.replace(f"${{{name}}}", value)  # noqa: PLW2901
            words.append(word)
    return words


def environment(unit: Path) -> dict[str, str]:
    """What Environment= sets."""
    return dict(value.strip('"').split("=", 1) for value in settings(unit).get("Environment", []))


def systemd_analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """What systemd-analyze says; skips where there is none."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (package systemd)")
    called: Sequence[str] = ("systemd-analyze", "--no-pager", *arguments)
    plain = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    return subprocess.run(called, capture_output=True, text=True, check=False, env=plain)
