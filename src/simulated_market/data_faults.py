"""Faults inside good data: wrong numbers, missing fields, duplicate rows, changed shapes.

Each works on the rows of a Tradier answer (options, quotes, bars) or on a CSV or JSON body of Alpha Vantage's, and
touches the rows that a seeded draw on the row's own name selects.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import cast

from simulated_market.seeding import uniform
from simulated_market.switches import FaultRule

Row = dict[str, object]
_PRICES = frozenset({"bid", "ask", "last", "open", "high", "low", "close", "amount", "reportedEPS", "price"})
_CONTAINERS = (("options", "option"), ("quotes", "quote"), ("history", "day"), ("series", "data"))
_NAMES = ("symbol", "date", "time", "fiscalDateEnding", "ex_dividend_date", "effective_date")
_LISTS = ("quarterlyEarnings", "data")  # Alpha Vantage's
_SERIES = "Time Series (Daily)"
# A formula, a terminal's colour, a reversed reading direction, a line break and markup: what a name must never do.
HOSTILE_TEXT = '=HYPERLINK("http://x.invalid")\x1b[31m\u202e<b>|`\nsecond line'
_THREE_DAYS_MS = 3 * 86_400_000


def with_data_fault(answer: object, rule: FaultRule, seed: int) -> object:
    """A copy of `answer` with the fault of `rule` in a `share` of its rows; unchanged where it has no rows."""
    if rule.fault not in DATA_FAULTS or not isinstance(answer, dict):
        return answer
    changed = cast("dict[str, object]", deepcopy(answer))
    for outer, inner in _CONTAINERS:
        container = changed.get(outer)
        if isinstance(container, dict) and inner in container:
            found = container[inner]
            rows = found if isinstance(found, list) else [found]
            container[inner] = [new for row in rows for new in _touched(row, rule, seed)]
    for name in _LISTS:
        listed = changed.get(name)
        if isinstance(listed, list):
            changed[name] = [new for row in listed for new in _touched(row, rule, seed)]
    series = changed.get(_SERIES)
    if isinstance(series, dict):
        changed[_SERIES] = {day: new for day, row in series.items() for new in _touched(row, rule, seed, day)}
    return changed


def _touched(row: Row, rule: FaultRule, seed: int, name: str = "") -> list[Row]:
    name = name or str(next((row[key] for key in _NAMES if key in row), ""))
    if uniform(seed, rule.fault, name) >= rule.share:
        return [row]
    return DATA_FAULTS[rule.fault](row)


def _set(**values: object) -> Callable[[Row], list[Row]]:
    """Overwrites the named fields that the row has."""

    def change(row: Row) -> list[Row]:
        return [row | {name: value for name, value in values.items() if name in row}]

    return change


def _each_price(convert: Callable[[object], object]) -> Callable[[Row], list[Row]]:
    def change(row: Row) -> list[Row]:
        return [row | {name: convert(value) for name, value in row.items() if _is_price(name) and value is not None}]

    return change


def _is_price(name: str) -> bool:
    """A price field, also under Alpha Vantage's numbering (`4. close`)."""
    return name in _PRICES or name.partition(". ")[2] in _PRICES


def _without(*names: str) -> Callable[[Row], list[Row]]:
    def change(row: Row) -> list[Row]:
        return [{name: value for name, value in row.items() if name not in names}]

    return change


def _negative(value: object) -> object:
    number = -abs(float(cast("float", value))) - 0.01
    return f"{number:.4f}" if isinstance(value, str) else number


def _crossed(row: Row) -> list[Row]:
    return [row | {"bid": row["ask"], "ask": row["bid"]} if "bid" in row and row["bid"] != row["ask"] else row]


def _stale(row: Row) -> list[Row]:
    moments = {name: row[name] for name in ("trade_date", "bid_date", "ask_date") if name in row}
    return [row | {name: max(int(cast("int", moment)) - _THREE_DAYS_MS, 0) for name, moment in moments.items()}]


def _greeks(change: Callable[[Row], object]) -> Callable[[Row], list[Row]]:
    def apply(row: Row) -> list[Row]:
        greeks = row.get("greeks")
        return [row | {"greeks": change(greeks)} if isinstance(greeks, dict) else row]

    return apply


def _zero_greeks(greeks: Row) -> object:
    return {name: value if name == "updated_at" else 0.0 for name, value in greeks.items()}


def _other_type(row: Row) -> list[Row]:
    """A number becomes an object, as after a change of schema."""
    field = next((name for name in ("strike", "close", "4. close", "amount", "reportedEPS") if name in row), None)
    return [row if field is None else row | {field: {"value": row[field], "currency": "USD"}}]


def _mini(row: Row) -> list[Row]:
    return [row | {"contract_size": 10}] if "contract_size" in row else [row]


DATA_FAULTS: dict[str, Callable[[Row], list[Row]]] = {
    "nan_numbers": _each_price(lambda _: float("nan")),
    "infinite_numbers": _each_price(lambda _: float("inf")),
    "string_numbers": _each_price(str),
    "string_nan": _each_price(lambda _: "NaN"),
    "string_none": _each_price(lambda _: "None"),
    "string_dash": _each_price(lambda _: "-"),
    "string_comma": _each_price(lambda value: f"1,{value}"),
    "negative_numbers": _each_price(_negative),
    "null_quotes": _set(bid=None, ask=None),
    "zero_quotes": _set(bid=0.0, ask=0.0, bidsize=0, asksize=0),
    "one_sided_quotes": _set(bid=0.0, bidsize=0),
    "zero_ask": _set(ask=0.0),
    "crossed_quotes": _crossed,
    "stale_quotes": _stale,
    "null_volume": _set(volume=None),
    "null_open_interest": _set(open_interest=None),
    "no_open_interest": _without("open_interest"),
    "no_greeks": _without("greeks"),
    "null_greeks": _set(greeks=None),
    "zero_greeks": _greeks(_zero_greeks),
    "stale_greeks": _greeks(lambda greeks: greeks | {"updated_at": "2020-01-02 14:58:47"}),
    "new_field": lambda row: [row | {"simulated_new_field": {"nested": [1, 2]}}],
    "missing_field": _without("bid", "close", "4. close", "amount", "reportedDate"),
    "missing_strike": _without("strike"),
    "missing_row": lambda _: [],
    "type_change": _other_type,
    "duplicate_rows": lambda row: [row, dict(row)],
    "mini_contracts": _mini,
    "hostile_text": _set(description=HOSTILE_TEXT),
}
