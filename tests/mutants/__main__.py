"""`python -m tests.mutants`: plants errors, one at a time, and counts how many of them the tests find.

What is planted and which tests are asked is `[tool.mutmut]` in pyproject.toml. A chapter passes with 85 % of its
mutants killed; one that the tests never meet counts as alive, one that makes them run on for ever as killed. Verdicts
are kept in `mutants/`: a second run tests only what changed. `--write FILE` writes down the survivors and what was
planted.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

LEAST_KILLED_PCT = 85.0
KILLED = frozenset({"killed", "timeout", "segfault"})
FOLDER = Path("mutants")
# The start of a file's path in the package, and the chapter that it belongs to.
CHAPTERS = {
    "infrastructure/api": "parsing",
    "cli/earnings_csv": "parsing",
    "application/metrics/earnings_moves": "earnings moves",
    "application/metrics": "event move",
    "application/services/batch_analyzer": "resume",
    "infrastructure/database/repositories/batch_repository": "resume",
}


@dataclass(frozen=True, slots=True)
class Module:
    """One file's mutants by name, and what became of each."""

    path: str
    verdicts: Mapping[str, str]

    @property
    def chapter(self) -> str:
        return next(chapter for start, chapter in CHAPTERS.items() if self.path.startswith(start))

    @property
    def survivors(self) -> tuple[str, ...]:
        return tuple(name for name, verdict in self.verdicts.items() if verdict not in KILLED)


def main() -> int:
    """0 if every chapter's tests find enough of what was planted, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--children", type=int, default=2, help="mutants tested at once")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the survivors down")
    options = parser.parse_args()
    mutmut = [sys.executable, "-m", "mutmut", "run", "--max-children", str(options.children)]
    run = subprocess.run(mutmut, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.stderr.write(run.stdout[-5000:] + run.stderr[-5000:])
        return 1
    modules = [module for module in map(_read, sorted(FOLDER.rglob("*.py.meta"))) if module.verdicts]
    table = list(_table(modules))
    sys.stdout.write("\n".join(table) + "\n")
    if options.write is not None:
        options.write.write_text("\n".join(_document(table, modules)) + "\n")
    return int(any(_killed_pct(those) < LEAST_KILLED_PCT for those in _by_chapter(modules).values()))


def _read(meta: Path) -> Module:
    codes = json.loads(meta.read_bytes())["exit_code_by_key"]
    path = meta.relative_to(FOLDER / "src/ivcrush").as_posix().removesuffix(".py.meta")
    return Module(path, {name: status_by_exit_code[code] for name, code in codes.items()})


def _by_chapter(modules: list[Module]) -> dict[str, list[Module]]:
    return {
        chapter: [each for each in modules if each.chapter == chapter] for chapter in dict.fromkeys(CHAPTERS.values())
    }


def _killed_pct(modules: list[Module]) -> float:
    planted = sum(len(module.verdicts) for module in modules)
    return 100 - 100 * sum(len(module.survivors) for module in modules) / planted


def _table(modules: list[Module]) -> Iterator[str]:
    """A line a file and one a chapter, as a Markdown table."""
    yield "| chapter | file | planted | killed | share |"
    yield "|---|---|---:|---:|---:|"
    for chapter, those in _by_chapter(modules).items():
        for module in those:
            yield _line("", f"`{module.path}.py`", [module])
        yield _line(f"**{chapter}**", "", those)
    yield _line("**all**", "", modules)


def _line(chapter: str, file: str, modules: list[Module]) -> str:
    planted = sum(len(module.verdicts) for module in modules)
    killed = planted - sum(len(module.survivors) for module in modules)
    return f"| {chapter} | {file} | {planted:,} | {killed:,} | {_killed_pct(modules):.1f} % |"


def _document(table: list[str], modules: list[Module]) -> Iterator[str]:
    yield "# What the tests do not find"
    yield ""
    yield f"Written by `make mutants` (mutmut {version('mutmut')}), which plants errors in the functions of these"
    yield f"files, one at a time. A chapter passes with {LEAST_KILLED_PCT:.0f} % of them killed."
    yield ""
    yield from table
    for module in modules:
        if module.survivors:
            yield f"\n## `{module.path}.py`\n"
            yield from map(_survivor, module.survivors)


def _survivor(name: str) -> str:
    """The mutant's number and function, and the line before and after."""
    function, _, number = name.rpartition(".")[2].rpartition("__mutmut_")
    spoken = function.removeprefix("xǁ").removeprefix("x_").replace("ǁ", ".")
    changed = [line[1:].strip() for line in get_diff_for_mutant(name).splitlines() if _is_change(line)]
    return f"- {spoken}, {number}: " + " → ".join(f"`{line}`" for line in changed)


def _is_change(line: str) -> bool:
    return line.startswith(("-", "+")) and not line.startswith(("---", "+++"))


if __name__ == "__main__":
    raise SystemExit(main())
