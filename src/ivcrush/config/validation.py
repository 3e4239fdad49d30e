"""From the environment to settings that work, or to the list of everything that does not.

All problems are found in one go, each one line: the name, the value (never a key's), where it stood and what is needed.
Nothing is created here: whether a database or log file could be is asked of the directories that exist.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ivcrush.config.places import default_places, runs_from_checkout
from ivcrush.config.settings import (
    AppSettings,
    BreakerSettings,
    CacheSettings,
    Faults,
    LogSettings,
    Provider,
    ProviderSettings,
    RequestSettings,
    StorageSettings,
    missing_key,
)
from ivcrush.config.sources import Gathered, Given, from_credentials, from_env_file, from_mapping
from ivcrush.domain.types import EvaluationSettings, ScanLimits
from ivcrush.utils.performance import track_performance
from ivcrush.utils.rate_limiter import Window
from ivcrush.utils.redaction import Redactor
from ivcrush.utils.retry import RetryPolicy
from ivcrush.utils.text import printable

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ivcrush.config.config import Settings


class ConfigurationError(Exception):
    """The settings cannot work; `faults` says why.

    `standing` is what is left of them, a default in the place of each one that is wrong, for whoever only looks.
    `storage_alone`: the settings are right, and a file that they name cannot be written.
    """

    def __init__(self, faults: Faults, standing: AppSettings, *, storage_alone: bool = False) -> None:
        super().__init__("\n".join(faults.problems))
        self.faults = faults
        self.standing = standing
        self.storage_alone = storage_alone

    @property
    def problems(self) -> tuple[str, ...]:
        """Why they cannot work, a line each, with no secret in it."""
        return self.faults.problems


@track_performance(name="settings loading", threshold_s=1.0)
def load_settings(
    environ: Mapping[str, str],
    working_directory: Path,
    *,
    required_keys: Collection[Provider],
    overrides: Mapping[str, str] | None = None,
    read_env_file: bool = True,
) -> AppSettings:
    """The settings of this process: overrides, else the environment, else systemd's credentials, else `.env`.

    A variable that is set but empty means the default, and hides what the sources after it say. Relative paths are
    taken from `working_directory`; without `read_env_file` its `.env` is not even opened. Raises ConfigurationError
    with every problem found.
    """
    from ivcrush.config.config import NAMES, SECRET_NAMES

    prescribed = {} if overrides is None else overrides
    if not set(prescribed) <= set(NAMES):
        raise ValueError(f"no such settings: {sorted(set(prescribed) - set(NAMES))}")
    env_file = from_env_file(working_directory / ".env", NAMES) if read_env_file else Gathered({})
    credentials = _credentials(environ, SECRET_NAMES)
    environment = from_mapping(environ, NAMES, "environment")
    sources = (env_file, credentials, environment, from_mapping(prescribed, NAMES, "prescribed"))
    given = {name: value for source in sources for name, value in source.given.items()}
    settings, faults = _build({name: value for name, value in given.items() if value.text != ""})
    paths = _paths(settings, environ, working_directory)
    problems = [problem for source in sources for problem in source.problems]
    problems += [_problem(name, given[name], need, secret=name in SECRET_NAMES) for name, need in faults.items()]
    problems += [need for names, need in _contradictions(settings) if not names & faults.keys()]
    problems += [need for name, need in _shared_paths(paths) if name not in faults]
    unwritable = [need for name, need in _unwritable_paths(paths) if name not in faults]
    unread = bool(env_file.problems or credentials.problems)
    if not unread:  # else the key may well be there
        problems += _missing_keys(settings, required_keys, given, faults)
    view = _view(settings, paths, env_file.warnings)
    if problems or unwritable:
        redact = Redactor(given[name].text for name in SECRET_NAMES & given.keys())
        doubtful = frozenset(faults) | (frozenset(NAMES) - given.keys() if unread else frozenset())
        found = Faults(tuple(map(redact, [*problems, *unwritable])), doubtful)
        raise ConfigurationError(found, view, storage_alone=not problems)
    return view


def _credentials(environ: Mapping[str, str], names: Collection[str]) -> Gathered:
    directory = environ.get("CREDENTIALS_DIRECTORY", "")
    return from_credentials(Path(directory), sorted(names)) if directory else Gathered({})


def _build(given: Mapping[str, Given]) -> tuple["Settings", dict[str, str]]:
    """The settings, with the default in the place of what breaks its rule, and the need of each such one by name."""
    from pydantic import ValidationError

    from ivcrush.config.config import Settings

    texts = {name.lower(): value.text for name, value in given.items()}
    try:
        return Settings.model_validate(texts), {}
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    faults = {str(fault["loc"][0]).upper(): str(fault["ctx"]["error"]) for fault in found}
    kept = {name: text for name, text in texts.items() if name.upper() not in faults}
    return Settings.model_validate(kept), faults


def _problem(name: str, given: Given, need: str, *, secret: bool) -> str:
    # What is wrong about a URL may be the password in it.
    text = re.sub(r"[?#].*", "?***", re.sub(r".*@", "***@", given.text, flags=re.DOTALL), flags=re.DOTALL)
    shown = name if secret else f"{name}={printable(text, 80)}"
    return f"{shown} ({given.origin}): {need} is needed"


def _contradictions(settings: "Settings") -> Iterator[tuple[frozenset[str], str]]:
    """What is wrong between settings that are right each by itself: the names it is about, and the line."""
    excellent, good, marginal = settings.vrp_excellent, settings.vrp_good, settings.vrp_marginal
    if not excellent > good > marginal:
        shown = f"VRP_EXCELLENT={excellent:g}, VRP_GOOD={good:g}, VRP_MARGINAL={marginal:g}"
        names = frozenset({"VRP_EXCELLENT", "VRP_GOOD", "VRP_MARGINAL"})
        yield names, f"{shown}: each must be above the next one"
    if settings.min_historical_quarters > settings.max_historical_quarters:
        least, most = settings.min_historical_quarters, settings.max_historical_quarters
        shown = f"MIN_HISTORICAL_QUARTERS={least}, MAX_HISTORICAL_QUARTERS={most}"
        names = frozenset({"MIN_HISTORICAL_QUARTERS", "MAX_HISTORICAL_QUARTERS"})
        yield names, f"{shown}: the first may not be above the second"
    if settings.retry_backoff_base > settings.retry_max_backoff:
        shown = f"RETRY_BACKOFF_BASE={settings.retry_backoff_base:g}, RETRY_MAX_BACKOFF={settings.retry_max_backoff:g}"
        yield frozenset({"RETRY_BACKOFF_BASE", "RETRY_MAX_BACKOFF"}), f"{shown}: the first may not be above the second"


def _missing_keys(
    settings: "Settings", required: Collection[Provider], given: Mapping[str, Given], faults: Mapping[str, str]
) -> Iterator[str]:
    """Every missing key once one of them is required: who begins fills them in at one go, not one a run."""
    keys = {
        Provider.TRADIER: ("TRADIER_API_KEY", settings.tradier_api_key),
        Provider.ALPHA_VANTAGE: ("ALPHA_VANTAGE_KEY", settings.alpha_vantage_key),
    }
    missing = {provider: name for provider, (name, key) in keys.items() if key is None and name not in faults}
    if not missing.keys() & set(required):
        return
    for provider, name in missing.items():
        emptied = f" ({given[name].origin} sets it to nothing)" if name in given else ""
        spared = "" if provider in required else "; this command does without where all that it asks for is stored"
        yield missing_key(provider) + emptied + spared


def _paths(settings: "Settings", environ: Mapping[str, str], working_directory: Path) -> dict[str, Path]:
    """The absolute path of each file, by the setting's name; a database that is named has its cache beside it."""
    places = default_places(environ, working_directory, in_checkout=runs_from_checkout())
    database = settings.db_path or places.data / "ivcrush.db"
    beside = places.cache if settings.db_path is None else database.parent
    chosen = {"DB_PATH": database, "CACHE_PATH": settings.cache_path or beside / f"{database.stem}-cache.db"}
    if settings.log_file is not None:
        chosen["LOG_FILE"] = settings.log_file
    return {name: working_directory / path for name, path in chosen.items()}


