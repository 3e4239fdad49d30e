"""One simulated service: who may ask, which fault strikes, what the dialect answers.

It turns a request value into a delivery (a reply and how to send it) without touching a socket. One thread uses it.
"""

import json
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from simulated_market.administration import page
from simulated_market.alpha_vantage import AlphaVantage, information, json_reply
from simulated_market.data_faults import DATA_FAULTS, with_data_fault
from simulated_market.faults import (
    CONDUCTS,
    DEMO_KEY_TEXT,
    MISSING_KEY_TEXT,
    Conduct,
    FaultBook,
    no_product,
    quota_violation,
    refused_token,
    whole_reply,
)
from simulated_market.limits import Headers, KeyQuota, RateWindow
from simulated_market.messages import Reply, Request, encode_json, encode_xml, refusal
from simulated_market.reply_cache import ReplyCache
from simulated_market.seeding import uniform
from simulated_market.session_calendar import EASTERN
from simulated_market.switches import FaultRule, Switches
from simulated_market.tradier import InvalidParameterError, Tradier
from simulated_market.tradier_rows import spelled
from simulated_market.world import World

_LOG_KEPT = 20_000
_HOST_CLOCK_STEP_S = 30.0
Struck = tuple[FaultRule, ...]


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
        self._count_anew(FaultBook.open(switches, monotonic()))

    def set_switches(self, switches: Switches) -> None:
        """Takes other switches: counters and time spans start anew."""
        book = FaultBook.open(switches, self._monotonic())  # an unknown fault is refused before anything changes
        self._stand_at(self.world, switches)
        self._count_anew(book)

    def replay(self, path: str, parameters: dict[str, str], reply: Reply) -> None:
        """Answers this path and these parameters with a recorded reply from now on, byte for byte."""
        self._recordings[Request("GET", path, parameters).identity] = reply

    def handle(self, request: Request) -> Delivery:
        """The delivery for one request."""
        if request.path.startswith("/_"):
            return Delivery(page(self, request))
        self._follow_host_clock()
        self.paths[request.path] += 1
        struck = self._book.strikes(request, self._monotonic())
        reply = self._reply(request, struck)
        faults, question = tuple(rule.fault for rule in struck), request.identity
        self.log.append(LogEntry(self._monotonic(), request.method, question, reply.status, faults))
        conduct, framing = next((CONDUCTS[name] for name in faults if name in CONDUCTS), (Conduct.NORMAL, None))
        reply = reply if framing is None else replace(reply, framing=framing)
        return Delivery(reply, conduct, self._delay_s(question))

    def stats(self) -> dict[str, object]:
        """Requests in all and by path, how many a limit refused, and what the server counts."""
        counts = {"requests": self.paths.total(), "paths": dict(self.paths), "refused": self.refused}
        return counts | self.gauge()

    def log_rows(self) -> list[dict[str, object]]:
        """The latest requests as JSON objects, oldest first."""
        return [asdict(entry) for entry in self.log]

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

    def _reply(self, request: Request, struck: Struck) -> Reply:
        if request.path == "/query":
            return self._alpha_vantage_reply(request, struck)
        if not self._tradier.knows(request.path):
            return refusal(404, "Not Found", "Not Found")
        if not self._accepts(request.headers.get("authorization", "")):
            return refused_token()
        rate_headers, within_limit = self._window.take()
        if not within_limit:
            self.refused += 1
            return _with_headers(quota_violation(self._window.expiry_text()), rate_headers)
        recorded = self._recordings.get(request.identity)
        reply = self._first_fault(struck, key="") or recorded or self._tradier_answer(request, struck)
        return _with_headers(reply, rate_headers)

    def _accepts(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme == "Bearer" and bool(token.strip()) and self.switches.valid_token in {None, token.strip()}

    def _tradier_answer(self, request: Request, struck: Struck) -> Reply:
        if request.path.startswith("/beta/") and not self.switches.beta_calendars:
            return no_product()
        encode = _as_json if "json" in request.headers.get("accept", "") else _as_xml
        try:
            if struck:
                return encode(self._mutated(self._tradier.answer(request), struck))
            key = f"{encode.__name__}{request.identity}"
            return self._replies.get(key, lambda: encode(self._tradier.answer(request)))
        except InvalidParameterError as error:
            return refusal(400, "Bad Request", f"Invalid parameter, {error}")

    def _alpha_vantage_reply(self, request: Request, struck: Struck) -> Reply:
        key = request.parameters.get("apikey", "")
        if not key or self.switches.valid_key not in (None, key):
            return json_reply({"Error Message": MISSING_KEY_TEXT})
        if key == "demo":
            return json_reply(information(DEMO_KEY_TEXT))
        over_quota = self._quota.refusal(key)
        if over_quota is not None:
            self.refused += 1
            return json_reply(information(over_quota))
        put_in_place = self._first_fault(struck, key=key) or self._recordings.get(request.identity)
        if put_in_place is not None:
            return put_in_place
        if any(rule.fault in DATA_FAULTS for rule in struck):
            return self._spoiled(self._alpha_vantage.answer(request), struck)
        return self._replies.get(request.identity, lambda: self._alpha_vantage.answer(request))

    def _spoiled(self, reply: Reply, struck: Struck) -> Reply:
        """The data faults in a JSON body; CSV has its own switches."""
        if "json" not in reply.content_type:
            return reply
        return replace(reply, body=encode_json(self._mutated(json.loads(reply.body), struck), indent=4))

    def _first_fault(self, struck: Struck, *, key: str) -> Reply | None:
        expiry = self._window.expiry_text()
        replies = (whole_reply(rule.fault, key=key, expiry=expiry) for rule in struck)
        return next((reply for reply in replies if reply is not None), None)

    def _mutated(self, answer: object, struck: Struck) -> object:
        for rule in struck:
            answer = with_data_fault(answer, rule, self.switches.seed)
        return answer

    def _delay_s(self, question: str) -> float:
        jitter = self.switches.latency_jitter_ms
        drawn = jitter * uniform(self.switches.seed, "latency", question) if jitter else 0.0
        return (self.switches.latency_ms + drawn) / 1000.0

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
        self._replies = ReplyCache()

    def _count_anew(self, book: FaultBook) -> None:
        self._book = book
        self._window = RateWindow(book.switches, self._clock)
        self._quota = KeyQuota(book.switches, self._monotonic)


def _with_headers(reply: Reply, rate_headers: Headers) -> Reply:
    """The reply with the rate headers it does not set itself."""
    if not reply.rate_headers:
        return reply
    own = {name for name, _ in reply.headers}
    added = tuple(header for header in rate_headers if header[0] not in own)
    return replace(reply, headers=(*reply.headers, *added))


def _as_json(answer: object) -> Reply:
    return Reply(encode_json(answer))


def _as_xml(answer: object) -> Reply:
    return Reply(encode_xml(answer), content_type="application/xml;charset=UTF-8")
