"""Settings are whole or refused with every problem at once, and no message holds a key."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ivcrush.config.settings import AppSettings, Provider
from ivcrush.config.validation import ConfigurationError, load_settings
from ivcrush.domain.enums import MoveMeasure
from ivcrush.domain.types import EvaluationSettings, ScanLimits
from ivcrush.utils.logging import LogFormat
from ivcrush.utils.rate_limiter import Window
from ivcrush.utils.retry import RetryPolicy

KEYS = {"TRADIER_API_KEY": "CANARYtradier", "ALPHA_VANTAGE_KEY": "CANARYvantage"}


def load(directory: Path, environ: Mapping[str, str], *required: Provider) -> AppSettings:
    return load_settings(environ, directory, required_keys=required)


def problems(directory: Path, environ: Mapping[str, str], *required: Provider) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as raised:
        load(directory, environ, *required)
    assert str(raised.value) == "\n".join(raised.value.problems)
    return raised.value.problems


def write_env(directory: Path, text: str, mode: int = 0o600) -> Path:
    path = directory / ".env"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_with_nothing_set_every_value_is_the_documented_default(tmp_path: Path) -> None:
    settings = load(tmp_path, {})
    assert settings.tradier.base_url == "https://api.tradier.com/v1"
    assert settings.tradier.windows == (Window(120, 60.0),)
    assert settings.alpha_vantage.base_url == "https://www.alphavantage.co/query"
    assert settings.alpha_vantage.windows == (Window(1, 1.0), Window(5, 60.0))
    assert (settings.tradier.per_day, settings.alpha_vantage.per_day) == (None, 25)
    assert (settings.storage.path, settings.storage.timeout_s) == (tmp_path / "data" / "ivcrush.db", 5.0)
    cache = settings.cache
    assert (cache.enabled, cache.path) == (True, tmp_path / "data" / "ivcrush-cache.db")
    assert (cache.l1_ttl_s, cache.l1_max_size, cache.l2_ttl_s) == (30.0, 1000, 300.0)
    assert settings.retry == RetryPolicy(max_attempts=3, base_s=2.0, max_s=60.0)
    assert (settings.breaker.failure_threshold, settings.breaker.recovery_s) == (5, 60.0)
    assert (settings.requests.max_concurrent, settings.requests.timeout_s) == (10, 30.0)
    assert (settings.log.level, settings.log.log_format, settings.log.file) == ("INFO", LogFormat.TEXT, None)
    assert settings.evaluation == EvaluationSettings(
        vrp_excellent=2.0, vrp_good=1.5, vrp_marginal=1.2, min_open_interest=50, max_spread_pct=20.0, min_quarters=4,
        max_quarters=12, risk_free_rate_pct=4.0, measure=MoveMeasure.CLOSE_TO_CLOSE,
    )  # fmt: skip
    assert settings.scan == ScanLimits(min_market_cap_millions=0.0, min_dollar_volume_millions=1.0)
    assert (settings.term_structure_depth, settings.warnings, settings.secrets) == (None, (), ())


def test_every_setting_reaches_its_place(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        KEYS
        | {
            "TRADIER_BASE_URL": "http://127.0.0.1:8080/v1/", "ALPHA_VANTAGE_BASE_URL": "http://localhost:81/query",
            "DB_PATH": "/tmp/iv/x.db", "DB_TIMEOUT": "0", "CACHE_ENABLED": "no", "CACHE_PATH": "c.db",
            "CACHE_L1_TTL": "1.5", "CACHE_L1_MAX_SIZE": "7", "CACHE_L2_TTL": "8", "MOVE_MEASURE": "gap",
            "VRP_EXCELLENT": "3", "VRP_GOOD": "2.5", "VRP_MARGINAL": "2", "MIN_HISTORICAL_QUARTERS": "5",
            "MAX_HISTORICAL_QUARTERS": "9", "MIN_OPEN_INTEREST": "0", "MAX_SPREAD_PCT": "12.5",
            "RISK_FREE_RATE_PCT": "-0.5", "MIN_MARKET_CAP_MILLIONS": "2000", "MIN_DOLLAR_VOLUME_MILLIONS": "7.5",
            "TERM_STRUCTURE_DEPTH": "6", "TRADIER_PER_MINUTE": "60",
            "ALPHA_VANTAGE_PER_SECOND": "2", "ALPHA_VANTAGE_PER_MINUTE": "75", "ALPHA_VANTAGE_PER_DAY": "500",
            "MAX_CONCURRENT_REQUESTS": "4", "REQUEST_TIMEOUT": "9", "RETRY_MAX_ATTEMPTS": "2",
            "RETRY_BACKOFF_BASE": "0.5", "RETRY_MAX_BACKOFF": "11", "CIRCUIT_BREAKER_FAILURE_THRESHOLD": "6",
            "CIRCUIT_BREAKER_RECOVERY_TIMEOUT": "12", "LOG_LEVEL": "debug", "LOG_FILE": "iv.log", "LOG_FORMAT": "json",
        },
        *Provider,
    )  # fmt: skip
    assert (settings.tradier.base_url, settings.tradier.token) == ("http://127.0.0.1:8080/v1", "CANARYtradier")
    assert settings.tradier.windows == (Window(60, 60.0),)
    vantage = settings.alpha_vantage
    assert (vantage.base_url, vantage.token, vantage.per_day) == ("http://localhost:81/query", "CANARYvantage", 500)
    assert vantage.windows == (Window(2, 1.0), Window(75, 60.0))
    assert (settings.storage.path, settings.storage.timeout_s) == (Path("/tmp/iv/x.db"), 0.0)
    cache = settings.cache
    assert (cache.enabled, cache.path) == (False, tmp_path / "c.db")
    assert (cache.l1_ttl_s, cache.l1_max_size, cache.l2_ttl_s) == (1.5, 7, 8.0)
    assert settings.retry == RetryPolicy(max_attempts=2, base_s=0.5, max_s=11.0)
    assert (settings.breaker.failure_threshold, settings.breaker.recovery_s) == (6, 12.0)
    assert (settings.requests.max_concurrent, settings.requests.timeout_s) == (4, 9.0)
    log = settings.log
    assert (log.level, log.log_format, log.file) == ("DEBUG", LogFormat.JSON, tmp_path / "iv.log")
    assert settings.evaluation == EvaluationSettings(
        vrp_excellent=3.0, vrp_good=2.5, vrp_marginal=2.0, min_open_interest=0, max_spread_pct=12.5, min_quarters=5,
        max_quarters=9, risk_free_rate_pct=-0.5, measure=MoveMeasure.GAP,
    )  # fmt: skip
    assert settings.scan == ScanLimits(min_market_cap_millions=2000.0, min_dollar_volume_millions=7.5)
    assert settings.term_structure_depth == 6
    assert settings.secrets == ("CANARYtradier", "CANARYvantage")


def test_all_problems_come_at_once_each_with_name_value_place_and_need(tmp_path: Path) -> None:
    path = write_env(tmp_path, "VRP_GOOD=1_5\nRETRY_MAX_ATTEMPTS=99\n")
    found = problems(tmp_path, {"LOG_LEVEL": "LOUD", "TRADIER_BASE_URL": "http://10.0.0.1/"}, Provider.TRADIER)
    assert found == (
        (
            "TRADIER_BASE_URL=http://10.0.0.1/ (environment): an https:// URL (http:// only for 127.0.0.1, [::1] or "
            "localhost) without user, password, query or fragment is needed"
        ),
        f"VRP_GOOD=1_5 ({path} line 1): a number above 0, up to 100 is needed",
        f"RETRY_MAX_ATTEMPTS=99 ({path} line 2): a whole number from 1 to 10 is needed",
        "LOG_LEVEL=LOUD (environment): one of DEBUG, INFO, WARNING, ERROR, CRITICAL is needed",
        (
            "TRADIER_API_KEY is not set: a token from a Tradier account's settings, API access is needed; put "
            "TRADIER_API_KEY=... into .env (chmod 600 .env) or the environment"
        ),
        (
            "ALPHA_VANTAGE_KEY is not set: a key from alphavantage.co/support/#api-key is needed; put "
            "ALPHA_VANTAGE_KEY=... into .env (chmod 600 .env) or the environment; this command does without where all "
            "that it asks for is stored"
        ),
    )


def test_the_environment_wins_over_credentials_and_those_over_the_file(tmp_path: Path) -> None:
    write_env(tmp_path, "TRADIER_API_KEY=from_file\nALPHA_VANTAGE_KEY=from_file\nVRP_EXCELLENT=4\nVRP_GOOD=3\n")
    delivered = tmp_path / "credentials"
    delivered.mkdir()
    for name in ("tradier_api_key", "alpha_vantage_key"):
        (delivered / name).write_text("delivered\n")
    environ = {"CREDENTIALS_DIRECTORY": str(delivered), "TRADIER_API_KEY": "from_environment", "VRP_EXCELLENT": "5"}
    settings = load(tmp_path, environ, *Provider)
    assert (settings.tradier.token, settings.alpha_vantage.token) == ("from_environment", "delivered")
    assert (settings.evaluation.vrp_excellent, settings.evaluation.vrp_good) == (5.0, 3.0)


def test_an_empty_variable_means_the_default_and_hides_the_file(tmp_path: Path) -> None:
    write_env(tmp_path, "TRADIER_API_KEY=abcdef\nLOG_FILE=iv.log\nTERM_STRUCTURE_DEPTH=\n")
    assert load(tmp_path, {"LOG_FILE": ""}).log.file is None
    (problem,) = problems(tmp_path, {"TRADIER_API_KEY": "", "ALPHA_VANTAGE_KEY": "ABCDEF"}, Provider.TRADIER)
    assert problem.startswith("TRADIER_API_KEY is not set: ")
    assert problem.endswith("(environment sets it to nothing)")


def test_only_the_keys_that_are_required_are_missed(tmp_path: Path) -> None:
    assert load(tmp_path, {"TRADIER_API_KEY": "abcdef"}, Provider.TRADIER).alpha_vantage.token is None
    (problem,) = problems(tmp_path, {"TRADIER_API_KEY": "abcdef"}, *Provider)
    assert problem.startswith("ALPHA_VANTAGE_KEY is not set: a key from alphavantage.co/support/#api-key is needed")


def test_prescribed_settings_win_over_everything(tmp_path: Path) -> None:
    write_env(tmp_path, "DB_PATH=real.db\n")
    prescribed = {"DB_PATH": str(tmp_path / "demo.db"), "TRADIER_API_KEY": "simulated"}
    environ = KEYS | {"DB_PATH": "/nowhere/x.db"}
    settings = load_settings(environ, tmp_path, required_keys=(), overrides=prescribed)
    assert (settings.storage.path, settings.tradier.token) == (tmp_path / "demo.db", "simulated")
    with pytest.raises(ValueError, match=r"no such settings: .*DB_PAHT"):
        load_settings({}, tmp_path, required_keys=(), overrides={"DB_PAHT": "x"})


def test_a_refused_file_is_the_problem_and_the_key_in_it_is_not_called_missing(tmp_path: Path) -> None:
    path = write_env(tmp_path, "TRADIER_API_KEY=CANARYtradier\n", mode=0o644)
    (problem,) = problems(tmp_path, {}, Provider.TRADIER)
    assert problem.endswith(f"chmod 600 {path}")


@pytest.mark.parametrize("name", ["TRADIER_API_KEY", "ALPHA_VANTAGE_KEY"])
@pytest.mark.parametrize("key", ["CANARY with space", "CANARY\nHost: evil", "CANARYé"])
def test_a_malformed_key_is_named_and_never_shown(tmp_path: Path, name: str, key: str) -> None:
    (problem,) = problems(tmp_path, {name: key}, *([Provider.TRADIER] if name == "TRADIER_API_KEY" else []))
    assert problem == f"{name} (environment): one line of visible ASCII characters without spaces is needed"


def test_a_key_pasted_into_another_setting_or_a_url_is_not_shown_either(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        KEYS
        | {
            "VRP_GOOD": "CANARYtradier",
            "LOG_LEVEL": "https:me:hunter22@elsewhere",
            "TRADIER_BASE_URL": "https://me:hunter22@api.tradier.com/v1",
            "ALPHA_VANTAGE_BASE_URL": "https://www.alphavantage.co/query?apikey=hunter22",
        },
    )
    assert len(found) == 4
    assert "CANARY" not in "".join(found)
    assert "hunter22" not in "".join(found)


def test_a_hostile_value_is_shown_on_one_short_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"LOG_LEVEL": "\x1b[2J\n" + "x" * 5000})
    assert problem.isprintable()
    assert len(problem) < 200


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"VRP_GOOD": "2.5"}, "VRP_EXCELLENT=2, VRP_GOOD=2.5, VRP_MARGINAL=1.2: each must be above the next one"),
        ({"VRP_GOOD": "1.2"}, "VRP_EXCELLENT=2, VRP_GOOD=1.2, VRP_MARGINAL=1.2: each must be above the next one"),
        (
            {"MIN_HISTORICAL_QUARTERS": "13"},
            "MIN_HISTORICAL_QUARTERS=13, MAX_HISTORICAL_QUARTERS=12: the first may not be above the second",
        ),
        (
            {"RETRY_MAX_BACKOFF": "1"},
            "RETRY_BACKOFF_BASE=2, RETRY_MAX_BACKOFF=1: the first may not be above the second",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_shown_together(
    tmp_path: Path, environ: dict[str, str], line: str
) -> None:
    assert problems(tmp_path, environ) == (line,)


def test_no_contradiction_is_claimed_with_a_value_that_is_no_number(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"VRP_EXCELLENT": "high", "VRP_GOOD": "50"})
    assert problem == "VRP_EXCELLENT=high (environment): a number above 0, up to 100 is needed"


def test_a_path_under_a_file_or_on_a_directory_or_used_twice_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    found = problems(tmp_path, {"DB_PATH": "file/iv.db", "CACHE_PATH": str(tmp_path), "LOG_FILE": "file/iv.db"})
    assert found == (
        f"DB_PATH={tmp_path}/file/iv.db: {tmp_path}/file is no directory",
        f"CACHE_PATH={tmp_path}: is a directory; a file name is needed",
        f"LOG_FILE={tmp_path}/file/iv.db: {tmp_path}/file is no directory",
    )
    assert problems(tmp_path, {"CACHE_PATH": "data/ivcrush.db"}) == (
        f"CACHE_PATH={tmp_path}/data/ivcrush.db: is the file of DB_PATH too; one of its own is needed",
    )


def test_a_missing_directory_is_no_problem_and_is_not_made_here(tmp_path: Path) -> None:
    load(tmp_path, {"DB_PATH": "a/b/c/iv.db"})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def somebody_else() -> Iterator[None]:
    """Without root's right to write everywhere."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    yield
    if was_root:
        os.seteuid(0)


