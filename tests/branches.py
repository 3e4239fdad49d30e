"""`python -m tests.branches`: whether the last measured run took enough of the branches where an error costs most.

Reads `.coverage`. Ends with 1, naming the branches that were not taken, where a part falls short.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# Part of the product, and the least share of its branches that the tests take, in percent.
BARS = {
    "src/ivcrush/domain/": 100.0,
    "src/ivcrush/application/metrics/": 100.0,
    "src/ivcrush/infrastructure/api/": 95.0,  # parsers and transport
    "src/ivcrush/infrastructure/database/repositories/": 95.0,
}


def main() -> int:
    """0 if every part has its share, else 1."""
    files = _measured()
    short = False
    for start, least_pct in BARS.items():
        those = {path: found for path, found in files.items() if path.startswith(start)}
        taken = sum(found["summary"]["covered_branches"] for found in those.values())
        present = sum(found["summary"]["num_branches"] for found in those.values())
        taken_pct = 100 * taken / present
        sys.stdout.write(f"{start}: {taken} of {present} branches, {taken_pct:.1f} % ({least_pct:g} % needed)\n")
        if taken_pct < least_pct:
            short = True
            sys.stdout.writelines(_left(those))
    return int(short)


def _measured() -> Mapping[str, Any]:
    """The measurement of each file by its path."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)], check=True)
        found: Mapping[str, Any] = json.loads(report.read_bytes())["files"]
        return found


def _left(files: Mapping[str, Any]) -> Iterator[str]:
    for path, found in files.items():
        for begin, end in found["missing_branches"]:
            yield f"    {path}:{begin} never goes to {'the end' if end < 0 else f'line {end}'}\n"


if __name__ == "__main__":
    raise SystemExit(main())
