"""Every way to make the simulated market behave like a bad day: dialect options and a declarative list of faults.

Values only; the dialects and the server read them. A `Switches` comes from code, from a JSON file or from POST
/_switches.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

_WORDS: dict[str, tuple[str | None, ...]] = {
    "rate_expiry_unit": ("ms", "s"),
    "nothing_found": ("null", "empty_object", "missing", "null_string", "empty_list"),
    "session_state": (None, "closed", "premarket", "open", "postmarket"),
    "line_ending": ("crlf", "lf"),
}


@dataclass(frozen=True, slots=True)
class FaultRule:
    """When one named fault strikes.

    `path` is a path suffix or an Alpha Vantage function, `symbol` a ticker or contract; None means any. `nth` and
    `every` count the requests that match the rule, from 1, in order of arrival; `attempts` counts repetitions of one
    and the same request, so that it and `probability` strike the same tickers at any concurrency. `from_s` and
    `until_s` are seconds since the switches were set. `share` is the part of the rows that a data fault touches.
    """

    fault: str
    path: str | None = None
    symbol: str | None = None
    nth: int | None = None
    every: int | None = None
    attempts: tuple[int, ...] | None = None
    probability: float = 1.0
    from_s: float = 0.0
    until_s: float | None = None
    share: float = 1.0

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Self:
        """A rule from a JSON object; ValueError names an unknown field or fault-less rule."""
        return cls(**_checked(cls, values))  # type: ignore[arg-type]  # the field's own type is the caller's word


@dataclass(frozen=True, slots=True)
class Switches:
    """All options, each at what the real service does or, where a limit would only slow a demonstration, at off."""

    seed: int = 0
    faults: tuple[FaultRule, ...] = ()
    # time and pace
    latency_ms: float = 0.0
    latency_jitter_ms: float = 0.0
    date_header_offset_s: float = 0.0
    # access
    valid_token: str | None = None  # None: any non-empty bearer
    valid_key: str | None = None  # None: any non-empty key but "demo"
    # Tradier
    rate_limit: int | None = None  # requests a window; None: unlimited, the header says 100000
    rate_window_s: float = 60.0
    rate_expiry_unit: str = "ms"  # or "s"
    rate_headers: bool = True
    collapse_single: bool = True
    nothing_found: str = "null"  # or "empty_object", "missing", "null_string", "empty_list"
    sandbox_delay_s: int = 0
    session_state: str | None = None  # forces the clock's state
    early_close_today: bool = False
    beta_calendars: bool = False
    unmatched: tuple[str, ...] = ()
    adjusted_root: tuple[str, ...] = ("GS",)
    empty_chains_after_hours: bool = False
    # Alpha Vantage
    per_second: int | None = None
    per_day: int | None = None
    premium: bool = False
    dirty_earnings: bool = False
    calendar_time_column: bool = True
    calendar_weekend_dates: bool = False
    hostile_names: bool = False
    line_ending: str = "crlf"  # or "lf"
    byte_order_mark: bool = False
    splits: tuple[tuple[str, str, float], ...] = ()  # (symbol, ISO date, factor) beyond the world's own

    def __post_init__(self) -> None:
        for name, allowed in _WORDS.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"Switches: {name} is {value!r}, one of {', '.join(map(str, allowed))} is needed")

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Self:
        """Switches from a JSON object with these field names; ValueError names an unknown one."""
        checked = _checked(cls, values)
        rules = checked.get("faults", ())
        if not isinstance(rules, tuple):
            raise ValueError(f"faults: {rules!r} is no list")  # noqa: TRY004 - one kind of error for one bad file
        built = checked | {"faults": tuple(FaultRule.from_json(rule) for rule in rules)}
        return cls(**built)  # type: ignore[arg-type]  # the field's own type is the caller's word


def _checked(kind: type, values: Mapping[str, object]) -> dict[str, object]:
    if not isinstance(values, Mapping):
        raise ValueError(f"{kind.__name__}: {values!r} is no object")  # noqa: TRY004 - one kind of error for one bad file
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{kind.__name__}: unknown field {', '.join(unknown)}")
    return {name: _frozen(value) for name, value in values.items()}


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
