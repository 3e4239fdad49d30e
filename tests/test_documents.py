"""What the documents name exists: commands, flags, settings, exit codes, make targets, files."""

import re
from argparse import ArgumentParser, _SubParsersAction
from pathlib import Path

import pytest

from ivcrush.cli.arguments import DESCRIPTIONS, OPERATING, command_parser
from ivcrush.cli.exit_codes import Exit
from tests.conftest import PROJECT
from tests.documents.tools import LONG_FLAGS

DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])


def flags(parser: ArgumentParser) -> set[str]:
    """Those of a parser and of the parsers inside it."""
    own = {flag for action in parser._actions for flag in action.option_strings}
    nested = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    return own.union(*(flags(action.choices[name]) for action in nested for name in action.choices))


FLAGS = set().union(*(flags(command_parser(command, command)) for command in DESCRIPTIONS))
# Flags of other programs that the documents show.
FOREIGN_FLAGS = {"--write", "--quick", "--as-of"}.union(*LONG_FLAGS.values())


def named(pattern: str, text: str) -> set[str]:
    return set(re.findall(pattern, text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_flag_script_target_and_link_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    assert named(r"(?<![\w-])--[a-z][a-z-]+", text) <= FLAGS | FOREIGN_FLAGS
    scripts = named(r"scripts/[a-z_]+\.py", text) if document.name != "PROGRESS.md" else set()
    assert {name for name in scripts if not (PROJECT / name).is_file()} == set()
    targets = named(r"(?m)^([a-z-]+):", (PROJECT / "Makefile").read_text())
    assert named(r"`?make ([a-z-]+)`", text) <= targets
    linked = {link for link in named(r"\]\(([^)#]+)\)", text) if "://" not in link}
    assert {link for link in linked if not (document.parent / link).exists()} == set()


def test_the_exit_codes_of_the_readme_are_those_of_the_program() -> None:
    rows = re.findall(r"(?m)^\| ([0-9, ]+) \|", (PROJECT / "README.md").read_text())
    assert sorted(int(code) for row in rows for code in row.split(",")) == sorted(Exit)


def test_progress_names_only_files_that_exist() -> None:
    rows = [line.split("|")[1:5] for line in (PROJECT / "PROGRESS.md").read_text().splitlines() if line.count("|") > 4]
    places = {place for row in rows[2:] for place in re.findall(r"`([a-z_/.]+/[a-z_/.]*)`", f"{row[1]} {row[2]}")}
    roots = (PROJECT, PROJECT / "src/ivcrush", PROJECT / "src/ivcrush/infrastructure/database")
    missing = {place for place in places if not any((root / place).exists() for root in roots)}
    assert missing == set()


def test_the_readme_opens_with_demo_and_test_and_names_every_command() -> None:
    text = (PROJECT / "README.md").read_text()
    assert re.findall(r"make [a-z]+", text)[:2] == ["make demo", "make test"]
    contract = DESCRIPTIONS.keys() - OPERATING
    assert {command for command in contract if f"scripts/{command.replace('-', '_')}.py" not in text} == set()
    assert {command for command in OPERATING if f"`ivcrush {command}" not in text} == set()


def test_the_commands_of_the_contract_have_a_script_and_the_operating_ones_have_none() -> None:
    scripts = {command for command in DESCRIPTIONS if (PROJECT / f"scripts/{command.replace('-', '_')}.py").is_file()}
    assert scripts == DESCRIPTIONS.keys() - OPERATING
