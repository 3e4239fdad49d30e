"""The table of `--timings`."""

from ivcrush.cli.timings import timing_lines
from ivcrush.utils.performance import OperationStatistics


def test_seconds_are_shown_as_milliseconds_in_aligned_columns() -> None:
    write = OperationStatistics("database write", 4, 2.0, 0.25, 0.75, 0.5, 0.7, 0.75)
    parse = OperationStatistics("chain parsing", 12, 0.006, 0.0004, 0.00075, 0.0005, 0.0007, 0.00075)
    assert timing_lines((write, parse)) == [
        "timings in ms; median, p95 and p99 within 1 %; operations contain one another",
        "operation       count    total  average     min  median     p95     p99     max",
        "database write      4  2000.00   500.00  250.00  500.00  700.00  750.00  750.00",
        "chain parsing      12     6.00     0.50    0.40    0.50    0.70    0.75    0.75",
    ]


def test_without_anything_timed_there_is_no_table() -> None:
    assert timing_lines(()) == []
