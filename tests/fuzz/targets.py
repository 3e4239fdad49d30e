"""Everything that reads what others wrote, each with sound texts to break and the only ways in which it may refuse."""

import hashlib
import json
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from ivcrush.cli.command import InputError
from ivcrush.cli.earnings_csv import read_earnings
from ivcrush.cli.market_caps import read_market_caps
from ivcrush.cli.ticker_file import read_tickers
from ivcrush.config.validation import ConfigurationError, load_settings
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import Ticker, parse_ticker
from ivcrush.infrastructure.api.alpha_vantage_dialect import AlphaVantageDialect
from ivcrush.infrastructure.api.alpha_vantage_parse import (
    parse_dividends,
    parse_past_reports,
    parse_raw_daily_bars,
    parse_scheduled_reports,
    parse_splits,
)
from ivcrush.infrastructure.api.dialect import Answer
from ivcrush.infrastructure.api.option_chain_parse import parse_chain
from ivcrush.infrastructure.api.tradier_dialect import TradierDialect
from ivcrush.infrastructure.api.tradier_parse import (
    parse_bars,
    parse_clock,
    parse_expirations,
    parse_quotes,
    parse_session_days,
)
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache
from ivcrush.infrastructure.database.snapshot_codec import TAG, decode_snapshot, encode_snapshot
from ivcrush.utils.timezone import parse_as_of, parse_date
from simulated_market import Switches, World
from simulated_market.application import Application
from simulated_market.messages import parse_request
from tests.conftest import PROJECT
from tests.fuzz.mutations import exchange
from tests.unit.infrastructure.database.snapshots import ibm_snapshot

AS_OF = datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK)
NOW = datetime(2026, 5, 15, 19, 45, tzinfo=UTC)
AAPL, FRIDAY, TODAY = Ticker("AAPL"), date(2026, 5, 22), date(2026, 5, 15)
_MOST_ROWS = 5  # of a recording: what breaks a parser stands in a few rows
_RECORDINGS = PROJECT.parent / "shared" / "payloads"


@dataclass(frozen=True, slots=True)
class Target:
    """`read` returns a value or an `Err`, or raises one of `refusals`; `finite` is whether no value may be NaN."""

    read: Callable[[bytes], object] = field(repr=False)
    seeds: tuple[bytes, ...] = field(repr=False)
    refusals: tuple[type[Exception], ...] = ()
    finite: bool = True


def targets(directory: Path) -> Mapping[str, Target]:
    """All of them; files are made in `directory`."""
    calendar = MarketCalendar()
    replies, recorded = _simulated(), _recorded()
    past = partial(parse_past_reports, ticker=AAPL, today=TODAY, calendar=calendar)
    readers: dict[str, tuple[Callable[[bytes], object], str]] = {
        "quotes": (lambda body: parse_quotes(body, (AAPL, Ticker("MSFT"))), "quote"),
        "expirations": (lambda body: parse_expirations(body, AAPL), "expirations"),
        "chain": (lambda body: parse_chain(body, _underlier(body), FRIDAY), "chain_"),
        "bars": (lambda body: parse_bars(body, AAPL, date(1990, 1, 1), date(2030, 1, 1)), "history_"),
        "clock": (parse_clock, "clock_"),
        "session days": (parse_session_days, "calendar_"),
        "past reports": (past, "EARNINGS_IBM"),
        "scheduled reports": (lambda body: parse_scheduled_reports(body, calendar=calendar), "EARNINGS_CALENDAR"),
        "dividends": (lambda body: parse_dividends(body, AAPL), "DIVIDENDS"),
        "splits": (lambda body: parse_splits(body, AAPL), "SPLITS"),
        "raw bars": (lambda body: parse_raw_daily_bars(body, AAPL), "TIME_SERIES_DAILY_IBM"),
    }
    found = {
        name: Target(read, (*replies[name], *(body for file, body in recorded.items() if file.startswith(start))))
        for name, (read, start) in readers.items()
    }
    every = tuple(seed for target in found.values() for seed in target.seeds) + tuple(
        body for file, body in recorded.items() if file.startswith("errors")
    )
    found["Tradier's dialect"] = Target(partial(_judged, TradierDialect()), every)
    found["Alpha Vantage's dialect"] = Target(partial(_judged, AlphaVantageDialect()), every)
    return found | _of_files(directory) | _of_storage(directory) | _of_words()


