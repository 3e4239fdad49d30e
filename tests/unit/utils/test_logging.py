"""Every line is one line, dated, traceable, harmless and without secrets, whatever is logged and however it fails."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result
from ivcrush.utils.logging import LineFormatter, LogFormat, configure_logging, fields
from ivcrush.utils.redaction import Redactor
from ivcrush.utils.tracing import correlation_scope

CANARY = "CANARYtoken0123456789"
log = logging.getLogger("ivcrush.test")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, quiet = logging.getLogger(), [logging.getLogger(name) for name in ("httpx", "httpcore", "asyncio")]
    levels, handlers, raises = [logger.level for logger in [root, *quiet]], root.handlers[:], logging.raiseExceptions
    yield
    for handler in [added for added in root.handlers if added not in handlers]:
        root.removeHandler(handler)
        handler.close()
    for logger, level in zip([root, *quiet], levels, strict=True):
        logger.setLevel(level)
    logging.raiseExceptions = raises


def configure(
    stderr: io.StringIO,
    *,
    log_format: LogFormat = LogFormat.TEXT,
    log_file: Path | None = None,
    terminal_level: str | None = None,
    journal: bool = True,
) -> Result[None]:
    return configure_logging(
        level="INFO",
        log_format=log_format,
        log_file=log_file,
        terminal_level=terminal_level,
        journal=journal,
        redact=Redactor([CANARY]),
        stderr=stderr,
    )


def line_of(record: logging.LogRecord, log_format: LogFormat = LogFormat.JSON) -> str:
    return LineFormatter(log_format, Redactor([CANARY])).format(record)


def record_of(message: object, *args: object, **attributes: object) -> logging.LogRecord:
    record = logging.LogRecord("ivcrush.test", logging.INFO, __file__, 1, message, args, None)
    record.created = 1778874300.123  # 2026-05-15T19:45:00.123Z
    record.__dict__.update(attributes)
    return record


def test_a_text_line_begins_with_the_utc_time_and_quotes_what_holds_spaces() -> None:
    with correlation_scope("ab12"):
        line = line_of(
            record_of("chain fetched", fields={"ticker": "AAPL", "rows": 212, "note": 'a "b"'}), LogFormat.TEXT
        )
    assert line == (
        "2026-05-15T19:45:00.123+00:00 level=INFO logger=ivcrush.test correlation_id=ab12 "
        'event="chain fetched" ticker=AAPL rows=212 note="a \\"b\\""'
    )


def test_a_json_line_keeps_numbers_and_none_as_such() -> None:
    with correlation_scope("ab12"):
        line = line_of(record_of("chain fetched", fields={"rows": 212, "took_s": 0.5, "cached": True, "error": None}))
    assert json.loads(line) == {
        "time": "2026-05-15T19:45:00.123+00:00",
        "level": "INFO",
        "logger": "ivcrush.test",
        "correlation_id": "ab12",
        "event": "chain fetched",
        "rows": 212,
        "took_s": 0.5,
        "cached": True,
        "error": None,
    }


def test_nan_and_infinity_become_texts_so_that_a_json_line_is_json() -> None:
    line = json.loads(line_of(record_of("x", fields={"a": float("nan"), "b": float("-inf")})))
    assert (line["a"], line["b"]) == ("nan", "-inf")


def test_a_field_cannot_take_the_place_of_the_lines_own_keys() -> None:
    line = json.loads(line_of(record_of("x", fields={"level": "fake", "event": "forged"})))
    assert (line["level"], line["event"], line["field_level"], line["field_event"]) == ("INFO", "x", "fake", "forged")


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_newlines_escapes_and_bidi_in_a_message_or_field_forge_no_second_line(log_format: LogFormat) -> None:
    line = line_of(record_of("a\nlevel=ERROR", fields={"name": "\x1b[2J\u202e\r\n"}), log_format)
    assert line.isprintable()


def test_a_traceback_stays_on_the_line_and_its_secret_does_not() -> None:
    try:
        raise ValueError(f"GET /q?apikey={CANARY}")  # noqa: TRY301
    except ValueError:
        record = record_of("failed", exc_info=sys.exc_info())
    line = line_of(record, LogFormat.TEXT)
    assert line.isprintable()
    assert "ValueError: GET /q?apikey=***" in line
    assert CANARY not in line


def test_arguments_that_do_not_fit_cost_the_arguments_not_the_line() -> None:
    assert json.loads(line_of(record_of("%d rows", "many")))["event"] == "%d rows (its arguments do not fit)"


def test_a_value_that_cannot_be_shown_is_named_by_its_type() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(CANARY)

    line = json.loads(line_of(record_of(Broken(), fields={"value": Broken()})))
    assert line["value"] == "<Broken>"
    assert line["event"] == "<Broken> (its arguments do not fit)"


def test_redaction_comes_before_the_cut_so_that_no_half_token_is_left() -> None:
    line = line_of(record_of("x" * 1990 + CANARY))
    assert "CANARY" not in line
    assert "xxx***" in line


FORMS = st.sampled_from([str, repr, quote, json.dumps, lambda text: f"Bearer {text}\n", lambda text: f"?k={text}&b="])


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*"), min_size=8, max_size=40),
    around=st.text(max_size=30),
    form=FORMS,
    log_format=st.sampled_from(LogFormat),
    depth=st.integers(0, 3),
)
def test_no_secret_survives_in_message_field_exception_cause_or_note(
    secret: str, around: str, form: object, log_format: LogFormat, depth: int
) -> None:
    assert callable(form)
    hidden = around + form(secret) + around
    error: Exception = ValueError(hidden, {"token": secret})
    for _ in range(depth):
        try:
            raise KeyError(secret) from error  # noqa: TRY301
        except KeyError as caught:
            caught.add_note(hidden)
            error = caught
    try:
        raise OSError(5, hidden, secret) from error  # noqa: TRY301
    except OSError as caught:
        record = record_of("%s failed: %r", hidden, caught, exc_info=sys.exc_info(), stack_info=hidden)
    record.fields = {"url": hidden, "parts": (secret, [secret]), "error": error}
    line = LineFormatter(log_format, Redactor([secret])).format(record)
    assert secret not in line
    assert line.isprintable()


def test_a_terminal_shows_warnings_and_the_file_everything_from_its_level_on(tmp_path: Path) -> None:
    terminal, path = io.StringIO(), tmp_path / "logs" / "ivcrush.log"
    assert configure(terminal, log_file=path, journal=False) == Ok(None)
    log.debug("one")
    log.info("two")
    log.warning("three")
    assert re.findall("event=([a-z]+)", terminal.getvalue()) == ["three"]
    assert re.findall("event=([a-z]+)", path.read_text()) == ["two", "three"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_journal_gets_the_level_of_the_settings() -> None:
    journal = io.StringIO()
    configure(journal)
    log.debug("one")
    log.info("two")
    assert re.findall("event=([a-z]+)", journal.getvalue()) == ["two"]


def test_a_level_named_on_the_command_line_wins_on_stderr() -> None:
    terminal = io.StringIO()
    configure(terminal, terminal_level="DEBUG", journal=False)
    log.debug("one")
    assert "event=one" in terminal.getvalue()


@pytest.mark.parametrize(("level", "shown"), [(None, False), ("INFO", False), ("DEBUG", True)])
def test_a_terminal_sees_a_traceback_only_at_debug_and_the_file_always(
    tmp_path: Path, level: str | None, shown: bool
) -> None:
    terminal, path = io.StringIO(), tmp_path / "ivcrush.log"
    configure(terminal, log_file=path, terminal_level=level, journal=False)
    try:
        int("a defect")
    except ValueError:
        log.critical("broken", exc_info=True)
    assert ("Traceback" in terminal.getvalue()) is shown
    assert "Traceback" in path.read_text()


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)]
)
def test_a_line_for_the_journal_begins_with_its_syslog_priority(level: str, priority: int) -> None:
    journal, terminal = io.StringIO(), io.StringIO()
    configure(journal, terminal_level="DEBUG")
    getattr(log, level)("once")
    assert re.match(rf"<{priority}>2\d{{3}}-.* event=once\n", journal.getvalue())
    configure(terminal, terminal_level="DEBUG", journal=False)
    getattr(log, level)("once")
    assert terminal.getvalue().startswith("2")


def test_configuring_again_replaces_and_doubles_no_line() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure(first)
    configure(second, log_format=LogFormat.JSON, terminal_level="INFO", journal=False)
    log.info("once", extra=fields(ticker="AAPL"))
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["ticker"] == "AAPL"


@pytest.mark.parametrize("library", ["httpx", "httpcore.connection", "asyncio"])
def test_libraries_that_write_urls_are_silent_below_warning(library: str) -> None:
    stream = io.StringIO()
    configure(stream, terminal_level="DEBUG")
    logging.getLogger(library).info("HTTP Request: GET https://example.test/?apikey=%s", CANARY)
    assert stream.getvalue() == ""
    logging.getLogger(library).warning("retrying %s", CANARY)
    assert "retrying ***" in stream.getvalue()


def test_a_log_file_that_cannot_be_opened_is_one_error_and_stderr_still_works(tmp_path: Path) -> None:
    stream = io.StringIO()
    outcome = configure(stream, log_file=tmp_path)
    assert isinstance(outcome, Err)
    assert outcome.error.code is ErrorCode.DBERROR
    assert outcome.error.message == f"LOG_FILE {tmp_path}: cannot be written: Is a directory"
    log.info("still here")
    assert "still here" in stream.getvalue()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_of_once_and_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert configure(io.StringIO(), log_file=Path("/dev/full")) == Ok(None)
    log.info("one")
    log.info("two")
    configure(io.StringIO())
    assert capsys.readouterr().err == "LOG_FILE /dev/full: No space left on device: lines are being lost\n"
