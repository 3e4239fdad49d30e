"""`--metrics-file`: what a run was, for Prometheus through node_exporter's textfile collector.

Text exposition format 0.0.4: every series has its HELP and TYPE, and carries the command as a label, so that the files
of several timers may lie in one directory. All are gauges of the last run, which count nothing over runs. Names and
labels are an interface: they are added to, never renamed. Written whole or not at all, and of a run that failed too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ivcrush import __version__
from ivcrush.cli.command import Tally
from ivcrush.cli.exit_codes import Exit
from ivcrush.config.settings import Provider
from ivcrush.domain.errors import Ok, Result
from ivcrush.utils.files import write_whole
from ivcrush.utils.performance import OperationStatistics
from ivcrush.utils.timezone import Clock

if TYPE_CHECKING:
    from ivcrush.providers import Spending

_READABLE_BY_ALL = 0o644  # node_exporter is another user
Sample = tuple[dict[str, str], float]


@dataclass(slots=True)
class RunFigures:
    """Gathered while a run goes on; what it did not come to stays None, and is left out of the file."""

    command: str
    clock: Clock
    file: Path | None = None
    tally: Tally | None = None
    spending: "Spending | None" = None
    begun: datetime = field(init=False)
    begun_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun, self.begun_s = self.clock.now(), self.clock.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return self.clock.monotonic() - self.begun_s


def write_metrics(figures: RunFigures, code: int, timings: Sequence[OperationStatistics]) -> Result[None]:
    """Write the file, if one was asked for, with the exit code the run is about to end with. Errors: DBERROR."""
    if figures.file is None:
        return Ok(None)
    text = "".join(f"{line}\n" for line in metrics_lines(figures, code, timings))
    return write_whole(figures.file, (text.encode(),), mode=_READABLE_BY_ALL)


def metrics_lines(figures: RunFigures, code: int, timings: Sequence[OperationStatistics]) -> Iterator[str]:
    """The lines of the file, as of now."""
    command = {"command": figures.command}
    yield from _gauge("run_info", "Always 1; the version that ran.", [(command | {"version": __version__}, 1)])
    yield from _gauge("run_exit_code", "Exit code of the last run.", [(command, code)])
    yield from _gauge(
        "run_success", "1 if the last run ended with exit code 0, else 0.", [(command, code == Exit.DONE)]
    )
    ended, seconds = figures.clock.now(), figures.elapsed_s
    yield from _gauge("run_start_timestamp_seconds", "When it began.", [(command, figures.begun.timestamp())])
    yield from _gauge("run_end_timestamp_seconds", "When it ended.", [(command, ended.timestamp())])
    yield from _gauge("run_duration_seconds", "How long it took.", [(command, seconds)])
    if figures.tally is not None:
        yield from _tallied(command, figures.tally)
    if figures.spending is not None:
        yield from _spent(command, figures.spending)
    yield from _timed(command, timings)


def _tallied(command: dict[str, str], tally: Tally) -> Iterator[str]:
    rows: list[Sample] = [(command | {"result": result}, count) for result, count in tally.rows]
    yield from _gauge("run_rows", "Companies or rows by what came of them.", rows)
    if tally.tradeable is not None:
        yield from _gauge("run_tradeable", "Analyses that can be traded.", [(command, tally.tradeable)])
    checks: list[Sample] = [(command | {"check": name}, healthy) for name, healthy in tally.checks]
    yield from _gauge("check_healthy", "1 if the check found nothing amiss, else 0.", checks)


def _spent(command: dict[str, str], spending: "Spending") -> Iterator[str]:
    sent: list[Sample] = []
    repeated: list[Sample] = []
    for provider, requests, repeats in spending.requests:
        sent.append((command | {"provider": provider}, requests))
        repeated.append((command | {"provider": provider}, repeats))
    yield from _gauge("run_requests", "Requests sent, repeats among them.", sent)
    yield from _gauge("run_retries", "Requests that repeated one that had failed.", repeated)
    yield from _gauge("run_cache_hits", "Answers that the cache gave.", [(command, spending.cache_hits)])
    yield from _gauge("run_cache_misses", "Questions the cache could not answer.", [(command, spending.cache_misses)])
    if spending.calls_left is not None:
        left = [(command | {"provider": Provider.ALPHA_VANTAGE}, float(spending.calls_left))]
        yield from _gauge("quota_left", "Calls left of the day when the run ended.", left)


def _timed(command: dict[str, str], timings: Sequence[OperationStatistics]) -> Iterator[str]:
    if not timings:
        return
    name = "ivcrush_run_operation_seconds"
    yield f"# HELP {name} How long each operation took; operations contain one another."
    yield f"# TYPE {name} summary"
    for one in timings:
        labels = command | {"operation": one.operation}
        for quantile, span_s in (("0.5", one.median_s), ("0.95", one.p95_s), ("0.99", one.p99_s)):
            yield _sample(name, labels | {"quantile": quantile}, span_s)
        yield _sample(f"{name}_sum", labels, one.total_s)
        yield _sample(f"{name}_count", labels, one.count)


def _gauge(name: str, meaning: str, samples: Sequence[Sample]) -> Iterator[str]:
    """A gauge with its samples; nothing at all where it has none."""
    if not samples:
        return
    yield f"# HELP ivcrush_{name} {meaning}"
    yield f"# TYPE ivcrush_{name} gauge"
    for labels, value in samples:
        yield _sample(f"ivcrush_{name}", labels, value)


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {float(value)!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
