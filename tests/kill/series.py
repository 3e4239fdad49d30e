"""One series: a command is started in an empty folder, killed, started again, killed again, and at last let finish.

After every kill all invariants are checked; at the end the result must be that of a run that nobody disturbed. The
process is the real one, over a real socket; only the moments are drawn.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from simulated_market import LogEntry, SimulatedMarket
from tests.conftest import PROJECT
from tests.kill import invariants
from tests.kill.scenarios import Kept, Scenario, comparable

AS_OF = "2026-05-15T15:45:00-04:00"
TOKEN, KEY = "canary-token-7f3a", "CANARYKEY9C41"
OLD_REPORT = b"yesterday's report\n"
KILLS_A_SERIES = (3, 14)
_AFTER_A_ROW_S = 0.03
_AFTER_A_WRITE_S = 0.002
_AFTER_A_QUESTION_S = 0.03
_WRITES_A_ROW = 4  # as seen from outside: a commit appends several times
_LOOK_AGAIN_S = 0.0001
_LONGEST_LIFE_S = 60.0
_LAST_RUN = "SELECT complete FROM batch_runs ORDER BY started_at DESC LIMIT 1"
_INHERITED = ("PATH", "HOME", "LANG", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Bench:
    """A market, a scenario, and what an undisturbed run of it leaves."""

    market: SimulatedMarket
    scenario: Scenario
    code: int
    report: str
    kept: Kept
    questions: int  # how many it asks
    rerun_s: float  # the life of one that finds everything done

    @property
    def companies(self) -> int:
        """How many there are to be acknowledged."""
        return len({ticker for table, ticker in self.kept if table == self.scenario.needed[0]})


@dataclass(slots=True)
class Series:
    """What came of one series."""

    kills: int = 0
    problems: list[str] = field(default_factory=list)
    hot: int = 0  # kills that left a write-ahead log to recover
    untold: int = 0  # kills between a commit and the line that tells of it


class _Run:
    """A started process whose stderr is read line by line as it comes."""

    def __init__(self, process: "subprocess.Popen[str]", scenario: Scenario) -> None:
        self.process = process
        self.rows: list[str] = []
        self.lines: list[str] = []
        self._scenario = scenario
        self._turn = threading.Condition()
        self.ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for_rows(self, count: int) -> None:
        """Until it has told of so many rows, or ended."""
        with self._turn:
            self._turn.wait_for(lambda: len(self.rows) >= count or self.ended, _LONGEST_LIFE_S)

    def end(self) -> int:
        """Waits for the end; the exit code. `rows` and `lines` are whole from then on."""
        code = self.process.wait(_LONGEST_LIFE_S)
        self._reader.join()
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            # A line that the kill cut is no line: nobody could rely on it.
            found = self._scenario.acknowledgement.search(line) if line.endswith("\n") else None
            with self._turn:
                self.lines.append(line)
                self.rows += [] if found is None else [found[1]]
                self._turn.notify_all()
        self.process.stderr.close()
        with self._turn:
            self.ended = True
            self._turn.notify_all()


def undisturbed(market: SimulatedMarket, scenario: Scenario, folder: Path) -> Bench:
    """The bench of a scenario, by letting it run twice. Raises RuntimeError where a run does not finish."""
    before = _asked(market)
    code = _finished(_started(market, scenario, folder))
    questions = _asked(market) - before
    with invariants.copied(_database(folder)) as connection:
        kept = scenario.kept(connection)
    report = comparable((folder / "report.json").read_bytes())
    began_s = time.monotonic()
    _finished(_started(market, scenario, folder))
    return Bench(market, scenario, code, report, kept, questions, rerun_s=time.monotonic() - began_s)


def _finished(run: _Run) -> int:
    if run.end() not in {0, 3}:  # 3: an analysis without its vrp is a result, too
        raise RuntimeError(f"ended with {run.process.returncode} undisturbed: {''.join(run.lines)}")
    return run.process.returncode


def killed_series(bench: Bench, folder: Path, chance: Random, most_kills: int) -> Series:
    """Kill up to `most_kills` times, at moments drawn from `chance`, then let finish and compare."""
    series = Series()
    (folder / "report.json").write_bytes(OLD_REPORT)
    since_s = time.monotonic()
    settled: dict[str, float] = {}
    log: Sequence[LogEntry] = ()
    while True:
        run = _started(bench.market, bench.scenario, folder)
        if series.kills < most_kills:
            _kill_at_random(run, bench, folder, len(settled), len(log), chance)
        killed = run.end() == -signal.SIGKILL
        series.kills += killed
        settled.update(dict.fromkeys(set(run.rows) - settled.keys(), time.monotonic()))
        log = _questions(bench.market, since_s)
        problems = _problems(bench, folder, settled.keys(), log)
        series.problems += [f"after kill {series.kills}: {problem}" for problem in problems]
        if not killed:
            series.problems += _problems_at_the_end(bench, folder, run)
            break
        _note_remains(series, bench, folder, settled.keys())
        if (folder / "report.json").read_bytes() != OLD_REPORT:
            break  # killed on its way out: all is told
        if _over(folder):
            series.problems.append(f"after kill {series.kills}: the run is noted as over before its report is there")
    series.problems += invariants.asked_again(log, settled)
    return series


def _started(market: SimulatedMarket, scenario: Scenario, folder: Path) -> _Run:
    for name, content in scenario.files.items():
        (folder / name).write_text(content)
    command = [sys.executable, str(PROJECT / "scripts" / scenario.script), *scenario.arguments]
    options = ["--as-of", AS_OF, "--format", "json", "--output", "report.json", "--log-level", "INFO"]
    process = subprocess.Popen(
        [*command, *options],
        cwd=folder,
        env=_environment(market),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return _Run(process, scenario)


def _environment(market: SimulatedMarket) -> Mapping[str, str]:
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | {
        "TRADIER_API_KEY": TOKEN,
        "TRADIER_BASE_URL": market.tradier_base_url,
        "TRADIER_PER_MINUTE": "100000",
        "ALPHA_VANTAGE_KEY": KEY,
        "ALPHA_VANTAGE_BASE_URL": market.alpha_vantage_base_url,
        "ALPHA_VANTAGE_PER_SECOND": "1000",
        "ALPHA_VANTAGE_PER_MINUTE": "1000",
        "ALPHA_VANTAGE_PER_DAY": "100000",
    }


def _kill_at_random(run: _Run, bench: Bench, folder: Path, told: int, asked: int, chance: Random) -> None:
    """Just after it told of a row, in the middle of a write, with a question under way, or at any moment."""
    rows_left, questions_left = bench.companies - told, bench.questions - asked
    kind = chance.choice(("row", "write", "question", "question", "moment"))
    if kind == "row":
        run.wait_for_rows(chance.randint(0, rows_left))
        time.sleep(chance.uniform(0.0, _AFTER_A_ROW_S))
    elif kind == "write":
        _wait_for_writes(run, _log_of(_database(folder)), chance.randint(1, 1 + _WRITES_A_ROW * rows_left))
        time.sleep(chance.uniform(0.0, _AFTER_A_WRITE_S))
    elif kind == "question" and questions_left > 0:
        _wait_for_questions(run, bench.market, chance.randint(1, questions_left))
        time.sleep(chance.uniform(0.0, _AFTER_A_QUESTION_S))
    else:
        time.sleep(chance.uniform(0.0, bench.rerun_s))
    run.process.kill()


def _wait_for_writes(run: _Run, log: Path, count: int) -> None:
    """Until the write-ahead log grew so many times, or the process ended."""
    size = _size(log)
    while count > 0 and not run.ended:
        found = _size(log)
        count -= found > size
        size = max(size, found)
        time.sleep(_LOOK_AGAIN_S)


def _wait_for_questions(run: _Run, market: SimulatedMarket, count: int) -> None:
    """Until the market was asked so many questions more, or the process ended."""
    enough = _asked(market) + count
    while _asked(market) < enough and not run.ended:
        time.sleep(10 * _LOOK_AGAIN_S)


def _problems(bench: Bench, folder: Path, acknowledged: Collection[str], log: Sequence[LogEntry]) -> list[str]:
    problems = invariants.torn(folder / "report.json", OLD_REPORT, bench.report)
    if not _database(folder).exists():
        return problems + [f"{ticker}: acknowledged, and no database" for ticker in acknowledged]
    with invariants.copied(_database(folder)) as connection:
        problems += invariants.unsound(connection)
        problems += invariants.unkept(bench.scenario, bench.scenario.kept(connection), bench.kept, acknowledged)
        problems += bench.scenario.flaws(connection)
        problems += invariants.undercounted(connection, log)
    return problems


def _problems_at_the_end(bench: Bench, folder: Path, run: _Run) -> list[str]:
    if run.process.returncode != bench.code:
        return [f"ended with {run.process.returncode}: {''.join(run.lines)}"]
    problems = [] if (folder / "report.json").read_bytes() != OLD_REPORT else ["finished without a report"]
    holders = [path for path in folder.rglob("*") if path.is_file()]
    leaks = [path for path in holders if any(secret.encode() in path.read_bytes() for secret in (TOKEN, KEY))]
    return problems + [f"a secret in {path.relative_to(folder)}" for path in leaks]


def _note_remains(series: Series, bench: Bench, folder: Path, acknowledged: Collection[str]) -> None:
    """What kind of kill the last one was, by what it left."""
    log = _log_of(_database(folder))
    series.hot += _size(log) > 0
    if _database(folder).exists():
        with invariants.copied(_database(folder)) as connection:
            found = bench.scenario.kept(connection)
        done = {ticker for _, ticker in found if all((name, ticker) in found for name in bench.scenario.needed)}
        series.untold += not done <= set(acknowledged)


def _over(folder: Path) -> bool:
    """Whether the last run is noted as complete."""
    if not _database(folder).exists():
        return False
    with invariants.copied(_database(folder)) as connection:
        return connection.execute(_LAST_RUN).fetchone() == (1,)


def _asked(market: SimulatedMarket) -> int:
    return int(str(market.stats()["requests"]))


def _questions(market: SimulatedMarket, since_s: float) -> Sequence[LogEntry]:
    return [entry for entry in market.log() if entry.at_s >= since_s]


def _database(folder: Path) -> Path:
    return folder / "data" / "ivcrush.db"


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


def _size(path: Path) -> int:
    """0 for a file that is not there, or no longer."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
