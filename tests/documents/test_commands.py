"""What the documents tell a reader to type can be typed: programs and flags, scripts, targets, tools that he has."""

import re
from argparse import ArgumentParser
from pathlib import Path

import pytest

from ivcrush.cli.arguments import DESCRIPTIONS, command_parser, program_parser
from tests.conftest import PROJECT
from tests.documents.shell import Command, inline_commands, shell_commands
from tests.documents.tools import EVERYWHERE, LONG_FLAGS, PACKAGES

DOCUMENTS = tuple(
    PROJECT / name
    for name in ("README.md", "DEPLOYMENT.md", "RUNBOOK.md", "docs/2.0_OVERVIEW.md", "docs/2.0_IMPLEMENTATION.md")
    if (PROJECT / name).exists()
)
OPERATED = tuple(document for document in DOCUMENTS if document.name in {"DEPLOYMENT.md", "RUNBOOK.md"})
COMMANDS = tuple(command for document in DOCUMENTS for command in shell_commands(document, PROJECT))
INLINE = tuple(command for document in DOCUMENTS for command in inline_commands(document, PROJECT, ("ivcrush", "make")))
PYTHON = frozenset({"python", "python3"})


def _parses(parser: ArgumentParser, arguments: tuple[str, ...]) -> bool:
    try:
        parser.parse_args(arguments)
    except SystemExit as leaving:
        return leaving.code == 0  # --help, --version
    return True


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.program == "ivcrush"], ids=str)
def test_a_line_of_the_program_is_one_that_it_takes(command: Command) -> None:
    assert _parses(program_parser(), command.words[1:])


@pytest.mark.parametrize("command", [each for each in INLINE if each.program == "ivcrush"], ids=str)
def test_a_command_in_a_sentence_is_one_of_the_program(command: Command) -> None:
    bare = not any(word.startswith("-") for word in command.words)  # named, not typed: its arguments may be left out
    assert _parses(program_parser(), (*command.words[1:], "--help") if bare else command.words[1:])


@pytest.mark.parametrize(
    "command", [each for each in COMMANDS if each.program in PYTHON and not each.words[1].startswith("-")], ids=str
)
def test_a_line_of_a_script_names_one_and_its_flags(command: Command) -> None:
    script = command.words[1]
    assert (PROJECT / script).is_file()
    name = Path(script).stem.replace("_", "-")
    if name in DESCRIPTIONS:
        assert _parses(command_parser(name, name), command.words[2:])


@pytest.mark.parametrize("command", [each for each in (*COMMANDS, *INLINE) if each.program == "make"], ids=str)
def test_a_line_of_make_names_targets(command: Command) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (PROJECT / "Makefile").read_text()))
    assert {word for word in command.words[1:] if "=" not in word} <= targets
    variables = set(re.findall(r"(?m)^([A-Z]+) \?=", (PROJECT / "Makefile").read_text()))
    assert {word.split("=")[0] for word in command.words[1:] if "=" in word} <= variables


def _packages(document: Path) -> dict[str, str]:
    """The tools that a document says it needs, with the package of each."""
    table = re.search(r"(?ms)^\| tool \| Debian package \|.*?\n\n", document.read_text() + "\n\n")
    rows = [] if table is None else re.findall(r"(?m)^\| (`.+?`) \| `([a-z0-9.+-]+)`", table.group())
    return {tool: package for tools, package in rows for tool in re.findall(r"`([^`]+)`", tools)}


def _tools(document: Path) -> set[str]:
    here = str(document.relative_to(PROJECT))
    used = {command.program for command in (*COMMANDS, *_inline(tuple(PACKAGES))) if command.document == here}
    return used - EVERYWHERE - {"ivcrush"}


def _inline(programs: tuple[str, ...]) -> tuple[Command, ...]:
    return tuple(command for document in DOCUMENTS for command in inline_commands(document, PROJECT, programs))


@pytest.mark.parametrize("document", OPERATED, ids=lambda path: path.name)
def test_an_operators_document_names_the_package_of_each_tool_that_it_uses(document: Path) -> None:
    assert _packages(document) == {tool: PACKAGES[tool] for tool in _tools(document)}


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if each not in OPERATED], ids=lambda path: path.name)
def test_the_other_documents_need_nothing_but_make_python_and_what_runs_the_timers(document: Path) -> None:
    assert _tools(document) <= PYTHON | {"make", "pip", "systemctl"}


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.program in PACKAGES], ids=str)
def test_a_flag_of_a_tool_was_looked_up(command: Command) -> None:
    named = {word.split("=")[0] for word in command.words if word.startswith("--")}
    assert named <= LONG_FLAGS.get(command.program, frozenset())
