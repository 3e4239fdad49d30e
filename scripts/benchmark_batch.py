"""How fast a batch is and what it holds in memory, against a bare loop over the same requests; a part of `make bench`.

Companies are served by `benchmark_companies.py`, a process of its own without any limit of rate, and have their
history stored; every run but a rerun starts with an empty cache. The runs of one count take place in a process of their
own, after a small one that has imported everything.

    python scripts/benchmark_batch.py TASK      the process of one count: prints its figures as JSON
"""

import asyncio
import csv
import json
import resource
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import httpx
import msgspec
from benchmark_companies import AS_OF, CPU_PAGE, companies, model, models, report
from benchmark_figures import Compared, Line, Spread, sample_s

from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.cli.main import main as ivcrush
from ivcrush.domain.errors import Err
from ivcrush.domain.types import MarketSnapshot
from ivcrush.infrastructure.api.option_chain_parse import CHAIN_DECODER
from ivcrush.infrastructure.database.snapshot_codec import decode_snapshot

CONCURRENCY = 10
BARE_AIM, FLAT_AIM, MEMORY_AIM_MB, HITS_AIM_PCT = 1.3, 1.15, 300.0, 95.0
COUNTS, QUICK_COUNTS = (10, 50, 100, 1000, 6000), (10, 50, 100)
_COMPARED = 100  # companies of the comparison with a bare loop
_RUN_COMPANIES = 500  # small counts are run so often that about so many companies come together, ten times at most
_HERE = Path(__file__).resolve().parent
_HEADER = ("ticker", "earnings_date", "expiration_date", "timing")
_COPIED = ("historical_moves", "daily_bars", "ticker_metadata")


class Task(TypedDict):
    """What the process of one count is to run: calendar files, `first` before anything is measured.

    With `rerun` once more at the end, with the replies kept.
    """

    first: str | None
    calendar: str
    runs: int
    rerun: bool


class Figures(TypedDict):
    """What the runs of one count took, each; `requests` and `hits` of the last one, `analysed` companies of it."""

    elapsed_s: list[float]
    processor_s: list[float]
    peak_mb: float
    requests: int
    hits: int
    analysed: int


@dataclass(frozen=True, slots=True)
class Companies:
    """The market of many companies, and a directory in which the program finds their history."""

    directory: Path
    tradier_url: str
    alpha_vantage_url: str

    @property
    def settings(self) -> dict[str, str]:
        """What points the program there, without limits."""
        rates = {f"ALPHA_VANTAGE_PER_{span}": "100000" for span in ("SECOND", "MINUTE", "DAY")}
        return rates | {
            "TRADIER_API_KEY": "simulated",
            "TRADIER_BASE_URL": self.tradier_url,
            "TRADIER_PER_MINUTE": "1000000",
            "ALPHA_VANTAGE_KEY": "simulated",
            "ALPHA_VANTAGE_BASE_URL": self.alpha_vantage_url,
            "MAX_CONCURRENT_REQUESTS": str(CONCURRENCY),
            "CACHE_L2_TTL": "3600",
            "DB_PATH": str(self.directory / "companies.db"),
        }

    def page(self, name: str) -> bytes:
        """One of the market's own pages."""
        with urllib.request.urlopen(self.tradier_url.removesuffix("/v1") + name) as reply:  # noqa: S310  loopback
            body: bytes = reply.read()
        return body

    def processor_s(self) -> float:
        """Processor time that the market has taken so far."""
        return float(self.page(CPU_PAGE))


def batch_lines(directory: Path, counts: Sequence[int], rounds: int) -> Iterator[Line]:
    """Every row about batches; `directory` is empty and may be filled."""
    with _served(directory) as market:
        _store_history(market, max(counts))
        _write_calendar(directory / "first.csv", 5)
        for count in {*counts, _COMPARED}:
            _write_calendar(directory / f"{count}.csv", count)
        yield from _against_bare_loop(market, rounds)
        yield from _scaled(market, counts, min(rounds, 3))


