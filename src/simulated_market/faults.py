"""Which fault strikes which request, and what each whole-reply fault looks like on the wire.

The decision is a pure function of (seed, rule, request, attempt), except for rules that count arrivals (`nth`, `every`)
or seconds, which say so. Faults inside otherwise good data live in `data_faults`.
"""

import struct
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from simulated_market.alpha_vantage import PREMIUM_URL, information, invalid_call, json_reply
from simulated_market.data_faults import DATA_FAULTS
from simulated_market.messages import Framing, Reply, Request, encode_json
from simulated_market.seeding import uniform
from simulated_market.switches import FaultRule, Switches

_HTML_DOCS = (
    b"<!DOCTYPE html><html><head><title>Tradier API</title></head><body>Documentation (simulated)</body></html>"
)
_HUGE_BYTES = 10_000_000
_BOMB_BYTES = 200_000_000
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x03\x00"  # empty and final


class Conduct(Enum):
    """How a reply is sent."""

    NORMAL = "normal"
    DRIP = "drip"  # one byte at a time, from the status line on
    DRIP_BODY = "drip_body"
    SILENT = "silent"  # accepts the request and never answers
    TRUNCATE = "truncate"  # half of the body, then a close, whatever the framing promised
    EMPTY = "empty"  # closes without a byte
    RESET = "reset"  # resets before a byte
    RESET_IN_HEADERS = "reset_in_headers"
    RESET_IN_BODY = "reset_in_body"
    ENDLESS = "endless"  # chunks for ever


CONDUCTS: dict[str, tuple[Conduct, Framing | None]] = {
    "drip": (Conduct.DRIP, None),
    "drip_body": (Conduct.DRIP_BODY, None),
    "silent": (Conduct.SILENT, None),
    "truncate_length": (Conduct.TRUNCATE, Framing.LENGTH),
    "truncate_chunked": (Conduct.TRUNCATE, Framing.CHUNKED),
    "truncate_without_length": (Conduct.TRUNCATE, Framing.UNTIL_CLOSE),
    "empty_reply": (Conduct.EMPTY, None),
    "reset_before": (Conduct.RESET, None),
    "reset_in_headers": (Conduct.RESET_IN_HEADERS, None),
    "reset_in_body": (Conduct.RESET_IN_BODY, None),
    "endless_chunks": (Conduct.ENDLESS, None),
}


@dataclass(slots=True)
class FaultBook:
    """The rules of one set of switches with their counters; `strikes` is asked once a request, in order of arrival."""

    switches: Switches
    started_s: float
    _matches: Counter[int]
    _attempts: Counter[str]

    @classmethod
    def open(cls, switches: Switches, now_s: float) -> "FaultBook":
        """A fresh book: counters at zero, time spans from `now_s`. ValueError names an unknown fault."""
        unknown = sorted({rule.fault for rule in switches.faults} - set(FAULT_NAMES))
        if unknown:
            raise ValueError(f"unknown fault {', '.join(unknown)}; known: {', '.join(FAULT_NAMES)}")
        return cls(switches, now_s, Counter(), Counter())

    def strikes(self, request: Request, now_s: float) -> tuple[FaultRule, ...]:
        """The rules that strike this request."""
        if not self.switches.faults:
            return ()
        identity = request.identity
        self._attempts[identity] += 1
        attempt, elapsed = self._attempts[identity], now_s - self.started_s
        return tuple(
            rule
            for number, rule in enumerate(self.switches.faults)
            if self._matching(number, rule, request) and self._due(number, rule, identity, attempt, elapsed)
        )

    def _matching(self, number: int, rule: FaultRule, request: Request) -> bool:
        on_path = rule.path is None or request.path.endswith(rule.path) or request.function == rule.path.upper()
        fits = on_path and (rule.symbol is None or rule.symbol in request.symbols)
        self._matches[number] += fits
        return fits

    def _due(self, number: int, rule: FaultRule, identity: str, attempt: int, elapsed_s: float) -> bool:
        arrival = self._matches[number]
        counted = (rule.nth is None or arrival == rule.nth) and (rule.every is None or arrival % rule.every == 0)
        timely = elapsed_s >= rule.from_s and (rule.until_s is None or elapsed_s < rule.until_s)
        repeated = rule.attempts is None or attempt in rule.attempts
        return counted and timely and repeated and self._drawn(number, rule, identity, attempt)

    def _drawn(self, number: int, rule: FaultRule, identity: str, attempt: int) -> bool:
        if rule.probability >= 1.0:
            return True
        return uniform(self.switches.seed, "fault", str(number), identity, str(attempt)) < rule.probability