@pytest.mark.usefixtures("somebody_else")
def test_a_directory_that_cannot_be_written_is_a_problem_before_any_request_is_spent() -> None:
    found = problems(Path("/"), {"DB_PATH": "usr/iv.db", "LOG_FILE": "/usr/log/iv.log", "CACHE_PATH": "/tmp/iv-c.db"})
    assert found == (
        "DB_PATH=/usr/iv.db: the directory /usr cannot be written; a writable one is needed",
        "LOG_FILE=/usr/log/iv.log: the directory /usr cannot be written; a writable one is needed",
    )


@pytest.mark.usefixtures("somebody_else")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs a directory that only root enters")
def test_a_path_that_may_not_be_entered_is_a_problem_not_a_crash() -> None:
    (problem,) = problems(Path("/"), {"DB_PATH": "/root/iv.db", "CACHE_PATH": "/tmp/iv-c.db"})
    assert problem.startswith("DB_PATH=/root/iv.db: ")


def test_no_token_is_in_the_repr_of_the_settings(tmp_path: Path) -> None:
    assert "CANARY" not in repr(load(tmp_path, KEYS))


def test_near_misses_in_the_file_are_warnings(tmp_path: Path) -> None:
    path = write_env(tmp_path, "VRP_EXELLENT=3\n")
    assert load(tmp_path, {}).warnings == (
        f"{path} line 1: VRP_EXELLENT is no setting and is ignored; VRP_EXCELLENT is",
    )


