"""The harmless commands of the documents, really run: a folder of their own, the simulated market, no key, no network.

Harmless is what asks no provider: the operating commands, help, versions, completion, and every line that hands a
result to `jq`, which is then run over a result of the simulated market.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ivcrush.cli.arguments import OPERATING
from tests.conftest import PROJECT
from tests.documents.shell import fenced
from tests.documents.test_commands import DOCUMENTS

_PROGRAM = re.compile(r"(?:sudo )?(?:DB_PATH=\S+ )?(?:\S*/bin/)?ivcrush (?P<command>\S+)(?P<rest>[^|&;>]*)")
_DOOR = re.compile(r"\.venv/bin/python scripts/(\w+)\.py")
_ASKS_NOBODY = frozenset({*OPERATING, "--help", "--version"})
_DOCUMENTED = {0, 1, 3}  # 1 and 3 have a document, too: of a market, or of a health check, that is as it is


def _lines() -> dict[str, str]:
    """The lines to run, each once, by where the first of its kind stands."""
    found: dict[str, str] = {}
    for document in DOCUMENTS:
        for number, line in (*fenced(document.read_text(), "sh"), *_in_sentences(document.read_text())):
            safe = _made_safe(line)
            if safe is not None and safe not in found.values():
                found[f"{document.name}:{number}"] = safe
    return found


def _in_sentences(text: str) -> Iterator[tuple[int, str]]:
    """The commands of the program in backticks that a reader could type as they stand."""
    for number, line in enumerate(text.splitlines(), 1):
        for code in re.findall(r"`((?:sudo )?(?:ivcrush|jq) [^`]+)`", line):
            if re.search(r"\bFILE\b|\bN\b|(?<!\\)\||…", code) is None:
                yield number, code.replace("\\|", "|")  # as a table writes it


def _made_safe(line: str) -> str | None:
    """The line as a test may run it, None where it may not: paths of the folder, the simulated market, no `sudo`."""
    typed = _DOOR.sub(lambda door: f"ivcrush {door.group(1).replace('_', '-')}", line)
    if typed.startswith("sudo jq "):
        return typed.removeprefix("sudo ").replace("/var/lib/ivcrush/", "")
    found = _PROGRAM.match(typed)
    if found is None or "&&" in typed:
        return None
    command, rest, after = found["command"], found["rest"], typed[found.end() :].strip()
    after = "" if after.startswith("| sudo tee ") else after
    to_jq = after.startswith("| jq ")
    if not (to_jq or command in _ASKS_NOBODY or "--demo" in rest) or (after and not to_jq):
        return None
    takes_demo = command not in {"completion", "--help", "--version"} and "--demo" not in rest
    here = re.sub(r"/(?:etc|var/lib|var/backups)/(?:private/)?(?:ivcrush/)?", "", rest)
    here = here.replace("$(date +%F)", "new" if here.strip().startswith("backup ") else "day")
    return " ".join(f"ivcrush {command} {here.strip()} {'--demo' if takes_demo else ''} {after}".split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run's report, a database that knows it, and a backup under every name that is restored."""
    place = tmp_path_factory.mktemp("documents")
    (place / "reports").mkdir()
    batch = "ivcrush analyze-batch --tickers AAPL --demo --format json --output reports/latest.json"
    before = (batch, "ivcrush backfill AAPL --demo")
    for line in (*before, *(f"ivcrush database backup {name} --demo" for name in _restored())):
        ran = _run(place, line)
        assert ran.returncode in {0, 3}, (line, ran.stderr)
    return place


def _restored() -> set[str]:
    return {line.split()[3] for line in _lines().values() if line.startswith("ivcrush database restore ")}


def _run(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def answered(folder: Path) -> Callable[[str], Path]:
    """Runs a command, whatever asks for it how often, and gives the file with its result."""
    files: dict[str, Path] = {}

    def answer(command: str) -> Path:
        if command not in files:
            files[command] = folder / f"result-{len(files)}.txt"
            ran = _run(folder, command)
            allowed = {0} if command.split()[1] in OPERATING else _DOCUMENTED
            assert ran.returncode in allowed, (command, ran.stderr)
            files[command].write_text(ran.stdout)
        return files[command]

    return answer


@pytest.mark.parametrize("where", _lines())
def test_a_harmless_line_does_what_it_says(where: str, folder: Path, answered: Callable[[str], Path]) -> None:
    line = _lines()[where]
    command, _, filtering = line.partition(" | ") if line.startswith("ivcrush ") else ("", "", line)
    if command:
        assert answered(command).read_text().strip(), line
    if filtering and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    if filtering:
        ran = _run(folder, f"{filtering} < {answered(command)}" if command else filtering)
        assert (ran.returncode, ran.stderr) == (0, ""), line


def test_the_documents_have_lines_to_run() -> None:
    commands = {line.split()[1] for line in _lines().values()}
    assert commands >= {"database", "cache", "quota", "runs"}
    assert PROJECT not in (Path(word) for line in _lines().values() for word in line.split())
