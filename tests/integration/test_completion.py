"""Completion as a person meets it: the script is sourced by the real shell, which is then asked what may come next."""

import os
import shutil
import subprocess

import pytest

from ivcrush.cli.arguments import SHELLS, program_parser
from ivcrush.cli.completion import completion
from tests.integration.conftest import Desk

COMMANDS = {"analyze", "analyze-batch", "scan", "backfill", "health-check", "completion"}
# Sets the words as readline does (it splits at `=`), calls the function and prints what it found.
ASK_BASH = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ivcrush; printf "%s\\n" "${COMPREPLY[@]}"'
ASK_ZSH = """
compdef() { :; }; compadd() { shift; print -l -- "$@"; }; _files() { print -l -- *(N); }
_describe() { print -l -- "${(@)${(@P)2}%%:*}"; }
"""


def offered(shell: str, *words: str) -> set[str]:
    """What the shell offers for the last of these words, after `ivcrush`."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = completion(shell, program_parser())
    if shell == "bash":
        command = [program, "--norc", "-euc", script + ASK_BASH, "bash", "ivcrush", *words]
    elif shell == "zsh":  # what the completion system would do with the answer is replaced by printing it
        here = 'words=("$@"); CURRENT=$#; _ivcrush'
        command = [program, "-fc", ASK_ZSH + script + here, "zsh", "ivcrush", *words]
    else:
        line = " ".join(["ivcrush", *words])
        command = [program, "--no-config", "-c", f'{script}complete -C "{line}"']
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert done.stderr == ""
    found = {line.split("\t")[0] for line in done.stdout.splitlines() if line}
    return {word for word in found if word.startswith(words[-1])} if shell == "zsh" else found


@pytest.mark.parametrize("shell", SHELLS)
def test_the_commands_are_offered_first_and_by_what_was_typed_of_them(shell: str) -> None:
    assert offered(shell, "") >= COMMANDS
    assert offered(shell, "anal") == {"analyze", "analyze-batch"}


@pytest.mark.parametrize("shell", SHELLS)
def test_each_command_has_its_own_flags(shell: str) -> None:
    assert offered(shell, "scan", "--min") == {"--min-vrp"}
    assert offered(shell, "analyze", "AAPL", "--ti") == {"--timing", "--timings"}
    assert offered(shell, "backfill", "--min") == set()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_closed_set_of_values_is_offered_after_its_flag_and_for_an_operand(shell: str) -> None:
    assert offered(shell, "scan", "--format", "") == {"table", "json", "csv"}
    assert offered(shell, "completion", "") & set(SHELLS) == set(SHELLS)


@pytest.mark.parametrize("shell", SHELLS)
def test_files_are_offered_where_a_file_is_meant_and_nothing_where_nobody_can_guess(
    shell: str, tmp_path: "os.PathLike[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open("my earnings.csv", "w"):  # noqa: PTH123
        pass
    assert {name.replace("\\ ", " ") for name in offered(shell, "analyze-batch", "--earnings-file", "")} == {
        "my earnings.csv"
    }
    assert offered(shell, "analyze", "AAPL", "--earnings-date", "") == set()


def test_bash_completes_the_value_of_a_flag_written_with_an_equals_sign() -> None:
    assert offered("bash", "scan", "--format", "=", "js") == {"json"}
    assert offered("bash", "scan", "--format", "=") == {"table", "json", "csv"}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_program_prints_the_script_and_needs_no_settings_for_it(desk: Desk, shell: str) -> None:
    finished = desk.run("completion", shell, as_of=False, VRP_GOOD="nonsense")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out == completion(shell, program_parser())
    assert desk.run("completion", "tcsh", as_of=False).code == 2


def test_words_that_mean_something_to_a_shell_are_quoted_in_every_script() -> None:
    parser = program_parser()
    parser.add_argument("--it's", help="costs $HOME `id` \\ 'quoted'")
    assert " --it'\\''s'" in completion("bash", parser)
    assert "'--it'\\''s:costs $HOME `id` \\ '\\''quoted'\\'''" in completion("zsh", parser)
    assert "-d 'costs $HOME `id` \\\\ \\'quoted\\''" in completion("fish", parser)