def _underlier(body: bytes) -> Ticker:
    """Whose chain it is: of another's every row would be left out before it is looked at."""
    return next((Ticker(name) for name in ("TSLA", "VXX", "PLTR", "TLT", "SPY") if name.encode() in body), AAPL)


def _judged(dialect: Any, text: bytes) -> object:
    """The verdict on the text as a body and, by its first byte, as one of several statuses; and as headers."""
    status = (200, 200, 200, 401, 429, 500, 404, 400, 302)[text[0] % 9 if text else 0]
    words = text[:200].decode("latin-1")
    headers = {
        "date": words,
        "retry-after": words,
        **{f"x-ratelimit-{n}": words for n in ("allowed", "available", "expiry")},
    }
    dialect.rate_headers(headers)
    return dialect.judge(Answer(status, headers, text, NOW)), Answer(status, headers, text, NOW).served_at


def _of_files(directory: Path) -> dict[str, Target]:
    earnings = (
        b"ticker,earnings_date,expiration_date,timing\nAAPL,2026-05-18,2026-05-22,AMC\n# no row\nBRK.B,2026-05-20,,\n",
        b'\xef\xbb\xbfticker;earnings_date\r\n"KO";2026-05-19\r\n\r\n"BF-B";"2026-06-04"\r\n',
    )
    tickers = (b"AAPL\n# nobody\nMSFT, KO\r\nBRK/B\n", b"\xef\xbb\xbfA\rB\rC")
    caps = (
        b"ticker,market_cap_millions\nAAPL,3000000\nBRK.B,1e6\n# no row\n",
        b"ticker;market_cap_millions\r\nKO;1\r\n",
    )
    environment = (
        b"TRADIER_API_KEY=token\nALPHA_VANTAGE_KEY='key'\nCACHE_L2_TTL=300\nVRP_GOOD=1.5 # words\n",
        b"export TRADIER_BASE_URL=https://sandbox.tradier.com/v1\r\nDB_PATH=data/own.db\r\nLOG_LEVEL=DEBUG\r\n",
        (PROJECT / ".env.example").read_bytes()[:3000],
    )

    def settings(text: bytes) -> object:
        return load_settings({}, directory, required_keys=()) if _written(directory / ".env", text) else None

    return {
        "calendar files": Target(
            lambda text: read_earnings(_written(directory / "earnings.csv", text)), earnings, (InputError,)
        ),
        "ticker files": Target(
            lambda text: read_tickers(_written(directory / "tickers.txt", text)), tickers, (InputError,)
        ),
        "capitalisation files": Target(
            lambda text: read_market_caps(_written(directory / "caps.csv", text)), caps, (InputError,)
        ),
        "settings": Target(settings, environment, (ConfigurationError,)),
    }


