"""A file is written whole or not at all; real files, real failures of the operating system."""

import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result
from ivcrush.utils.files import write_whole


def refusal(outcome: Result[None]) -> str:
    assert isinstance(outcome, Err)
    assert outcome.error.code is ErrorCode.DBERROR
    return outcome.error.message


@contextmanager
def no_file_larger_than_1000_bytes() -> Iterator[None]:
    """The operating system's own limit: a write past it fails as on a full disk.

    Not a fixture: pytest writes its own progress, perhaps to a longer file, before a fixture ends.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_new_file_holds_the_bytes_and_is_0644_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert write_whole(tmp_path / "report.json", [b"{}\n"]) == Ok(None)
    finally:
        os.umask(before)
    assert (tmp_path / "report.json").read_bytes() == b"{}\n"
    assert stat.S_IMODE((tmp_path / "report.json").stat().st_mode) == 0o644


def test_an_existing_file_is_replaced_and_nothing_else_is_left_in_the_directory(tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_bytes(b"old and longer")
    assert write_whole(tmp_path / "report.csv", [b"new"], mode=0o600) == Ok(None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.csv"]
    assert (tmp_path / "report.csv").read_bytes() == b"new"


def test_when_there_is_no_room_the_old_file_stays_and_no_litter_is_left(tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_bytes(b"old")
    with no_file_larger_than_1000_bytes():
        outcome = write_whole(tmp_path / "report.csv", [b"x" * 2000])
    message = refusal(outcome)
    assert message == f"{tmp_path / 'report.csv'}: cannot be written: File too large"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.csv"]
    assert (tmp_path / "report.csv").read_bytes() == b"old"


def test_a_symbolic_link_is_refused_and_its_target_untouched(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert "symbolic link" in refusal(write_whole(tmp_path / "link", [b"x"]))
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_a_dangling_symbolic_link_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert "symbolic link" in refusal(write_whole(tmp_path / "link", [b"x"]))


def test_a_directory_in_the_place_of_the_file_is_refused_by_name(tmp_path: Path) -> None:
    assert (
        refusal(write_whole(tmp_path, [b"x"]))
        == f"{tmp_path}: cannot be written: is a directory; a file name is needed"
    )


def test_a_pipe_is_refused_without_waiting_for_a_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is no plain file" in refusal(write_whole(tmp_path / "pipe", [b"x"]))


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "report.json"
    assert (
        refusal(write_whole(path, [b"x"])) == f"{path}: cannot be written: there is no directory {tmp_path / 'absent'}"
    )


def test_a_file_used_as_a_directory_is_an_error_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "Not a directory" in refusal(write_whole(tmp_path / "file" / "report.json", [b"x"]))
