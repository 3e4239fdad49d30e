"""The shell lines of a document as commands: what a reader would type, taken apart without a shell.

Knows pipes, lists, redirections, variables before a command, `sudo` and comments; a line that needs more than that is
too clever for a document, and is refused.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\s*$")
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=.*")
_TOO_CLEVER = re.compile(r"\$\(|`|<<")
_ENDS = frozenset({"|", "||", "&&", ";", "&"})
_REDIRECTIONS = frozenset({">", ">>", "<"})


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command; `words` begin with the program, variables, `sudo` and redirections taken off."""

    document: str
    line: int
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """The program by its own name."""
        return self.words[0].rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {shlex.join(self.words)}"


def fenced(text: str, language: str) -> Iterator[tuple[int, str]]:
    """The lines of all blocks in that language with their numbers; a line that ends in a backslash has the next one."""
    inside: str | None = None
    begun, held = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line.strip())
        if fence is not None:
            inside = fence.group(1) if inside is None else None
            continue
        if inside != language or not line.strip():
            continue
        begun = begun if held else number
        held += line.rstrip("\\") + " " if line.endswith("\\") else line
        if not line.endswith("\\"):
            yield begun, held
            held = ""


def shell_commands(document: Path, root: Path) -> tuple[Command, ...]:
    """Every simple command of the document's `sh` blocks."""
    name = str(document.relative_to(root))
    lines = fenced(document.read_text("utf-8"), "sh")
    return tuple(command for number, line in lines for command in _taken_apart(name, number, line))


def inline_commands(document: Path, root: Path, programs: tuple[str, ...]) -> tuple[Command, ...]:
    """What stands in backticks and is one of these programs with an argument; `a|b` stands for its first word."""
    name, found = str(document.relative_to(root)), []
    for number, line in enumerate(document.read_text("utf-8").splitlines(), 1):
        for code in re.findall(r"`([^`]+)`", line):
            words = [word.split("|")[0].strip("[]'") for word in code.split("\\|")[0].split()]
            words = words[1:] if words[:1] == ["sudo"] else words
            if len(words) > 1 and words[0].rsplit("/", 1)[-1] in programs and "…" not in code:
                found.append(Command(name, number, tuple(words)))
    return tuple(found)


def _taken_apart(document: str, number: int, line: str) -> Iterator[Command]:
    assert not _TOO_CLEVER.search(line.replace("$(date +%F)", "")), f"{document}:{number}: {line}"
    lexer = shlex.shlex(line.replace("$(date +%F)", "2026-11-21"), posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    redirected = False
    for token in lexer:
        if redirected:
            redirected = False
        elif token in _REDIRECTIONS:
            redirected = True
        elif token in _ENDS:
            yield Command(document, number, _program_first(words))
            words = []
        else:
            words.append(token)
    if words:
        yield Command(document, number, _program_first(words))


def _program_first(words: list[str]) -> tuple[str, ...]:
    """Without variables before it and without `sudo`, whose own flags no document needs."""
    left = list(words)
    while left and (_ASSIGNMENT.fullmatch(left[0]) or left[0] == "sudo"):
        left.pop(0)
    assert left, words
    assert not left[0].startswith("-"), words
    return tuple(left)