def whole_reply(fault: str, *, key: str, expiry: str) -> Reply | None:
    """The reply that `fault` puts in place of the answer, None where the fault leaves the answer alone.

    `key` is the caller's Alpha Vantage key (one body echoes it), `expiry` the end of the rate window as the headers
    give it.
    """
    if fault in _FIXED:
        return _FIXED[fault]
    match fault:
        case "429":
            return quota_violation(expiry)
        case "daily_quota":
            return json_reply(information(daily_quota_text(key)))
        case "huge_body":
            return Reply(
                b'{"options":{"option":[' + b'{"symbol":"SIMULATED"},' * (_HUGE_BYTES // 23) + b'{"symbol":""}]}}'
            )
        case "gzip_bomb":
            return Reply(_bomb(), headers=(("Content-Encoding", "gzip"),), framing=Framing.LENGTH)
    return None


def quota_violation(expiry: str) -> Reply:
    """Tradier's 429: the last word of the text is the end of the window."""
    return _text(429, f"Quota Violation. Rate limit reached (simulated), window ends {expiry}", "Too Many Requests")


def _quota_until(expiry: str) -> Reply:
    """A 429 whose text and header agree on an unusual end of the window."""
    return replace(quota_violation(expiry), headers=(("X-Ratelimit-Expiry", expiry),))


def _quota_retry_after(value: str) -> Reply:
    return _text(429, "Quota Violation", "Too Many Requests", headers=(("Retry-After", value),))


def daily_quota_text(key: str) -> str:
    """Alpha Vantage's daily refusal, which echoes the key."""
    words = f"We have detected your API key as {key} and our standard API rate limit is 25 requests per day."
    plans = f"Please subscribe to any of the premium plans at {PREMIUM_URL} to instantly remove all daily rate limits."
    return f"{words} {plans}"


def refused_token() -> Reply:
    """Tradier's 401 as recorded: a misspelt type, a length, no rate headers."""
    return Reply(b"Invalid Access Token", 401, "Unauthorized", "plain/text", (), Framing.LENGTH, rate_headers=False)


def no_product() -> Reply:
    """Tradier's 401 for a product the token has no right to."""
    return _text(401, "Invalid API call as no apiproduct match found", "Unauthorized")


def per_second_text() -> str:
    """Alpha Vantage's burst refusal, which speaks of the daily limit too."""
    return (
        "Thank you for using Alpha Vantage! Please consider spreading out your free API requests more sparingly "
        f"(1 request per second). You may subscribe to any of the premium plans at {PREMIUM_URL} to lift the free key "
        "rate limit (25 requests per day) and instantly unlock all premium endpoints"
    )


MISSING_KEY_TEXT = (
    "the parameter apikey is invalid or missing. Please claim your free API key on "
    "(https://www.alphavantage.co/support/#api-key). It should take less than 20 seconds."
)
DEMO_KEY_TEXT = (
    "The **demo** API key is for demo purposes only. Please claim your free API key at "
    "(https://www.alphavantage.co/support/#api-key) to explore our full API offerings. It takes fewer than 20 seconds."
)


def _text(status: int, text: str, reason: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return Reply(text.encode(), status, reason, "text/plain", headers, Framing.LENGTH)


def _fault_json(status: int, words: str, code: str) -> Reply:
    body = {"fault": {"faultstring": words, "detail": {"errorcode": code}}}
    return Reply(encode_json(body), status, "", "application/json", framing=Framing.LENGTH)


def _html(status: int, words: str) -> Reply:
    page = f"<html><head><title>{words}</title></head><body><center><h1>{words}</h1></center></body></html>"
    return Reply(page.encode(), status, words[4:], "text/html", framing=Framing.LENGTH)


@lru_cache(maxsize=1)
def _bomb() -> bytes:
    """200 MB of spaces as one gzip member: a fully flushed deflate block stands alone, so one is made and repeated."""
    piece, count = b" " * 1_000_000, _BOMB_BYTES // 1_000_000
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(count):
        checksum = zlib.crc32(piece, checksum)
    return _GZIP_HEADER + block * count + _LAST_BLOCK + struct.pack("<II", checksum, _BOMB_BYTES)


_ARTIFICIAL = {
    "endpoint": "Realtime Options",
    "message": "This is a premium endpoint. ***THE SAMPLE DATA SCHEMA BELOW IS ARTIFICIAL***.",
    "data": [
        {"contractID": "XXYYZZ999999C00020000", "symbol": "XXYYZZ", "expiration": "2099-99-99", "strike": "20.00"}
    ],
}
_MINUTE_NOTE = (
    "Thank you for using Alpha Vantage! Our standard API call frequency is 5 calls per minute and 500 calls per day. "
    f"Please visit {PREMIUM_URL} if you would like to target a higher API call frequency."
)
_BURST = (
    "Burst pattern detected. Please consider spreading out your API requests more evenly across a 1-minute window "
    "and query no more than 5 requests per second."
)

_FIXED: dict[str, Reply] = {
    # Tradier, one for each kind of error seen
    "401": refused_token(),
    "401_expired": _fault_json(401, "Access Token expired", "keymanagement.service.access_token_expired"),
    "401_invalid": _fault_json(401, "Invalid Access Token", "keymanagement.service.invalid_access_token"),
    "401_no_product": no_product(),
    "500_expired": _fault_json(500, "Access Token expired", "keymanagement.service.access_token_expired"),
    "400": _text(400, "Invalid parameter, symbol: must be valid (simulated).", "Bad Request"),
    "200_errors": Reply(encode_json({"errors": {"error": "Simulated failure"}})),
    "200_error_list": Reply(encode_json({"errors": {"error": ["Simulated failure", "and another"]}})),
    "200_bare_error_list": Reply(encode_json({"error": ["Simulated failure", "and another"]})),
    "429_without_expiry": replace(_text(429, "Quota Violation", "Too Many Requests"), rate_headers=False),
    "429_past_expiry": _quota_until("1000000000000"),
    "429_far_expiry": _quota_until("4102444800000"),
    "429_garbage_expiry": _quota_until("soon"),
    "429_retry_after_zero": _quota_retry_after("0"),
    "429_retry_after_hour": _quota_retry_after("3600"),
    "429_retry_after_huge": _quota_retry_after("9999999999"),
    "429_retry_after_date": _quota_retry_after("Fri, 31 Dec 2100 23:59:59 GMT"),
    "404": _text(404, "Not Found", "Not Found"),
    "404_html": _html(404, "404 Not Found"),
    "500": _fault_json(500, "Datastore Error", "steps.servicecallout.ExecutionFailed"),
    "500_too_big": _fault_json(500, "Body buffer overflow", "protocol.http.TooBigBody"),
    "502": _html(502, "502 Bad Gateway"),
    "503": _html(503, "503 Service Unavailable"),
    "504": _html(504, "504 Gateway Time-out"),
    "200_html": Reply(_HTML_DOCS, content_type="text/html"),
    "200_empty": Reply(b"", framing=Framing.LENGTH),
    "200_not_json": Reply(b"Service is closing for the day (simulated)"),
    "200_garbage": Reply(bytes(range(128, 256)) * 8),
    "200_gzip_garbage": Reply(b"not gzip at all", headers=(("Content-Encoding", "gzip"),), framing=Framing.LENGTH),
    "200_deep": Reply(b"[" * 100_000),
    "302": Reply(
        b"", 302, "Found", "text/html", (("Location", "http://redirected.invalid/v1/markets/clock"),), Framing.LENGTH
    ),
    # Alpha Vantage, one for each body seen
    "per_second": json_reply(information(per_second_text())),
    "burst": json_reply(information(_BURST)),
    "minute_note": json_reply({"Note": _MINUTE_NOTE}),
    "premium": json_reply(information(f"Thank you for using Alpha Vantage! This is a premium endpoint. {PREMIUM_URL}")),
    "demo_key": json_reply(information(DEMO_KEY_TEXT)),
    "invalid_key": json_reply({"Error Message": MISSING_KEY_TEXT}),
    "invalid_call": json_reply(invalid_call("TIME_SERIES_DAILY")),
    "empty_object": json_reply({}),
    "symbol_only": json_reply({"symbol": "SIM"}),
    "empty_global_quote": json_reply({"Global Quote": {}}),
    "empty_data": json_reply({"endpoint": "Historical Options", "message": "success", "data": []}),
    "artificial_sample": json_reply(_ARTIFICIAL),
}
_BUILT = (
    "429",
    "daily_quota",
    "huge_body",
    "gzip_bomb",
)
FAULT_NAMES: tuple[str, ...] = (*_FIXED, *_BUILT, *CONDUCTS, *DATA_FAULTS)
