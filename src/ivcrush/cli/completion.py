"""`completion bash|zsh|fish`: what the shell needs to complete commands, flags and their values, made from the parsers.

Static text: the shell asks the program nothing while somebody types. Written here because a library would be one more
dependency and those that are kept leave out fish. Knows argparse's tree and no command by name.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """What comes at one place: one of `words`, a file's name, or something that nobody can guess."""

    words: tuple[str, ...] = ()
    file: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """An option by its longest name; `value` is None where it takes none."""

    name: str
    meaning: str
    value: Expected | None


@dataclass(frozen=True, slots=True)
class Place:
    """One command: its words, each after a blank, its commands with their meanings, its flags, and its operand."""

    path: str
    commands: tuple[tuple[str, str], ...]
    flags: tuple[Flag, ...]
    operand: Expected


def completion(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script for bash (4 or newer), zsh or fish, to be sourced there."""
    lines = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]
    return "\n".join(lines(parser.prog, tuple(_places(parser)))) + "\n"


def _places(parser: argparse.ArgumentParser, path: str = "") -> Iterator[Place]:
    """The parser's own place, then those of its commands, however deep."""
    actions = parser._actions  # noqa: SLF001  argparse has no public way to read what was declared
    flags = tuple(_flag(action) for action in actions if action.option_strings and action.help != argparse.SUPPRESS)
    groups = [action for action in actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    meanings = {choice.dest: choice.help or "" for group in groups for choice in group._choices_actions}  # noqa: SLF001
    operands = [action for action in actions if not action.option_strings and action not in groups]
    yield Place(path, tuple(meanings.items()), flags, _expected(operands[0]) if operands else Expected())
    for group in groups:
        for name, below in group.choices.items():
            yield from _places(below, f"{path} {name}")


def _flag(action: argparse.Action) -> Flag:
    name = max(action.option_strings, key=len)
    return Flag(name, action.help or "", None if action.nargs == 0 else _expected(action))


def _expected(action: argparse.Action) -> Expected:
    return Expected(tuple(map(str, action.choices or ())), file=action.metavar == "FILE")


def _bash(program: str, places: Sequence[Place]) -> Iterator[str]:
    yield f"# bash completion of {program}: source <({program} completion bash)"
    yield from (f"_{program}() {{", "    local at= file= words= i", *_BASH_WHERE)
    yield from _descent(places, '"$at ${COMP_WORDS[i]}"', 'at="$at ${COMP_WORDS[i]}"')
    yield '    case "$at $previous" in'
    for place in places:
        for flag in place.flags:
            if flag.value is not None:
                told = "file=1" if flag.value.file else f"words={_quoted(' '.join(flag.value.words))}"
                yield f"        {_quoted(f'{place.path} {flag.name}')}) {told} ;;"
    yield '        *) case "$at" in'
    for place in places:
        words = [*(name for name, _ in place.commands), *place.operand.words, *(flag.name for flag in place.flags)]
        file = " [[ $current == -* ]] || file=1" if place.operand.file else ""
        yield f"            {_quoted(place.path)}) words={_quoted(' '.join(words))};{file} ;;"
    yield from ("        esac ;;", "    esac", *_BASH_ANSWER, "}", f"complete -F _{program} {program}")


_BASH_WHERE = (
    '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"',
    '    if [[ $current == "=" ]]; then current=; fi  # --flag=value comes in three words',
    '    if [[ $previous == "=" ]]; then previous="${COMP_WORDS[COMP_CWORD - 2]}"; fi',
    "    for ((i = 1; i < COMP_CWORD; i++)); do",
)
_BASH_ANSWER = (
    "    if [[ $file ]]; then",
    "        compopt -o filenames 2>/dev/null || :",
    '        mapfile -t COMPREPLY < <(compgen -f -- "$current")',
    "    else",
    '        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")',
    "    fi",
)


def _zsh(program: str, places: Sequence[Place]) -> Iterator[str]:
    yield f"#compdef {program}"
    yield f"# zsh completion of {program}: source <({program} completion zsh), or put it into $fpath as _{program}"
    yield from (f"_{program}() {{", "    local at= i", "    local -a found", "    for ((i = 2; i < CURRENT; i++)); do")
    yield from _descent(places, '"$at ${words[i]}"', 'at="$at ${words[i]}"')
    yield '    case "$at ${words[CURRENT - 1]}" in'
    for place in places:
        for flag in place.flags:
            if flag.value is not None:
                told = "_files" if flag.value.file else f"compadd -- {' '.join(flag.value.words)}".rstrip()
                yield f"        {_quoted(f'{place.path} {flag.name}')}) {told}; return ;;"
    yield from ("    esac", '    case "$at" in')
    for place in places:
        named = [*place.commands, *((word, "") for word in place.operand.words)]
        described = [*named, *((flag.name, flag.meaning) for flag in place.flags)]
        items = " ".join(_quoted(f"{name}:{meaning}" if meaning else name) for name, meaning in described)
        file = " [[ ${words[CURRENT]} == -* ]] || _files;" if place.operand.file else ""
        yield f"        {_quoted(place.path)}) found=({items});{file} ;;"
    yield from ("    esac", f"    _describe {program} found", "}")
    yield f'if [[ $funcstack[1] == _{program} ]]; then _{program} "$@"; else compdef _{program} {program}; fi'


def _descent(places: Sequence[Place], reached: str, go: str) -> Iterator[str]:
    """The loop's body that walks from command to command, over whatever stands between them."""
    below = "|".join(_quoted(place.path) for place in places if place.path)
    yield from (f"        case {reached} in", f"            {below}) {go} ;;", "        esac", "    done")


def _fish(program: str, places: Sequence[Place]) -> Iterator[str]:
    yield f"# fish completion of {program}: {program} completion fish | source"
    below = " ".join(_quoted(place.path) for place in places if place.path)
    yield from (
        f"function __{program}_at",
        "    set -l at ''",
        "    for word in (commandline -opc)[2..]",
        f'        contains -- "$at $word" {below}; and set at "$at $word"',
        "    end",
        '    test "$at" = "$argv[1]"',
        "end",
        f"complete -c {program} -f",
    )
    for place in places:
        condition = f"__{program}_at '{place.path}'"
        here = f"complete -c {program} -n {_fish_quoted(condition)}"
        for name, meaning in (*place.commands, *((word, "") for word in place.operand.words)):
            yield f"{here} -a {name}" + (f" -d {_fish_quoted(meaning)}" if meaning else "")
        if place.operand.file:
            yield f"{here} -F"
        for flag in place.flags:
            yield f"{here} -l {flag.name.removeprefix('--')} -d {_fish_quoted(flag.meaning)}{_fish_value(flag.value)}"


def _fish_value(value: Expected | None) -> str:
    if value is None:
        return ""
    if value.file:
        return " -r -F"
    return " -x" + (f" -a {_fish_quoted(' '.join(value.words))}" if value.words else "")


def _quoted(text: str) -> str:
    """For bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
