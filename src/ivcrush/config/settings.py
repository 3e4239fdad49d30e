"""The settings as the parts receive them: small frozen groups of values that are already valid.

Made by `validation.load_settings` alone. Nothing here reads a file or the environment, and only `cli` and the
container know `AppSettings`; everyone else is given the group or the value he needs.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ivcrush.domain.types import EvaluationSettings, ScanLimits
from ivcrush.utils.logging import LogFormat
from ivcrush.utils.rate_limiter import Window
from ivcrush.utils.retry import RetryPolicy


class Provider(StrEnum):
    """Who is asked; the words are those of the health checks."""

    TRADIER = "tradier"
    ALPHA_VANTAGE = "alpha_vantage"


_HOW_TO_GET_A_KEY = {
    Provider.TRADIER: ("TRADIER_API_KEY", "a token from a Tradier account's settings, API access"),
    Provider.ALPHA_VANTAGE: ("ALPHA_VANTAGE_KEY", "a key from alphavantage.co/support/#api-key"),
}


def missing_key(provider: Provider) -> str:
    """The line that tells a person which key is missing, where to get it and where to put it."""
    name, what = _HOW_TO_GET_A_KEY[provider]
    return f"{name} is not set: {what} is needed; put {name}=... into .env (chmod 600 .env) or the environment"


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """Where a provider is, what lets us in, and how often it may be asked.

    `base_url` has no trailing slash. `token` is None where none was given. `per_day` is None without a daily quota.
    """

    base_url: str
    token: str | None = field(repr=False)
    windows: tuple[Window, ...]
    per_day: int | None = None

    @property
    def per_minute(self) -> int:
        """Requests that a minute permits, by the narrowest window."""
        return int(min(window.limit * 60 / window.period_s for window in self.windows))


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where the database is (absolute), and how long a lock is waited for."""

    path: Path
    timeout_s: float


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The two levels of the reply cache; `path` (absolute) is the second one's file."""

    enabled: bool
    path: Path
    l1_ttl_s: float
    l1_max_size: int
    l2_ttl_s: float


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """How many failures in a row open a breaker, and after how long it is tried again."""

    failure_threshold: int
    recovery_s: float


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """How many requests are under way at once, and how long one may take from connecting to its last byte."""

    max_concurrent: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, how, and into which file (absolute) beside stderr."""

    level: str
    log_format: LogFormat
    file: Path | None


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with settings: `problems`, a line each, no secret in it.

    `doubtful` names those whose value is a default and was not meant to be: what depends on them is better not done.
    """

    problems: tuple[str, ...] = ()
    doubtful: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AppSettings:
    """Everything that can be set.

    `term_structure_depth` counts the expirations fetched from the event's on, None leaves it to the command.
    `warnings` are lines for the log about settings that are probably not meant so.
    """

    tradier: ProviderSettings
    alpha_vantage: ProviderSettings
    storage: StorageSettings
    cache: CacheSettings
    retry: RetryPolicy
    breaker: BreakerSettings
    requests: RequestSettings
    log: LogSettings
    evaluation: EvaluationSettings
    scan: ScanLimits
    term_structure_depth: int | None
    warnings: tuple[str, ...] = ()

    @property
    def rates_a_minute(self) -> tuple[int, int]:
        """Requests to Tradier and calls to Alpha Vantage that a minute permits."""
        return self.tradier.per_minute, self.alpha_vantage.per_minute

    @property
    def calls_a_day(self) -> int:
        """Calls to Alpha Vantage that a day permits."""
        assert self.alpha_vantage.per_day is not None
        return self.alpha_vantage.per_day

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, for the redactor."""
        tokens = (self.tradier.token, self.alpha_vantage.token)
        return tuple(token for token in tokens if token is not None)
