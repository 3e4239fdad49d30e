"""What Tradier's answers mean: its statuses, its plain-text refusals, its faults, and its rate headers.

An answer is data only when it is status 200, JSON, and neither a fault nor an error; HTML with status 200 has been
seen (the documentation page, 2026-06). Knows no endpoint and reads no clock.
"""

import re
from collections.abc import Mapping

from ivcrush.domain.errors import AppError, Err, ErrorCode
from ivcrush.infrastructure.api.dialect import Answer, RateHeaders, Verdict
from ivcrush.infrastructure.api.json_wire import top_level
from ivcrush.utils.rate_limiter import MAX_SERVER_WAIT_S, epoch_seconds

_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")
_READ_OF_ERRORS = 4096
_COMPLAINTS = frozenset({"error", "errors", "fault"})
_TOKEN_FAULTS = ("access_token_expired", "invalid_access_token", "apiproduct")


class TradierDialect:
    """Tradier market data, production and sandbox alike."""

    def judge(self, answer: Answer) -> Verdict:
        """Data, a passing failure, or a lasting one; the provider's own words go into the message."""
        if answer.status == 200:
            return _judge_body(answer.body)
        said = answer.body[:_READ_OF_ERRORS].decode("utf-8", "replace")
        if answer.status == 429:
            return Verdict(
                _error(ErrorCode.RATELIMIT, "refused for going too fast"), again=True, wait_s=_wait_s(answer)
            )
        if answer.status == 401 or any(fault in said for fault in _TOKEN_FAULTS):
            return _token_refused(said)
        if "protocol.http.TooBigBody" in said:
            return Verdict(_error(ErrorCode.EXTERNAL, "was asked for too much at once"))
        if answer.status >= 500:
            return Verdict(_error(ErrorCode.EXTERNAL, f"failed with status {answer.status}"), again=True, sick=True)
        if answer.status == 404:  # seen for paths that exist
            return Verdict(_error(ErrorCode.EXTERNAL, "answered that there is no such page (404)"), again=True)
        if answer.status == 400:
            return Verdict(_error(ErrorCode.INVALID, f"refused the request: {said}"))
        return Verdict(_error(ErrorCode.EXTERNAL, f"answered with status {answer.status}: {said}"))

    def rate_headers(self, headers: Mapping[str, str]) -> RateHeaders | None:
        """The current clock minute by `X-Ratelimit-*`; None where one of them is missing or no plain number."""
        values = [_number(headers.get(f"x-ratelimit-{name}", "")) for name in ("allowed", "available", "expiry")]
        allowed, available, expires = values
        if allowed is None or available is None or expires is None:
            return None
        return RateHeaders(allowed, available, expires)


def _judge_body(body: bytes) -> Verdict:
    members = top_level(body)
    if isinstance(members, Err):
        what = "nothing" if not body.strip() else "HTML" if body.lstrip()[:1] == b"<" else "broken JSON"
        return Verdict(_error(ErrorCode.EXTERNAL, f"answered with {what} instead of JSON"), again=True, sick=True)
    said = {name: bytes(members.value[name]).decode("utf-8", "replace") for name in _COMPLAINTS & members.value.keys()}
    if not said:
        return Verdict()
    text = " ".join(said.values())
    if any(fault in text for fault in _TOKEN_FAULTS):
        return _token_refused(text)
    return Verdict(_error(ErrorCode.EXTERNAL, f"answered with an error: {text}"))


def _token_refused(said: str) -> Verdict:
    """A token is asked about twice, since the same call has been seen to succeed a moment later; then never again."""
    error = _error(ErrorCode.AUTH, f"token refused (TRADIER_API_KEY): {_fault_text(said)}")
    return Verdict(error, again=True, wait_s=1.0, tolerated=1, ends_provider=True)


def _fault_text(said: str) -> str:
    found = re.search(r'"faultstring"\s*:\s*"([^"]*)"', said)
    return said if found is None else found.group(1)


def _wait_s(answer: Answer) -> float:
    """Seconds to the end of the refused window: the body's last word, else the headers, else the end of the minute."""
    clocks = [clock.timestamp() for clock in (answer.served_at, answer.received_at) if clock is not None]
    words = answer.body[:_READ_OF_ERRORS].decode("utf-8", "replace").split()
    for told in (words[-1] if words else "", answer.headers.get("x-ratelimit-expiry", "")):
        expires = _number(told)
        left_s = [epoch_seconds(expires) - now for now in clocks if expires is not None]
        ahead_s = [min(left, MAX_SERVER_WAIT_S) for left in left_s if left > 0]
        if ahead_s:
            return min(ahead_s)
    asked_s = _number(answer.headers.get("retry-after", ""))
    if asked_s is not None and asked_s > 0:
        return min(asked_s, MAX_SERVER_WAIT_S)
    return 60.0 - clocks[0] % 60.0


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _error(code: ErrorCode, message: str) -> AppError:
    return AppError(code, f"Tradier {message}")
