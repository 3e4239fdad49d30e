"""How fast the program is, as ratios measured in one run: `make bench`.

    python scripts/benchmark.py [--quick] [--write docs/benchmarks.md]

What is measured and what it is measured against take turns (A B A B), and each ratio is the median over the rounds with
the lowest and highest beside it, so that a busy machine slows both sides. The data come from the simulated market. A
missed aim is printed and nothing more: the exit code never depends on a speed.
"""

import argparse
import gc
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import cycle
from pathlib import Path

from benchmark_batch import COUNTS, QUICK_COUNTS, batch_lines
from benchmark_figures import HEADINGS, Line, Spread, in_turns, repeats, sample_s, table
from benchmark_market import STRIKES, Recorded, recorded
from benchmark_monitor import measured_overhead_us

from ivcrush.cli.arguments import command_parser
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.infrastructure.cache.memory_cache import MemoryCache
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache
from simulated_market import SimulatedMarket, World

AS_OF = datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK)
SEED = 7
DEPTH = 8  # expirations from the event's on, as `analyze` reads them
WITHOUT_DIVIDENDS = "AMZN"
WITH_DIVIDENDS = "IBM"  # goes ex three weeks after the report: most of its expirations hold a dividend

ANALYSIS_AIM = 4.0  # times the decoding of its chains
EXERCISE_AIM_MS = 30.0
HELP_AIM = 1.5  # times a script with the same options and nothing else
MEMORY_GET_AIM = 300_000.0
MONITOR_AIM_US = 2.0
DISK_GET_AIM, DISK_SET_AIM = 2_400.0, 3_750.0  # five times what a cache of pickled chains was seen to reach

_SCRIPT = Path(__file__).resolve().with_name("analyze.py")
_ACTIONS = {"_StoreAction": "store", "_StoreTrueAction": "store_true", "_VersionAction": "version"}
# The same command over and over in one process, its answer thrown away: only the first one imports anything.
_IN_PROCESS = """
import io, json, sys, time
from contextlib import redirect_stdout
spans_s = []
for _ in range(int(sys.argv[1])):
    begun = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        from ivcrush.cli.main import main
        main(["analyze", *sys.argv[2:]])
    spans_s.append(time.perf_counter() - begun)
print(json.dumps(spans_s))
"""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: rounds of calls within this process, of whole processes and of batches, and their sizes."""

    calls: int
    processes: int
    batches: int
    companies: tuple[int, ...]


FULL = Effort(calls=60, processes=15, batches=7, companies=COUNTS)
QUICK = Effort(calls=9, processes=4, batches=2, companies=QUICK_COUNTS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures everything, prints the table, and writes it where asked."""
    options = _options(arguments)
    effort = QUICK if options.quick else FULL
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="ivcrush-benchmark-") as directory:
        for line in measure(effort, Path(directory)):
            print(f"  {line.name}: {line.cells()[1]}", file=sys.stderr, flush=True)
            lines.append(line)
    print("\n".join(table(lines)))
    if options.write is not None:
        options.write.write_text(document(lines, effort), encoding="utf-8")
    return 0


def measure(effort: Effort, directory: Path) -> Iterator[Line]:
    """Every row in turn; `directory` is empty and may be filled."""
    world = World(SEED, AS_OF)
    one = recorded(world, WITHOUT_DIVIDENDS, depth=1)
    deep = recorded(world, WITHOUT_DIVIDENDS, depth=DEPTH)
    exercised = recorded(world, WITH_DIVIDENDS, depth=DEPTH)
    gc.collect()
    gc.freeze()  # the market's own objects are no part of what is measured
    yield from _parsing(effort, one)
    yield from _analysis(effort, one, deep, exercised)
    yield from _start(effort, directory)
    yield from _warm_run(effort, directory, world)
    yield from _cache(effort, directory, one)
    yield from _monitor()
    batches = directory / "batches"
    batches.mkdir()
    yield from batch_lines(batches, effort.companies, effort.batches)


