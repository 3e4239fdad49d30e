"""stdout and stderr, whoever listens."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from ivcrush.cli.streams import on_terminal, read_together, say, write_stdout


@pytest.fixture
def first_descriptor_kept() -> Iterator[None]:
    """A failure points descriptor 1 at nothing; the tests after this one want theirs back."""
    kept = os.dup(1)
    yield
    os.dup2(kept, 1)
    os.close(kept)


def pipe_without_reader() -> TextIO:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def close_quietly(stream: TextIO) -> None:
    with pytest.raises(OSError):  # noqa: PT011 — what is still buffered finds its end here
        stream.close()


@pytest.mark.usefixtures("first_descriptor_kept")
def test_a_full_disk_is_named_and_a_gone_reader_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        full = Path("/dev/full").open("w")  # noqa: SIM115 — its closing fails, which is the point
        patch.setattr(sys, "stdout", full)
        assert write_stdout(["text"]) == "the disk is full"
        close_quietly(full)
        gone = pipe_without_reader()
        patch.setattr(sys, "stdout", gone)
        assert write_stdout(["text"]) is None
        close_quietly(gone)


@pytest.mark.usefixtures("first_descriptor_kept")
def test_another_failure_is_told_in_the_systems_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read_only = os.open(os.devnull, os.O_RDONLY)
    with monkeypatch.context() as patch:
        stream = os.fdopen(os.dup(read_only), "w")
        patch.setattr(sys, "stdout", stream)
        assert write_stdout(["text"]) == "Bad file descriptor"
        close_quietly(stream)
    os.close(read_only)


def test_a_closed_stdout_and_a_closed_stderr_take_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        assert write_stdout(["text"]) is None
        assert not on_terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        say("a message that print would put on stdout")
    assert capsys.readouterr().out == ""


def test_results_are_utf_8_whatever_the_terminal_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert write_stdout(["Nestlé \ud800"]) is None
    assert written.getvalue() == "Nestlé ".encode() + b"\\ud800"


def test_a_message_is_one_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("first\nsecond \x1b[31m")
    assert capsys.readouterr().err == "first\\nsecond \\x1b[31m\n"


def test_only_two_terminals_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = os.openpty()
    with os.fdopen(leader, "w"), os.fdopen(follower, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        assert on_terminal()
        assert not read_together()
        patch.setattr(sys, "stderr", terminal)
        assert read_together()
