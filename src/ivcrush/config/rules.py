"""What a setting's text must look like: each rule takes the text and gives the value, or raises ValueError.

The message of that error is the need as a person reads it (`a whole number from 1 to 10`); the text itself is never
in it, since it may be a secret. Stricter than Python about numbers: ASCII digits, no underscores, no NaN, no infinity.
"""

import ipaddress
import math
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

Choice = TypeVar("Choice", bound=StrEnum)

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,3})?")
_SECRET = re.compile(r"[!-~]{1,512}")
_HOST = re.compile(r"[0-9A-Za-z.:-]+")
_SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number from `low` to `high`, both included."""

    def rule(text: str) -> int:
        if _WHOLE.fullmatch(text) is None or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return rule


def number(low: float, high: float) -> Callable[[str], float]:
    """A finite number from `low` to `high`, both included."""

    def rule(text: str) -> float:
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not low <= value <= high:  # NaN is nowhere between
            raise ValueError(f"a number from {low:g} to {high:g}")
        return value

    return rule


def positive(high: float) -> Callable[[str], float]:
    """A finite number above 0, up to `high`."""
    inner = number(0.0, high)

    def rule(text: str) -> float:
        need = f"a number above 0, up to {high:g}"
        try:
            value = inner(text)
        except ValueError:
            raise ValueError(need) from None
        if value == 0:
            raise ValueError(need)
        return value

    return rule


def one_of(choices: type[Choice]) -> Callable[[str], Choice]:
    """One word of a closed set, in any case."""

    def rule(text: str) -> Choice:
        try:
            return choices(text.lower())
        except ValueError:
            raise ValueError("one of " + ", ".join(choices)) from None

    return rule


def switch(text: str) -> bool:
    """On or off."""
    if text.lower() not in _SWITCH:
        raise ValueError("true or false")
    return _SWITCH[text.lower()]


def log_level(text: str) -> str:
    """A level of the standard library's logging, in any case."""
    if text.upper() not in _LEVELS:
        raise ValueError("one of " + ", ".join(_LEVELS))
    return text.upper()


def secret(text: str) -> str:
    """A key or token: it goes into a header, so one line of visible ASCII and no spaces."""
    if _SECRET.fullmatch(text) is None:
        raise ValueError("one line of visible ASCII characters without spaces")
    return text


def file_path(text: str) -> Path:
    """A path of printable characters, `~` written out for the home directory."""
    need = "a path of printable characters"
    if not text.isprintable():
        raise ValueError(need)
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~nobody-like users without a home
        raise ValueError(need + " whose home directory exists") from None


def base_url(text: str) -> str:
    """An https URL, or an http one of this machine, holding no user, password or query; without its last slash."""
    need = "an https:// URL (http:// only for 127.0.0.1, [::1] or localhost) without user, password, query or fragment"
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 — raises for a port that is none
    except ValueError:
        raise ValueError(need) from None
    bare = text.isascii() and text.isprintable() and not any(sign in text for sign in " @?#\\")
    if not bare or not _is_trusted(parts):
        raise ValueError(need)
    return text.rstrip("/")


def _is_trusted(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if _HOST.fullmatch(host) is None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
