"""Every setting, once: its name (in capitals in `.env` and the environment), its rule and its default.

The only module that imports pydantic, so it is imported where settings are loaded and nowhere else: a `--help` must not
pay for it. Where the texts come from, and what is wrong between two settings, is not decided here but in `sources` and
`validation`. `.env.example` says the same for people; a test holds the two equal.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ivcrush.config import rules
from ivcrush.domain.enums import MoveMeasure
from ivcrush.utils.logging import LogFormat

_MANY = 1_000_000

Secret = Annotated[SecretStr, BeforeValidator(rules.secret)]
Url = Annotated[str, BeforeValidator(rules.base_url)]
FilePath = Annotated[Path, BeforeValidator(rules.file_path)]
Rate = Annotated[int, BeforeValidator(rules.whole(1, _MANY))]
Lifetime = Annotated[float, BeforeValidator(rules.positive(86_400))]
Threshold = Annotated[float, BeforeValidator(rules.positive(100))]
Millions = Annotated[float, BeforeValidator(rules.number(0, 100_000_000))]
Quarters = Annotated[int, BeforeValidator(rules.whole(2, 80))]


class Settings(BaseSettings):
    """All settings, valid each by itself; units and meanings stand in `.env.example` and in `settings`."""

    # The rules take texts, so the defaults, which are values, do not pass through them.
    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)

    tradier_api_key: Secret | None = None
    tradier_base_url: Url = "https://api.tradier.com/v1"
    alpha_vantage_key: Secret | None = None
    alpha_vantage_base_url: Url = "https://www.alphavantage.co/query"

    db_path: FilePath | None = None
    db_timeout: Annotated[float, BeforeValidator(rules.number(0, 300))] = 5.0

    cache_enabled: Annotated[bool, BeforeValidator(rules.switch)] = True
    cache_path: FilePath | None = None
    cache_l1_ttl: Lifetime = 30.0
    cache_l1_max_size: Annotated[int, BeforeValidator(rules.whole(1, _MANY))] = 1000
    cache_l2_ttl: Lifetime = 300.0

    move_measure: Annotated[MoveMeasure, BeforeValidator(rules.one_of(MoveMeasure))] = MoveMeasure.CLOSE_TO_CLOSE
    vrp_excellent: Threshold = 2.0
    vrp_good: Threshold = 1.5
    vrp_marginal: Threshold = 1.2
    min_historical_quarters: Quarters = 4
    max_historical_quarters: Quarters = 12
    min_open_interest: Annotated[int, BeforeValidator(rules.whole(0, 1_000_000_000))] = 50
    max_spread_pct: Annotated[float, BeforeValidator(rules.positive(200))] = 20.0
    min_market_cap_millions: Millions = 0.0
    min_dollar_volume_millions: Millions = 1.0
    risk_free_rate_pct: Annotated[float, BeforeValidator(rules.number(-5, 50))] = 4.0
    term_structure_depth: Annotated[int, BeforeValidator(rules.whole(1, 50))] | None = None

    tradier_per_minute: Rate = 120
    alpha_vantage_per_second: Rate = 1
    alpha_vantage_per_minute: Rate = 5
    alpha_vantage_per_day: Rate = 25
    max_concurrent_requests: Annotated[int, BeforeValidator(rules.whole(1, 100))] = 10
    request_timeout: Annotated[float, BeforeValidator(rules.positive(600))] = 30.0
    retry_max_attempts: Annotated[int, BeforeValidator(rules.whole(1, 10))] = 3
    retry_backoff_base: Annotated[float, BeforeValidator(rules.positive(60))] = 2.0
    retry_max_backoff: Annotated[float, BeforeValidator(rules.positive(600))] = 60.0
    circuit_breaker_failure_threshold: Annotated[int, BeforeValidator(rules.whole(1, 1000))] = 5
    circuit_breaker_recovery_timeout: Annotated[float, BeforeValidator(rules.positive(3600))] = 60.0

    log_level: Annotated[str, BeforeValidator(rules.log_level)] = "INFO"
    log_file: FilePath | None = None
    log_format: Annotated[LogFormat, BeforeValidator(rules.one_of(LogFormat))] = LogFormat.TEXT

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 — the names are the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the caller hands over.

        The library's own sources would open `.env` again after its owner and mode were checked, expand `${...}` inside
        tokens, and forget which line a value came from.
        """
        return (init_settings,)


NAMES = tuple(name.upper() for name in Settings.model_fields)
SECRET_NAMES = frozenset({"TRADIER_API_KEY", "ALPHA_VANTAGE_KEY"})
