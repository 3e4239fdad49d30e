"""`python -m tests.mutants`: plants errors, one at a time, and counts how many of them the tests find.

A chapter is judged by the tests that are about it, in a copy of the project of its own below `mutants/`, and passes
with 85 % of its mutants killed. One that no test meets counts as alive, one that makes a test run on for ever as
killed. The copies are made anew by every run; `--write FILE` writes down the survivors and what was planted.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from mutmut.stats import status_by_exit_code

LEAST_KILLED_PCT = 85.0
KILLED = frozenset({"killed", "timeout", "segfault"})
PROJECT = Path(__file__).parents[2]
COPIES = PROJECT / "mutants"
COPIED = ("src", "tests", "data", "docs", "README.md", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Chapter:
    """Files in which errors are planted, below src/ivcrush, and the tests that are to find them, below tests/unit."""

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return COPIES / self.name.replace(" ", "-")


CHAPTERS = (
    Chapter(
        "parsing",
        (
            "infrastructure/api/json_wire.py",
            "infrastructure/api/alpha_vantage_dialect.py",
            "infrastructure/api/alpha_vantage_parse.py",
            "infrastructure/api/option_chain_parse.py",
            "infrastructure/api/tradier_dialect.py",
            "infrastructure/api/tradier_parse.py",
            "cli/earnings_csv.py",
        ),
        (
            "infrastructure/api/test_alpha_vantage_dialect.py",
            "infrastructure/api/test_alpha_vantage_parse.py",
            "infrastructure/api/test_json_wire.py",
            "infrastructure/api/test_option_chain_parse.py",
            "infrastructure/api/test_tradier_dialect.py",
            "infrastructure/api/test_tradier_parse.py",
            "cli/test_earnings_csv.py",
        ),
    ),
    Chapter("earnings moves", ("application/metrics/earnings_moves.py",), ("metrics/test_earnings_moves.py",)),
    Chapter(
        "event move",
        (
            "application/metrics/event_move.py",
            "application/metrics/event_variance.py",
            "application/metrics/implied_move.py",
        ),
        (
            "metrics/test_evaluation.py",
            "metrics/test_event_move.py",
            "metrics/test_event_variance.py",
            "metrics/test_implied_move.py",
            "metrics/test_implied_move_bounds.py",
            "metrics/test_implied_move_flags.py",
            "metrics/test_inside_probability.py",
            "metrics/test_jump_shape.py",
        ),
    ),
    Chapter(
        "resuming",
        ("application/services/batch_analyzer.py", "infrastructure/database/repositories/batch_repository.py"),
        (
            "infrastructure/database/test_damage.py",
            "infrastructure/database/test_repositories.py",
            "services/test_batch_analyzer.py",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Planted:
    """The mutants of one file of a chapter by name, and what became of each."""

    chapter: Chapter
    path: str
    verdicts: Mapping[str, str]

    @property
    def survivors(self) -> tuple[str, ...]:
        return tuple(name for name, verdict in self.verdicts.items() if verdict not in KILLED)


def main() -> int:
    """0 if the tests of every chapter find enough of what was planted, else 1."""
    names = [chapter.name for chapter in CHAPTERS]
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=f"of {', '.join(names)}; all by default")
    parser.add_argument("--children", type=int, default=2, help="mutants tested at once")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the survivors down")
    options = parser.parse_args()
    if unknown := set(options.chapters) - set(names):
        parser.error(f"no such chapter: {', '.join(sorted(unknown))}")
    found: list[Planted] = []
    for chapter in CHAPTERS:
        if not options.chapters or chapter.name in options.chapters:
            planted = _planted(chapter, options.children)
            sys.stdout.writelines(f"{line}\n" for line in _rows(planted))
            sys.stdout.flush()
            found += planted
    if options.write is not None:
        options.write.write_text("\n".join(_document(found)) + "\n")
    return int(any(_killed_pct(those) < LEAST_KILLED_PCT for those in _by_chapter(found)))


def _planted(chapter: Chapter, children: int) -> list[Planted]:
    """Plants every error of the chapter and has its tests look for each."""
    shutil.rmtree(chapter.folder, ignore_errors=True)
    chapter.folder.mkdir(parents=True)
    for name in COPIED:
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, chapter.folder / name)
    with (chapter.folder / "pyproject.toml").open("a") as settings:
        settings.write(
            "[tool.mutmut]\n"
            'source_paths = ["src"]\n'
            'also_copy = ["data", "docs", "README.md"]\n'
            f"only_mutate = {json.dumps([f'src/ivcrush/{file}' for file in chapter.files])}\n"
            f"pytest_add_cli_args_test_selection = {json.dumps([f'tests/unit/{test}' for test in chapter.tests])}\n"
        )
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(children)]
    ran = subprocess.run(command, cwd=chapter.folder, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise SystemExit(
            f"{chapter.name}: mutmut ended with {ran.returncode}\n{ran.stdout[-5000:]}{ran.stderr[-5000:]}"
        )
    return [_read(chapter, file) for file in chapter.files]


def _read(chapter: Chapter, file: str) -> Planted:
    codes = json.loads((chapter.folder / "mutants/src/ivcrush" / f"{file}.meta").read_bytes())["exit_code_by_key"]
    return Planted(chapter, file, {name: status_by_exit_code[code] for name, code in codes.items()})


def _by_chapter(found: Sequence[Planted]) -> list[list[Planted]]:
    chapters = dict.fromkeys(planted.chapter for planted in found)
    return [[planted for planted in found if planted.chapter is chapter] for chapter in chapters]


def _killed_pct(those: Sequence[Planted]) -> float:
    return 100 - 100 * sum(len(each.survivors) for each in those) / sum(len(each.verdicts) for each in those)


def _rows(those: Sequence[Planted]) -> Iterator[str]:
    """A row of the table a file, and one of the chapter."""
    for each in those:
        yield _row("", f"`{each.path}`", [each])
    yield _row(f"**{those[0].chapter.name}**", "", those)


def _row(chapter: str, file: str, those: Sequence[Planted]) -> str:
    planted = sum(len(each.verdicts) for each in those)
    killed = planted - sum(len(each.survivors) for each in those)
    return f"| {chapter} | {file} | {planted:,} | {killed:,} | {_killed_pct(those):.1f} % |"


def _document(found: Sequence[Planted]) -> Iterator[str]:
    yield "# What the tests do not find"
    yield ""
    yield f"Written by `make mutants` (mutmut {version('mutmut')}), which plants errors in the functions of these"
    yield f"files, one at a time. A chapter passes with {LEAST_KILLED_PCT:.0f} % of them killed."
    yield ""
    yield "| chapter | file | planted | killed | share |"
    yield "|---|---|---:|---:|---:|"
    for those in _by_chapter(found):
        yield from _rows(those)
    for each in found:
        if each.survivors:
            yield f"\n## `{each.path}`\n"
            yield from (_survivor(each.chapter, name) for name in each.survivors)


def _survivor(chapter: Chapter, name: str) -> str:
    """The function, and the line before and after."""
    function = name.rpartition(".")[2].rpartition("__mutmut_")[0]
    spoken = function.removeprefix("xǁ").removeprefix("x_").replace("ǁ", ".")
    command = [sys.executable, "-m", "mutmut", "show", name]
    shown = subprocess.run(command, cwd=chapter.folder, capture_output=True, text=True, check=True).stdout
    changed = [line[1:].strip() for line in shown.splitlines() if _is_change(line)]
    return f"- {spoken}: " + " → ".join(f"`` {line} ``" for line in changed)


def _is_change(line: str) -> bool:
    return line.startswith(("-", "+")) and not line.startswith(("---", "+++"))


if __name__ == "__main__":
    raise SystemExit(main())