@contextmanager
def _served(directory: Path) -> Iterator[Companies]:
    command = [sys.executable, str(_HERE / "benchmark_companies.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        tradier, alpha_vantage = process.stdout.readline().split()
        yield Companies(directory, tradier, alpha_vantage)
        process.communicate()  # the end of its input is its end


def _store_history(market: Companies, count: int) -> None:
    """The models' by `backfill`, the copies' as copies of their rows."""
    listed = market.directory / "models.txt"
    listed.write_text("\n".join(models()), encoding="utf-8")
    _command(market, "backfill.py", "--file", str(listed), "--as-of", AS_OF.isoformat())
    with sqlite3.connect(market.settings["DB_PATH"]) as connection:
        for table in _COPIED:
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")][1:]
            copy = f"INSERT INTO {table} SELECT ?, {', '.join(names)} FROM {table} WHERE ticker = ?"  # noqa: S608
            copies = [(ticker, model(ticker)) for ticker in companies(count) if model(ticker) != ticker]
            connection.executemany(copy, copies)
    connection.close()


def _write_calendar(path: Path, count: int) -> None:
    rows = [(ticker, *report(ticker)) for ticker in companies(count)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([_HEADER, *((ticker, day, "", timing) for ticker, day, timing in rows)])


def _against_bare_loop(market: Companies, rounds: int) -> Iterator[Line]:
    """The whole command in a process that has imported everything, and the same requests by httpx alone, in turns."""
    _worker(market, _COMPARED)  # the market draws and prices what it is asked for
    before = len(json.loads(market.page("/_log")))
    _worker(market, _COMPARED, warm=False)
    questions = [row["question"] for row in json.loads(market.page("/_log"))][before:]
    urls = [market.tradier_url.removesuffix("/v1") + question for question in questions]
    snapshots = _snapshots(market)
    ours, bare, evaluation = [], [], []
    spent_s, begun = market.processor_s(), time.perf_counter()
    for _ in range(rounds):
        ours.append(_worker(market, _COMPARED)["elapsed_s"][0])
        bare.append(asyncio.run(_bare_loop_s(urls)))
        evaluation.append(sample_s(lambda: [evaluate(one) for one in snapshots], 1))
    share = (market.processor_s() - spent_s) / (time.perf_counter() - begun)
    ratio = Spread.of([one / other for one, other in zip(ours, bare, strict=True)])
    compared = Compared(Spread.of(ours), Spread.of(bare), ratio)
    yield compared.line(f"batch of {_COMPARED} companies / bare httpx loop, {len(urls)} requests", BARE_AIM)
    thinking = Spread.of(evaluation)
    detail = f"{thinking.median / compared.subject_s.median:.0%} of the batch; the market's processor {share:.0%} busy"
    yield Line("  of it evaluation of the snapshots", thinking.times(1e3), "ms", detail=detail)


async def _bare_loop_s(urls: Sequence[str]) -> float:
    """Seconds to ask and decode everything, so many requests at once as the batch has."""
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # as our transport does: both are spared the search
    begun, left = time.perf_counter(), iter(urls)
    headers = {"Authorization": "Bearer simulated", "Accept": "application/json", "Accept-Encoding": "gzip"}
    limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    async with httpx.AsyncClient(headers=headers, trust_env=False, limits=limits) as client:

        async def ask() -> None:
            for url in left:
                reply = await client.get(url)
                if "/options/chains" in url:
                    CHAIN_DECODER.decode(reply.content)
                else:
                    msgspec.json.decode(reply.content)

        await asyncio.gather(*(ask() for _ in range(CONCURRENCY)))
    return time.perf_counter() - begun


def _snapshots(market: Companies) -> list[MarketSnapshot]:
    """What the latest run's answers were computed from."""
    with sqlite3.connect(market.settings["DB_PATH"]) as connection:
        newest = "SELECT snapshot FROM analysis_log ORDER BY number DESC LIMIT ?"
        decoded = [decode_snapshot(blob) for (blob,) in connection.execute(newest, (_COMPARED,))]
    connection.close()
    return [one.value for one in decoded if not isinstance(one, Err)]


def _scaled(market: Companies, counts: Sequence[int], rounds: int) -> Iterator[Line]:
    """Counts take turns, small ones several times within a turn and the largest in the first turn only."""
    largest, runs = max(counts), {count: list[Figures]() for count in counts}
    for turn in range(rounds):
        for count in counts:
            if turn == 0 or count < largest:
                runs[count].append(_worker(market, count, runs=max(1, min(10, _RUN_COMPANIES // count))))
    yield from (_count_line(count, runs[count]) for count in counts)
    for name, fastest in (("elapsed", _elapsed_ms), ("processor", _processor_ms)):
        each = [min(fastest(count, runs[count])) for count in counts]
        title = f"{name} time a company, most / least of {counts[0]} to {largest:,}"
        yield Line(title, Spread.of([max(each) / min(each)]), "x", FLAT_AIM, "the fastest run of each count")
    peak_mb = max(figures["peak_mb"] for figures in runs[largest])
    yield Line(f"batch of {largest:,} companies: peak memory", Spread.of([peak_mb]), "MB", MEMORY_AIM_MB)
    again = _worker(market, _COMPARED, rerun=True)
    hits_pct = 100 * again["hits"] / (again["hits"] + again["requests"])
    detail = f"{again['hits']} replies kept, {again['requests']} requests"
    yield Line("a batch again: from the cache", Spread.of([hits_pct]), "%", HITS_AIM_PCT, detail)


def _count_line(count: int, runs: Sequence[Figures]) -> Line:
    processor_ms = Spread.of(_processor_ms(count, runs)).median
    last = runs[-1]
    detail = f"{processor_ms:.3g} ms processor, {last['requests'] / count:.2f} requests; {last['analysed']} analysed"
    return Line(f"batch of {count:,} companies: each", Spread.of(_elapsed_ms(count, runs)), "ms", detail=detail)


def _elapsed_ms(count: int, runs: Sequence[Figures]) -> list[float]:
    return [1e3 * span_s / count for figures in runs for span_s in figures["elapsed_s"]]


def _processor_ms(count: int, runs: Sequence[Figures]) -> list[float]:
    return [1e3 * span_s / count for figures in runs for span_s in figures["processor_s"]]


def _worker(market: Companies, count: int, *, runs: int = 1, warm: bool = True, rerun: bool = False) -> Figures:
    first = str(market.directory / "first.csv") if warm else None
    task = Task(first=first, calendar=str(market.directory / f"{count}.csv"), runs=runs, rerun=rerun)
    figures: Figures = json.loads(_output(market, [str(_HERE / "benchmark_batch.py"), json.dumps(task)]))
    return figures


def _command(market: Companies, script: str, *arguments: str) -> str:
    return _output(market, [str(_HERE / script), *arguments])


def _output(market: Companies, arguments: Sequence[str]) -> str:
    """What a process of ours prints, with nothing but the market's settings in its environment."""
    command = [sys.executable, *arguments]
    done = subprocess.run(  # noqa: S603  our own scripts, by our own interpreter
        command, cwd=market.directory, env=market.settings, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


# ---- the process of one count


def _measured(task: Task) -> Figures:
    if task["first"] is not None:
        _run(task["first"])
    elapsed, processor = [], []
    for _ in range(task["runs"]):
        begun_s = time.process_time()
        summary = _run(task["calendar"])
        processor.append(time.process_time() - begun_s)
        elapsed.append(float(summary["elapsed_s"]))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if task["rerun"]:
        summary = _run(task["calendar"], keep_cache=True)
    return Figures(
        elapsed_s=elapsed,
        processor_s=processor,
        peak_mb=peak_mb,
        requests=summary["requests"],
        hits=summary["cache_hits"],
        analysed=summary["analysed"],
    )


def _run(calendar: str, *, keep_cache: bool = False) -> Mapping[str, int]:
    """The summary of one run of the real command."""
    if not keep_cache:
        for file in Path.cwd().glob("*cache*"):
            file.unlink()
    ivcrush(
        [
            "analyze-batch",
            "--earnings-file",
            calendar,
            "--fresh",
            "--continue-on-error",
            "--as-of",
            AS_OF.isoformat(),
            "--format",
            "json",
            "--output",
            "out.json",
        ]
    )
    document = msgspec.json.decode(Path("out.json").read_bytes(), type=dict[str, msgspec.Raw])
    summary: Mapping[str, int] = msgspec.json.decode(document["summary"])
    return summary


if __name__ == "__main__":
    print(json.dumps(_measured(json.loads(sys.argv[1]))))