def argparse_only(parser: argparse.ArgumentParser) -> str:
    """The source of a module that builds a parser with the same options and texts, and imports only argparse."""
    texts = f"prog={parser.prog!r}, description={parser.description!r}"
    lines = ["import argparse", f"parser = argparse.ArgumentParser({texts}, allow_abbrev=False)"]
    for group in parser._action_groups:  # noqa: SLF001  argparse has no public way to read a parser
        own = group.title not in {"positional arguments", "options"}
        lines.append(f"group = parser.add_argument_group({group.title!r})" if own else "group = parser")
        lines.extend(_added(action) for action in group._group_actions if action.dest != "help")  # noqa: SLF001
    return "\n".join(lines) + "\n"


def document(lines: Sequence[Line], effort: Effort) -> str:
    """The table as a page, with what it was measured on."""
    rows = [HEADINGS, tuple("-" * len(heading) for heading in HEADINGS), *(line.cells() for line in lines)]
    figures = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "msgspec", "orjson"))
    return f"""# Benchmarks

Written by `scripts/benchmark.py --write docs/benchmarks.md` on {datetime.now(UTC).date()}; `make bench` measures anew.

- Machine: {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}
- Python {platform.python_version()}, {libraries}, SQLite {sqlite3.sqlite_version}
- {effort.calls} rounds of calls, {effort.processes} of whole processes, {effort.batches} of batches; both sides of a
  ratio take turns, and each ratio is the median over the rounds

{figures}

Chains have {2 * STRIKES} quotes with greeks, as Tradier sends them. An analysis runs from the bytes of its chains to
the verdict. "Early exercise" has a dividend within most of its expirations. A warm run has its replies cached and its
history stored, and sends nothing. Whole processes start with their bytecode compiled.

A batch is the real command in a process that has imported everything: chains at a depth of 3, histories stored,
replies not, 10 requests at once, no limit of rate, every row committed. The bare loop asks the same requests at the
same concurrency with httpx and decodes them with msgspec; it evaluates and keeps nothing. The market is a process of
its own.
"""


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmark.py", description="How fast the program is, as ratios.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and companies: a minute, coarser figures")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the table there, as Markdown")
    return parser.parse_args(arguments)


def _parsing(effort: Effort, one: Recorded) -> Iterator[Line]:
    name = f"parse a chain of {one.quotes} quotes"
    yield in_turns(one.parse, one.decode, effort.calls).line(f"{name} / msgspec decode")
    yield in_turns(one.parse, one.decode_to_dicts, effort.calls).line(f"{name} / orjson.loads")


def _analysis(effort: Effort, one: Recorded, deep: Recorded, exercised: Recorded) -> Iterator[Line]:
    for snapshot in (one, deep):
        count = len(snapshot.bodies)
        name = f"analysis, {count} chain{'s' if count > 1 else ''} of {snapshot.quotes // count} quotes / their decode"
        yield in_turns(snapshot.analyse, snapshot.decode, effort.calls).line(name, ANALYSIS_AIM)
    compared = in_turns(exercised.analyse, exercised.decode, effort.calls)
    name = f"analysis with early exercise, {len(exercised.bodies)} chains"
    yield compared.line(f"{name} / their decode")
    yield Line(name, compared.subject_s.times(1e3), "ms", EXERCISE_AIM_MS)


def _start(effort: Effort, directory: Path) -> Iterator[Line]:
    """`--help` against a script of the same shape: a few lines that import a compiled module of options."""
    (directory / "options.py").write_text(argparse_only(command_parser("analyze", "analyze.py")), encoding="utf-8")
    bare = directory / "only_argparse.py"
    bare.write_text("from options import parser\n\nparser.parse_args()\n", encoding="utf-8")
    compared = in_turns(
        lambda: _run([str(_SCRIPT), "--help"], directory),
        lambda: _run([str(bare), "--help"], directory),
        effort.processes,
    )
    yield compared.line("analyze.py --help / an argparse-only script", HELP_AIM)