def _shared_paths(paths: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        if path in seen and _unwritable(path) is None:
            yield name, f"{name}={printable(str(path), 200)}: is the file of {seen[path]} too; one of its own is needed"
        seen.setdefault(path, name)


def _unwritable_paths(paths: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    for name, path in paths.items():
        reason = _unwritable(path)
        if reason is not None:
            yield name, f"{name}={printable(str(path), 200)}: {reason}"


def _unwritable(path: Path) -> str | None:
    """Why no file could be written there. A file that exists is for those who open it to judge: it may be read only."""
    try:
        if path.exists():
            return "is a directory; a file name is needed" if path.is_dir() else None
        nearest = next(parent for parent in path.parents if parent.exists())
    except OSError as error:
        return f"{error.strerror}; a path that can be reached is needed"
    if not nearest.is_dir():
        return f"{nearest} is no directory"
    if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return f"the directory {nearest} cannot be written; a writable one is needed"
    return None


def _view(settings: "Settings", paths: Mapping[str, Path], warnings: tuple[str, ...]) -> AppSettings:
    return AppSettings(
        tradier=ProviderSettings(
            base_url=settings.tradier_base_url,
            token=_revealed(settings.tradier_api_key),
            windows=(Window(settings.tradier_per_minute, 60.0),),
        ),
        alpha_vantage=ProviderSettings(
            base_url=settings.alpha_vantage_base_url,
            token=_revealed(settings.alpha_vantage_key),
            windows=(Window(settings.alpha_vantage_per_second, 1.0), Window(settings.alpha_vantage_per_minute, 60.0)),
            per_day=settings.alpha_vantage_per_day,
        ),
        storage=StorageSettings(path=paths["DB_PATH"], timeout_s=settings.db_timeout),
        cache=CacheSettings(
            enabled=settings.cache_enabled,
            path=paths["CACHE_PATH"],
            l1_ttl_s=settings.cache_l1_ttl,
            l1_max_size=settings.cache_l1_max_size,
            l2_ttl_s=settings.cache_l2_ttl,
        ),
        retry=RetryPolicy(settings.retry_max_attempts, settings.retry_backoff_base, settings.retry_max_backoff),
        breaker=BreakerSettings(
            failure_threshold=settings.circuit_breaker_failure_threshold,
            recovery_s=settings.circuit_breaker_recovery_timeout,
        ),
        requests=RequestSettings(max_concurrent=settings.max_concurrent_requests, timeout_s=settings.request_timeout),
        log=LogSettings(level=settings.log_level, log_format=settings.log_format, file=paths.get("LOG_FILE")),
        evaluation=_evaluation(settings),
        scan=ScanLimits(settings.min_market_cap_millions, settings.min_dollar_volume_millions),
        term_structure_depth=settings.term_structure_depth,
        warnings=warnings,
    )


def _evaluation(settings: "Settings") -> EvaluationSettings:
    return EvaluationSettings(
        vrp_excellent=settings.vrp_excellent,
        vrp_good=settings.vrp_good,
        vrp_marginal=settings.vrp_marginal,
        min_open_interest=settings.min_open_interest,
        max_spread_pct=settings.max_spread_pct,
        min_quarters=settings.min_historical_quarters,
        max_quarters=settings.max_historical_quarters,
        risk_free_rate_pct=settings.risk_free_rate_pct,
        measure=settings.move_measure,
    )


def _revealed(key: "SecretStr | None") -> str | None:
    return None if key is None else key.get_secret_value()