def _written(path: Path, text: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(text)
    return path


def _of_storage(directory: Path) -> dict[str, Target]:
    sound = encode_snapshot(ibm_snapshot())
    packed = zlib.decompress(sound[len(TAG) + 16 :])
    kept = json.dumps({"quotes": {"quote": {"symbol": "AAPL", "bid": 1.0}}}).encode()
    return {
        "snapshots": Target(decode_snapshot, (sound,), finite=False),
        # Whoever may write the file can compute the digest too: what is inside must not break anything either.
        "snapshots inside": Target(lambda text: decode_snapshot(_sealed(text)), (packed,), finite=False),
        "snapshots by value": Target(partial(_exchanged_inside, packed), (packed,), finite=False),
        "cache rows": Target(partial(_row_read, SqliteCache(directory / "cache.db"), kept), (kept,)),
    }


def _sealed(packed: bytes) -> bytes:
    body = zlib.compress(packed, 1)
    return TAG + hashlib.blake2b(body, digest_size=16).digest() + body


def _exchanged_inside(packed: bytes, text: bytes) -> object:
    """A snapshot that is well formed and wrong; what is exchanged is drawn from the text."""
    tree, chance = msgspec.msgpack.decode(packed), Random(text)
    for _ in range(chance.choice((1, 1, 2, 4))):
        exchange(tree, chance)
    try:
        return decode_snapshot(_sealed(msgspec.msgpack.encode(tree)))
    except (OverflowError, UnicodeEncodeError):  # what msgpack cannot hold cannot come either
        return None


def _row_read(cache: SqliteCache, kept: bytes, text: bytes) -> object:
    """The row after its payload was exchanged behind the cache's back: it must be none, or what was kept."""
    cache.set("quotes?symbols=AAPL", kept, 300.0)
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE replies SET payload = ?", (text,))
    connection.close()
    found = cache.get("quotes?symbols=AAPL")
    assert found is None or (found.payload == text == kept), "a changed row was handed out"
    return None


def _of_words() -> dict[str, Target]:
    readers: tuple[tuple[str, Callable[[str], object], tuple[bytes, ...]], ...] = (
        ("tickers", parse_ticker, (b"AAPL", b"BRK.B", b"bf-b")),
        ("dates", parse_date, (b"2026-05-15",)),
        ("moments", parse_as_of, (b"2026-05-15T15:45:00-04:00", b"2026-05-15")),
    )
    return {name: Target(partial(_decoded, read), seeds) for name, read, seeds in readers}


def _decoded(read: Callable[[str], object], text: bytes) -> object:
    return read(text.decode("utf-8", "surrogateescape"))


def _simulated() -> dict[str, tuple[bytes, ...]]:
    """The simulated market's own replies, by target."""
    application = Application(World(7, AS_OF, size=12), Switches(dirty_earnings=True))
    dirty = "/query?apikey=key&symbol=AAPL&function="
    asked = {
        "quotes": ("/v1/markets/quotes?symbols=AAPL,MSFT,ZZZZ", "/v1/markets/quotes?symbols=AAPL"),
        "expirations": (
            "/v1/markets/options/expirations?symbol=AAPL",
            "/v1/markets/options/expirations?symbol=AAPL&strikes=true&contractSize=true&expirationType=true",
        ),
        "chain": (f"/v1/markets/options/chains?symbol=AAPL&expiration={FRIDAY}&greeks=true",),
        "bars": ("/v1/markets/history?symbol=AAPL&start=2026-05-01&end=2026-05-15",),
        "clock": ("/v1/markets/clock",),
        "session days": ("/v1/markets/calendar?month=05&year=2026",),
        "past reports": (f"{dirty}EARNINGS",),
        "scheduled reports": (f"{dirty}EARNINGS_CALENDAR&horizon=12month",),
        "dividends": (f"{dirty}DIVIDENDS",),
        "splits": (f"{dirty}SPLITS",),
        "raw bars": (f"{dirty}TIME_SERIES_DAILY",),
    }
    return {name: tuple(_excerpt(_answered(application, path)) for path in paths) for name, paths in asked.items()}


def _answered(application: Application, path: str) -> bytes:
    headers = {"authorization": "Bearer token", "accept": "application/json"}
    reply = application.handle(parse_request("GET", path, headers, b"")).reply
    assert reply.status == 200, reply
    return reply.body


def _recorded() -> dict[str, bytes]:
    """The recorded payloads by file name; none where the shared material is absent."""
    files: Iterable[Path] = sorted(_RECORDINGS.glob("*/*")) if _RECORDINGS.is_dir() else ()
    return {path.name: _excerpt(path.read_bytes()) for path in files if path.suffix in {".json", ".csv"}}


def _excerpt(body: bytes) -> bytes:
    """The same with at most a few rows in each list, or a few lines where it is no JSON."""
    try:
        return json.dumps(_shortened(json.loads(body))).encode()
    except ValueError:
        return b"".join(body.splitlines(keepends=True)[: 2 * _MOST_ROWS])


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [_shortened(item) for item in value[:_MOST_ROWS]]
    if isinstance(value, dict):
        many = len(value) > 40  # a series by date
        kept = list(value.items())[: _MOST_ROWS if many else None]
        return {key: _shortened(item) for key, item in kept}
    return value


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A private folder, in memory where the machine has such a place."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None)
