"""Neither token nor key is ever shown or kept, whatever goes wrong: canaries looked for in everything a run leaves."""

from pathlib import Path

import pytest

from tests.integration.conftest import KEY, TOKEN, Desk, Finished

WHOLE_REPLIES = [
    "401", "401_expired", "500_expired", "400", "200_errors", "404_html", "500", "502", "200_html", "200_empty",
    "200_garbage", "200_gzip_garbage", "200_deep", "302", "premium", "demo_key", "invalid_key", "invalid_call",
    "daily_quota", "artificial_sample", "truncate_length", "truncate_chunked", "truncate_without_length",
    "empty_reply", "reset_before", "reset_in_headers", "reset_in_body",
]  # fmt: skip


def leaks(desk: Desk, *runs: Finished) -> list[str]:
    """Where a canary is found: in what was printed, or in a file below the folder."""
    texts = {f"{name} of run {number}": text.encode() for number, run in enumerate(runs)
             for name, text in (("stdout", run.out), ("stderr", run.err))}  # fmt: skip
    texts |= {str(path): path.read_bytes() for path in desk.directory.rglob("*") if path.is_file()}
    return [where for where, text in texts.items() if TOKEN.encode() in text or KEY.encode() in text]


@pytest.mark.parametrize("fault", WHOLE_REPLIES)
def test_no_reply_brings_a_secret_out(desk: Desk, fault: str) -> None:
    desk.environment.update({"LOG_FILE": "own.log", "LOG_LEVEL": "DEBUG", "RETRY_MAX_ATTEMPTS": "2"})
    desk.strike(fault, path="EARNINGS")
    first = desk.run("backfill", "AAPL", "--log-level", "DEBUG")
    desk.strike(fault)
    second = desk.run("analyze", "AAPL", "--log-level", "DEBUG", "--format", "json")
    assert first.err + second.err != ""
    assert leaks(desk, first, second) == []


def test_a_good_day_keeps_no_secret_in_database_cache_or_log(desk: Desk) -> None:
    desk.environment.update({"LOG_FILE": "own.log", "LOG_LEVEL": "DEBUG"})
    runs = [
        desk.run("backfill", "AAPL", "--calendar", "--dividends", "--log-level", "DEBUG"),
        desk.run("analyze", "AAPL", "MSFT", "--format", "json", "--output", "result.json"),
    ]
    assert [run.code for run in runs] == [0, 0]
    assert {path.name for path in desk.directory.rglob("*.db")} == {"ivcrush.db", "ivcrush-cache.db"}
    assert leaks(desk, *runs) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "https://127.0.0.1:9/v1"])
def test_nobody_listening_brings_no_secret_out(desk: Desk, url: str) -> None:
    settings = {"TRADIER_BASE_URL": url, "ALPHA_VANTAGE_BASE_URL": url, "LOG_FILE": "own.log"}
    runs = [
        desk.run(command, "AAPL", "--log-level", "DEBUG", **settings) for command in ("analyze", "backfill")
    ]  # fmt: skip
    assert [run.code for run in runs] == [69, 69]
    assert leaks(desk, *runs) == []


def test_an_unusable_token_or_url_is_named_without_its_text(desk: Desk) -> None:
    refused = desk.run(
        "analyze", "AAPL", TRADIER_API_KEY=f"{TOKEN} with space", TRADIER_BASE_URL=f"https://{KEY}@host/"
    )
    assert refused.code == 78
    assert "TRADIER_API_KEY (environment): " in refused.err
    assert leaks(desk, refused) == []


def test_an_env_file_refused_for_its_mode_is_not_quoted(desk: Desk) -> None:
    path = Path(desk.file(".env", f"TRADIER_API_KEY={TOKEN}\n".encode()))
    path.chmod(0o644)
    refused = desk.run("analyze", "AAPL", TRADIER_API_KEY="")
    path.unlink()
    assert refused.code == 78
    assert leaks(desk, refused) == []