def test_a_path_that_takes_no_file_is_storage_alone_unless_a_setting_is_wrong_too(tmp_path: Path) -> None:
    found = []
    for environ in ({"DB_PATH": str(tmp_path)}, {"DB_PATH": str(tmp_path), "VRP_GOOD": "x"}):
        with pytest.raises(ConfigurationError) as raised:
            load_settings(environ, tmp_path, required_keys=())
        found.append((raised.value.storage_alone, len(raised.value.problems)))
    assert found == [(True, 1), (False, 2)]


def test_an_env_file_that_is_not_to_be_read_is_not_judged_either(tmp_path: Path) -> None:
    write_env(tmp_path, "VRP_GOOD=nonsense\n").chmod(0o666)
    assert load_settings({}, tmp_path, required_keys=(), read_env_file=False).evaluation.vrp_good == 1.5


def test_what_is_left_of_wrong_settings_names_those_that_are_not_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(
            {"DB_PATH": "mine.db", "TRADIER_BASE_URL": "http://elsewhere/"}, tmp_path, required_keys=(Provider.TRADIER,)
        )
    assert raised.value.faults.doubtful == {"TRADIER_BASE_URL"}
    assert raised.value.standing.storage.path == tmp_path / "mine.db"
    assert len(raised.value.faults.problems) == 3


def test_after_a_file_that_was_not_read_every_setting_is_in_doubt_that_stands_nowhere_else(tmp_path: Path) -> None:
    write_env(tmp_path, "DB_PATH=theirs.db\n").chmod(0o644)
    with pytest.raises(ConfigurationError) as raised:
        load_settings({"CACHE_PATH": "cache.db"}, tmp_path, required_keys=())
    assert {"DB_PATH", "TRADIER_API_KEY"} <= raised.value.faults.doubtful
    assert "CACHE_PATH" not in raised.value.faults.doubtful
