"""One simulated service: who may ask, how often, which fault strikes, what the dialect answers.

It turns a request value into a delivery (a reply and how to send it) without touching a socket. One thread uses it.
"""

import json
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from simulated_market.alpha_vantage import AlphaVantage, information, json_reply
from simulated_market.data_faults import DATA_FAULTS, with_data_fault
from simulated_market.faults import (
    CONDUCTS,
    DEMO_KEY_TEXT,
    MISSING_KEY_TEXT,
    Conduct,
    FaultBook,
    daily_quota_text,
    no_product,
    per_second_text,
    quota_violation,
    refused_token,
    whole_reply,
)
from simulated_market.messages import Framing, Reply, Request, encode_json, encode_xml
from simulated_market.seeding import uniform
from simulated_market.session_calendar import EASTERN
from simulated_market.switches import FaultRule, Switches
from simulated_market.tradier import InvalidParameterError, Tradier
from simulated_market.tradier_rows import spelled
from simulated_market.world import World

_BYTES_KEPT = 256_000_000
_LOG_KEPT = 20_000
_UNLIMITED = 100_000
_HOST_CLOCK_STEP_S = 30.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A reply, how it is sent and how long the service thinks first."""

    reply: Reply
    conduct: Conduct = Conduct.NORMAL
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One request as the service saw it; `question` holds no key and no token, `at_s` is monotonic."""

    at_s: float
    method: str
    question: str
    status: int
    faults: tuple[str, ...]


