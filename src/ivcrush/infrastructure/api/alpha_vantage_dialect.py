"""What Alpha Vantage's answers mean: every error is a status 200 with a JSON object, on CSV endpoints too.

Classified by the top-level member and then by its words, in an order that matters: the text about one request a second
also speaks of 25 a day. Words inside CSV rows are never looked at. Knows no endpoint and reads no clock.
"""

import re
from collections.abc import Mapping

import msgspec

from ivcrush.domain.errors import AppError, Err, ErrorCode
from ivcrush.infrastructure.api.dialect import Answer, RateHeaders, Verdict
from ivcrush.infrastructure.api.json_wire import decode, top_level

_COMPLAINTS = ("Information", "Note", "Error Message")
_CSV_HEADER = re.compile(rb"[^\s,{<\[][^\r\n]*,")  # columns come and go: which are needed, the parser knows
_SAYS_NOTHING = frozenset({"symbol", "endpoint"})  # a lone symbol means that there is no data for it

_PER_SECOND = Verdict(
    AppError(ErrorCode.RATELIMIT, "Alpha Vantage refused for going faster than its limit a second"),
    again=True,
    wait_s=1.2,
)
_PER_MINUTE = Verdict(
    AppError(ErrorCode.RATELIMIT, "Alpha Vantage refused for going faster than its limit a minute"),
    again=True,
    wait_s=60.0,
)
_PER_DAY = Verdict(AppError(ErrorCode.QUOTA, "Alpha Vantage's requests of the day are spent"), ends_provider=True)
_PREMIUM = Verdict(AppError(ErrorCode.EXTERNAL, "Alpha Vantage's plan of this key does not include this (premium)"))
_DEMO_KEY = Verdict(
    AppError(ErrorCode.CONFIG, "Alpha Vantage's demo key answers its examples only, a key of your own is needed"),
    ends_provider=True,
)
_KEY_REFUSED = Verdict(
    AppError(ErrorCode.AUTH, "Alpha Vantage refused the key (ALPHA_VANTAGE_KEY)"), ends_provider=True
)
_CUT = Verdict(AppError(ErrorCode.EXTERNAL, "Alpha Vantage's CSV ends within a line"), again=True, sick=True)
_UNKNOWN_SYMBOL = Verdict(AppError(ErrorCode.NODATA, "Alpha Vantage knows no such symbol"))

_BY_WORDS = (
    ("per second", _PER_SECOND),
    ("burst pattern", _PER_SECOND),
    ("per minute and", _PER_MINUTE),  # the old limit: "5 calls per minute and 500 calls per day"
    ("demo** api key", _DEMO_KEY),
    ("apikey is invalid", _KEY_REFUSED),
    ("premium endpoint", _PREMIUM),
    ("premium feature", _PREMIUM),
    ("per day", _PER_DAY),
    ("per minute", _PER_MINUTE),
    ("invalid api call", _UNKNOWN_SYMBOL),
)


class AlphaVantageDialect:
    """Alpha Vantage's `/query`, JSON and CSV."""

    def judge(self, answer: Answer) -> Verdict:
        """Data, a passing failure, or a lasting one."""
        if answer.status != 200:
            error = AppError(ErrorCode.EXTERNAL, f"Alpha Vantage failed with status {answer.status}")
            if answer.status == 429:
                return Verdict(AppError(ErrorCode.RATELIMIT, error.message), again=True, wait_s=60.0)
            return Verdict(error, again=answer.status >= 500, sick=answer.status >= 500)
        if _CSV_HEADER.match(answer.body):  # a cut JSON shows itself; every CSV recorded ends its last line
            return Verdict() if answer.body.endswith(b"\n") else _CUT
        members = top_level(answer.body)
        if isinstance(members, Err):
            what = "nothing" if not answer.body.strip() else "neither JSON nor CSV"
            return Verdict(AppError(ErrorCode.EXTERNAL, f"Alpha Vantage answered with {what}"), again=True, sick=True)
        return _judge_members(members.value)

    def rate_headers(self, headers: Mapping[str, str]) -> RateHeaders | None:  # noqa: ARG002
        """None: Alpha Vantage sends none."""
        return None


def _judge_members(members: Mapping[str, msgspec.Raw]) -> Verdict:
    texts = {name: text for name, raw in members.items() if (text := _text(raw)) is not None}
    said = " ".join(texts[name] for name in _COMPLAINTS if name in texts)
    if not said and texts.get("message", "success") != "success":
        return Verdict(AppError(ErrorCode.EXTERNAL, "Alpha Vantage sent its invented sample instead of data (premium)"))
    if not said and len(members) == 1 and len(texts) == 1 and not texts.keys() & _SAYS_NOTHING:
        said = next(iter(texts.values()))
    if not said:
        return Verdict()
    lowered = said.lower()
    for words, verdict in _BY_WORDS:
        if words in lowered:
            return verdict
    return Verdict(AppError(ErrorCode.EXTERNAL, f"Alpha Vantage answered: {said}"))


def _text(raw: msgspec.Raw) -> str | None:
    if not bytes(raw).startswith(b'"'):
        return None
    text = decode(raw, str)
    return bytes(raw).decode("utf-8", "replace") if isinstance(text, Err) else text.value
