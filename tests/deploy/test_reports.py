"""A run's result is kept under its minute in New York, and the latest one is found by its name."""

import os
import subprocess
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.deploy.unit_files import DEPLOY

CLOSE_TO_CLOSE = datetime(2026, 11, 20, 15, 49, tzinfo=ZoneInfo("America/New_York"))


def kept(folder: Path, form: str = "table") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(DEPLOY / "libexec/keep-report"), str(folder)],
        env={"PATH": "/usr/bin:/bin", "TZ": "Asia/Tokyo", "IVCRUSH_FORMAT": form},
        capture_output=True,
        text=True,
        check=False,
    )


def made(folder: Path, text: str, moment: datetime = CLOSE_TO_CLOSE) -> None:
    (folder / "new").write_text(text)
    os.utime(folder / "new", (moment.timestamp(), moment.timestamp()))


def test_a_table_gets_the_minute_in_new_york_as_its_name_and_is_shown(tmp_path: Path) -> None:
    made(tmp_path, "the list\n")
    finished = kept(tmp_path)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "the list\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-11-20_1549.txt", "latest.txt"]
    assert (tmp_path / "latest.txt").read_text() == "the list\n"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_is_for_programs_is_kept_and_not_shown(tmp_path: Path, form: str) -> None:
    made(tmp_path, "{}")
    assert kept(tmp_path, form).stdout == ""
    assert (tmp_path / f"latest.{form}").readlink() == Path(f"2026-11-20_1549.{form}")


def test_the_next_list_is_the_latest_and_the_former_one_stays(tmp_path: Path) -> None:
    made(tmp_path, "morning\n", CLOSE_TO_CLOSE.replace(hour=9, minute=34))
    kept(tmp_path)
    made(tmp_path, "before the close\n")
    kept(tmp_path)
    assert (tmp_path / "latest.txt").read_text() == "before the close\n"
    assert (tmp_path / "2026-11-20_0934.txt").read_text() == "morning\n"


@pytest.mark.parametrize("left", [None, ""], ids=["stopped before", "a closed day"])
def test_a_run_without_a_result_leaves_the_latest_list_in_place(tmp_path: Path, left: str | None) -> None:
    made(tmp_path, "yesterday\n")
    kept(tmp_path)
    if left is not None:
        made(tmp_path, left)
    finished = kept(tmp_path)
    assert (finished.returncode, finished.stdout) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-11-20_1549.txt", "latest.txt"]


def test_a_form_that_does_not_exist_is_named(tmp_path: Path) -> None:
    finished = kept(tmp_path, "xml")
    assert finished.returncode == 78
    assert finished.stderr == "IVCRUSH_FORMAT=xml: table, json or csv is needed\n"