class Application:
    """The services of one world. `clock` is epoch seconds (rate windows), `monotonic` times spans and the log."""

    def __init__(
        self,
        world: World,
        switches: Switches,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        host_clock: bool = False,
    ) -> None:
        self._clock, self._monotonic, self._host_clock = clock, monotonic, host_clock
        self.paths: Counter[str] = Counter()
        self.refused = 0
        self.log: deque[LogEntry] = deque(maxlen=_LOG_KEPT)
        self.gauge: Callable[[], dict[str, object]] = dict  # the server adds what it counts
        self._recordings: dict[str, Reply] = {}
        self._stand_at(world, switches)
        self._book = FaultBook.open(switches, monotonic())
        self._window, self._used = -1, 0
        self._asked: deque[float] = deque(maxlen=1000)
        self._asked_today = 0

    def set_switches(self, switches: Switches) -> None:
        """Takes other switches: counters and time spans start anew."""
        book = FaultBook.open(switches, self._monotonic())  # an unknown fault is refused before anything changes
        self._stand_at(self.world, switches)
        self._book = book
        self._window, self._asked_today = -1, 0
        self._asked.clear()

    def replay(self, path: str, parameters: dict[str, str], reply: Reply) -> None:
        """Answers this path and these parameters with a recorded reply from now on, byte for byte."""
        self._recordings[Request("GET", path, parameters).identity] = reply

    def handle(self, request: Request) -> Delivery:
        """The delivery for one request."""
        if request.path.startswith("/_"):
            return Delivery(self._administration(request))
        self._follow_host_clock()
        self.paths[request.path] += 1
        struck = self._book.strikes(request, self._monotonic())
        reply = self._reply(request, struck)
        names = tuple(rule.fault for rule in struck)
        question = request.identity
        self.log.append(LogEntry(self._monotonic(), request.method, question, reply.status, names))
        framing, conduct = reply.framing, Conduct.NORMAL
        for name in names:
            if name in CONDUCTS:
                conduct, wanted = CONDUCTS[name]
                framing = wanted or framing
        reply = reply if framing is reply.framing else replace(reply, framing=framing)
        return Delivery(reply, conduct, self._delay_s(question))

    def stats(self) -> dict[str, object]:
        """Requests in all and by path, and how many a limit refused."""
        return {"requests": self.paths.total(), "paths": dict(self.paths), "refused": self.refused}

    def date_header_s(self) -> float:
        """Epoch seconds of the Date header."""
        return self._clock() + self.switches.date_header_offset_s

    def prepare(self, tickers: tuple[str, ...], expirations: int) -> None:
        """Fills the reply cache with the nearest chains, with greeks, of `tickers`."""
        for ticker in tickers:
            symbol = spelled(ticker)
            for one in self.world.expirations(ticker)[:expirations]:
                asked = {"symbol": symbol, "expiration": one.day.isoformat(), "greeks": "true"}
                request = Request("GET", "/v1/markets/options/chains", asked, {"accept": "application/json"})
                self._tradier_answer(request, ())

    # ---- one request

    def _reply(self, request: Request, struck: tuple[FaultRule, ...]) -> Reply:
        if request.path == "/query":
            return self._alpha_vantage_reply(request, struck)
        if not self._tradier.knows(request.path):
            return Reply(b"Not Found", 404, "Not Found", "text/plain", framing=Framing.LENGTH)
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        scheme = request.headers.get("authorization", "").startswith("Bearer ")
        if not scheme or not token or self.switches.valid_token not in (None, token):
            return refused_token()
        rate_headers, limited = self._rate_window()
        if limited is not None:
            self.refused += 1
            return replace(limited, headers=rate_headers)
        recorded = self._recordings.get(request.identity)
        reply = self._first_fault(struck, key="") or recorded or self._tradier_answer(request, struck)
        if not reply.rate_headers:
            return reply
        own = {name for name, _ in reply.headers}
        added = tuple(header for header in rate_headers if header[0] not in own)
        return replace(reply, headers=(*reply.headers, *added))

    def _tradier_answer(self, request: Request, struck: tuple[FaultRule, ...]) -> Reply:
        if request.path.startswith("/beta/") and not self.switches.beta_calendars:
            return no_product()
        wants_json = "json" in request.headers.get("accept", "")
        try:
            if struck:
                return self._encoded(self._mutated(self._tradier.answer(request), struck), wants_json=wants_json)
            key = f"{wants_json}{request.identity}"
            return self._kept(key, lambda: self._encoded(self._tradier.answer(request), wants_json=wants_json))
        except InvalidParameterError as error:
            return Reply(
                f"Invalid parameter, {error}".encode(), 400, "Bad Request", "text/plain", framing=Framing.LENGTH
            )

    def _alpha_vantage_reply(self, request: Request, struck: tuple[FaultRule, ...]) -> Reply:
        key = request.parameters.get("apikey", "")
        if not key or self.switches.valid_key not in (None, key):
            return json_reply({"Error Message": MISSING_KEY_TEXT})
        if key == "demo":
            return json_reply(information(DEMO_KEY_TEXT))
        refusal = self._alpha_vantage_limit(key)
        if refusal is not None:
            self.refused += 1
            return json_reply(information(refusal))
        recorded = self._recordings.get(request.identity)
        fault = self._first_fault(struck, key=key)
        if fault is not None or recorded is not None:
            return fault or recorded or json_reply({})
        if any(rule.fault in DATA_FAULTS for rule in struck):
            return self._spoiled(self._alpha_vantage.answer(request), struck)
        return self._kept(request.identity, lambda: self._alpha_vantage.answer(request))

    def _spoiled(self, reply: Reply, struck: tuple[FaultRule, ...]) -> Reply:
        """The data faults in a JSON body; CSV has its own switches."""
        if "json" not in reply.content_type:
            return reply
        return replace(reply, body=encode_json(self._mutated(json.loads(reply.body), struck), indent=4))

    def _first_fault(self, struck: tuple[FaultRule, ...], *, key: str) -> Reply | None:
        expiry = self._expiry_text()
        replies = (whole_reply(rule.fault, key=key, expiry=expiry) for rule in struck)
        return next((reply for reply in replies if reply is not None), None)

    def _mutated(self, answer: object, struck: tuple[FaultRule, ...]) -> object:
        for rule in struck:
            answer = with_data_fault(answer, rule, self.switches.seed)
        return answer

    @staticmethod
    def _encoded(answer: object, *, wants_json: bool) -> Reply:
        if wants_json:
            return Reply(encode_json(answer))
        return Reply(encode_xml(answer), content_type="application/xml;charset=UTF-8")

    def _kept(self, key: str, build: Callable[[], Reply]) -> Reply:
        kept = self._replies.get(key)
        if kept is not None:
            self._replies.move_to_end(key)
            return kept
        reply = build()
        self._replies[key] = reply
        self._reply_bytes += len(reply.body)
        while self._reply_bytes > _BYTES_KEPT:
            _, dropped = self._replies.popitem(last=False)
            self._reply_bytes -= len(dropped.body)
        return reply

    # ---- limits

    def _rate_window(self) -> tuple[tuple[tuple[str, str], ...], Reply | None]:
        window = int(self._clock() // self.switches.rate_window_s)
        if window != self._window:
            self._window, self._used = window, 0
        self._used += 1
        allowed = _UNLIMITED if self.switches.rate_limit is None else self.switches.rate_limit
        over = self.switches.rate_limit is not None and self._used > allowed
        headers = (
            ("X-Ratelimit-Allowed", str(allowed)),
            ("X-Ratelimit-Used", str(self._used)),
            ("X-Ratelimit-Available", str(max(allowed - self._used, 0))),
            ("X-Ratelimit-Expiry", self._expiry_text()),
        )
        return (headers if self.switches.rate_headers else ()), quota_violation(self._expiry_text()) if over else None

    def _expiry_text(self) -> str:
        """The end of the running window, windows being aligned to the clock."""
        length = self.switches.rate_window_s
        end_s = (int(self._clock() // length) + 1) * length
        return str(int(end_s * 1000) if self.switches.rate_expiry_unit == "ms" else int(end_s))

    def _alpha_vantage_limit(self, key: str) -> str | None:
        now = self._monotonic()
        switches = self.switches
        recent = sum(1 for at in self._asked if now - at < 1.0)
        if switches.per_second is not None and recent >= switches.per_second:
            return per_second_text()
        if switches.per_day is not None and self._asked_today >= switches.per_day:
            return daily_quota_text(key)
        self._asked.append(now)
        self._asked_today += 1
        return None

    def _delay_s(self, question: str) -> float:
        jitter = self.switches.latency_jitter_ms
        drawn = jitter * uniform(self.switches.seed, "latency", question) if jitter else 0.0
        return (self.switches.latency_ms + drawn) / 1000.0

    # ---- the service's own pages

    def _administration(self, request: Request) -> Reply:
        match request.path:
            case "/_stats":
                return Reply(encode_json(self.stats() | self.gauge()))
            case "/_truth":
                return self._truth(request.parameters.get("symbol", ""))
            case "/_log":
                return Reply(encode_json([asdict(entry) for entry in self.log]))
            case "/_switches" if request.method == "POST":
                return self._switched(request.body)
            case "/_switches":
                return Reply(encode_json(asdict(self.switches)))
        return Reply(b"Not Found", 404, "Not Found", "text/plain", framing=Framing.LENGTH)

    def _truth(self, ticker: str) -> Reply:
        try:
            truth = self.world.truth(ticker)
        except LookupError as error:
            return Reply(str(error).encode(), 404, "Not Found", "text/plain", framing=Framing.LENGTH)
        return Reply(json.dumps(asdict(truth), default=str).encode())

    def _switched(self, body: bytes) -> Reply:
        try:
            self.set_switches(Switches.from_json(json.loads(body)))
        except ValueError as error:
            return Reply(str(error).encode(), 400, "Bad Request", "text/plain", framing=Framing.LENGTH)
        return Reply(encode_json(asdict(self.switches)))

    # ---- standing somewhere

    def _follow_host_clock(self) -> None:
        if not self._host_clock:
            return
        now = datetime.fromtimestamp(self._clock(), UTC).astimezone(EASTERN)
        if (now - self.world.as_of).total_seconds() >= _HOST_CLOCK_STEP_S:
            self._stand_at(self.world.at(now), self.switches)

    def _stand_at(self, world: World, switches: Switches) -> None:
        self.world, self.switches = world, switches
        self._tradier, self._alpha_vantage = Tradier(world, switches), AlphaVantage(world, switches)
        self._replies: OrderedDict[str, Reply] = OrderedDict()
        self._reply_bytes = 0


def parse_target(method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
    """The request value of one request line, header fields and body; form fields join the query's."""
    parts = urlsplit(target)
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    if method == "POST" and "form" in headers.get("content-type", ""):
        parameters |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return Request(method, parts.path, parameters, headers, body)