def _warm_run(effort: Effort, directory: Path, world: World) -> Iterator[Line]:
    """One ticker with everything at hand, as a whole process and within one that has imported everything."""
    with SimulatedMarket(world) as market:
        settings = _settings(market, directory)
        asked = (WITHOUT_DIVIDENDS, "--as-of", world.as_of.isoformat(), "--format", "json")
        command = [str(_SCRIPT), *asked]
        _run(command, directory, settings)  # fetches and stores everything
        cold = market.stats()["requests"]
        compared = in_turns(
            lambda: _run(command, directory, settings), lambda: _run(["-c", "pass"], directory), effort.processes
        )
        spans = json.loads(_run(["-c", _IN_PROCESS, str(effort.processes + 1), *asked], directory, settings))
        if market.stats()["requests"] != cold:
            raise RuntimeError("the warm runs asked the market: they were not warm")
    yield compared.line("warm analyze.py / python -c pass")
    yield Line("warm analyze.py", compared.subject_s.times(1e3), "ms")
    work = Spread.of(spans[1:])
    share = work.median / compared.subject_s.median
    yield Line("  of it the work, all imported", work.times(1e3), "ms", detail=f"{share:.0%} of the whole")


def _cache(effort: Effort, directory: Path, one: Recorded) -> Iterator[Line]:
    """Operations a second on a 200-quote chain: decoded in memory, its bytes in the file."""
    ((_, body),) = one.bodies
    keys = cycle([f"https://example.invalid/chain?expiration={number}" for number in range(50)])
    memory: MemoryCache[object] = MemoryCache()
    memory.set("chain", one.parse(), 1e6)
    disk = SqliteCache(directory / "cache.db")
    for _ in range(50):
        disk.set(next(keys), body, 1e6)
    size = f"{len(body) / 1e3:.0f} kB"
    for name, call, aim, detail in (
        ("cache: get from memory", lambda: memory.get("chain"), MEMORY_GET_AIM, "decoded"),
        ("cache: get from the file", lambda: disk.get(next(keys)), DISK_GET_AIM, size),
        ("cache: set in the file", lambda: disk.set(next(keys), body, 1e6), DISK_SET_AIM, size),
    ):
        often = repeats(call)
        rates = [1 / sample_s(call, often) for _ in range(effort.calls)]
        yield Line(name, Spread.of(rates), "/s", aim, detail)
    disk.close()


def _monitor() -> Iterator[Line]:
    """What being timed adds to a call."""
    for kind, added_us in zip(("called", "awaited"), measured_overhead_us(), strict=True):
        yield Line(f"performance monitor: added to what is {kind}", Spread.of([added_us]), "us", MONITOR_AIM_US)


def _run(arguments: Sequence[str], directory: Path, settings: Mapping[str, str] | None = None) -> str:
    """Python with these arguments, from an empty environment, so that bytecode is written and no setting leaks in."""
    done = subprocess.run(  # noqa: S603  our own scripts, by our own interpreter
        [sys.executable, *arguments],
        cwd=directory,
        env=dict(settings or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)[:80]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _settings(market: SimulatedMarket, directory: Path) -> dict[str, str]:
    """Points the program at the market, with replies that outlive the benchmark."""
    return {
        "TRADIER_API_KEY": "simulated",
        "TRADIER_BASE_URL": market.tradier_base_url,
        "TRADIER_PER_MINUTE": "100000",
        "ALPHA_VANTAGE_KEY": "simulated",
        "ALPHA_VANTAGE_BASE_URL": market.alpha_vantage_base_url,
        "ALPHA_VANTAGE_PER_SECOND": "100000",
        "ALPHA_VANTAGE_PER_MINUTE": "100000",
        "CACHE_L2_TTL": "3600",
        "DB_PATH": str(directory / "benchmark.db"),
    }


def _added(action: argparse.Action) -> str:
    """The call that adds an option like this one to `group`."""
    kind = _ACTIONS[type(action).__name__]
    given: dict[str, object] = {"help": action.help, "action": kind}
    if kind == "store":
        given |= {
            "nargs": action.nargs,
            "default": action.default,
            "choices": action.choices,
            "metavar": action.metavar,
        }
    elif kind == "version":
        given["version"] = vars(action)["version"]
    words = [repr(name) for name in action.option_strings or (action.dest,)]
    words += [f"{name}={value!r}" for name, value in given.items()]
    if isinstance(action.type, type):
        words.append(f"type={action.type.__name__}")
    return f"group.add_argument({', '.join(words)})"


def _processor() -> str:
    """The processor's name where the system tells it."""
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        described = []
    names = (line.partition(":")[2].strip() for line in described if line.startswith("model name"))
    return next(names, platform.processor() or "unknown processor")


if __name__ == "__main__":
    sys.exit(main())
