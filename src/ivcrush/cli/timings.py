"""What `--timings` shows after a run: a line for each operation that was timed. Formats; times nothing itself."""

from collections.abc import Sequence

from ivcrush.cli.render.table import aligned
from ivcrush.utils.performance import PERCENTILE_ERROR, OperationStatistics

_HEADING = ("operation", "count", "total", "average", "min", "median", "p95", "p99", "max")


def timing_lines(summary: Sequence[OperationStatistics]) -> list[str]:
    """An aligned table in milliseconds, in the order of the summary; no line where nothing was timed."""
    if not summary:
        return []
    title = f"timings in ms; median, p95 and p99 within {100 * PERCENTILE_ERROR:g} %; operations contain one another"
    return [title, *aligned([_HEADING, *map(_row, summary)])]


def _row(one: OperationStatistics) -> tuple[str, ...]:
    spans_s = (one.total_s, one.average_s, one.min_s, one.median_s, one.p95_s, one.p99_s, one.max_s)
    return (one.operation, str(one.count), *(f"{span_s * 1000:.2f}" for span_s in spans_s))
