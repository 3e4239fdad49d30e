"""The version is told once and is the same wherever it is shown; the changelog has the form that readers know."""

import re
import tomllib
from datetime import date

import pytest

from ivcrush import __version__
from ivcrush.cli.main import main
from tests.conftest import PROJECT

CHANGELOG = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
RELEASES = re.findall(r"(?m)^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", CHANGELOG)
SECTIONS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_newest_release_of_the_changelog_is_this_version() -> None:
    assert RELEASES[0][0] == __version__


@pytest.mark.parametrize("arguments", [["--version"], ["scan", "--version"]])
def test_the_program_tells_that_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    assert (leaving.value.code, capsys.readouterr().out) == (0, f"ivcrush {__version__}\n")


def test_the_package_takes_its_version_from_where_the_program_does() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"] == {"path": "src/ivcrush/__init__.py"}


def test_releases_are_dated_newest_first_and_every_heading_is_one_that_readers_know() -> None:
    assert [date.fromisoformat(day) for _, day in RELEASES] == sorted(
        (date.fromisoformat(day) for _, day in RELEASES), reverse=True
    )
    headings = re.findall(r"(?m)^## (.+)$", CHANGELOG)
    assert [heading for heading in headings if heading != "[Unreleased]"] == [f"[{v}] - {day}" for v, day in RELEASES]
    assert set(re.findall(r"(?m)^### (.+)$", CHANGELOG)) <= SECTIONS
