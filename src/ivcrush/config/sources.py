"""Where settings come from: the process environment, systemd's credentials, and `.env` in the working directory.

Gathers texts and remembers where each came from; whether they are any good is not decided here. `.env` holds keys, so a
file that others can read, that belongs to somebody else or that is a symbolic link is refused, never half used.
"""

import io
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ivcrush.utils.text import printable

_LARGEST_FILE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Given:
    """A setting's text and where it stood, for messages."""

    text: str
    origin: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one source gave; `problems` make the settings unusable, `warnings` do not."""

    given: Mapping[str, Given]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class _UnusableFileError(Exception):
    """Why a file of settings must not be used, as a line for people."""


def from_mapping(values: Mapping[str, str], names: Collection[str], origin: str) -> Gathered:
    """The settings among the variables of the environment, or those a caller prescribes."""
    return Gathered({name: Given(_bare(values[name]), origin) for name in names if name in values})


def from_credentials(directory: Path, names: Collection[str]) -> Gathered:
    """The keys that systemd's LoadCredential= delivered: files with the settings' names in lower case."""
    given: dict[str, Given] = {}
    problems: list[str] = []
    for name in names:
        path = directory / name.lower()
        try:
            given[name] = Given(_bare(_decoded(_read(path), path)), f"credential {path}")
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
        except _UnusableFileError as reason:
            problems.append(str(reason))
    return Gathered(given, tuple(problems))


def from_env_file(path: Path, names: Collection[str]) -> Gathered:
    """The settings of a `.env` file; empty where there is none.

    Names that are nearly ours become warnings with the nearest name; foreign ones are ignored.
    """
    try:
        text = _decoded(_read(path, check=_refuse_unsafe), path)
    except FileNotFoundError:
        return Gathered({})
    except OSError as error:
        return Gathered({}, (f"{path}: cannot be read: {error.strerror}",))
    except _UnusableFileError as reason:
        return Gathered({}, (str(reason),))
    return _parsed(text, path, names)


def _parsed(text: str, path: Path, names: Collection[str]) -> Gathered:
    from dotenv.parser import parse_stream

    given: dict[str, Given] = {}
    problems: list[str] = []
    warnings: list[str] = []
    for binding in parse_stream(io.StringIO(text, newline=None)):
        written = binding.original.string
        blank_lines = written[: len(written) - len(written.lstrip())].count("\n")  # counted to the setting after them
        line = f"{path} line {binding.original.line + blank_lines}"
        if binding.error or (binding.key in names and binding.value is None):
            problems.append(f"{line}: NAME=value is needed")
        elif binding.key in names and binding.key is not None and binding.value is not None:
            if binding.key in given:
                warnings.append(f"{line}: {binding.key} is set a second time; this one holds")
            given[binding.key] = Given(_bare(binding.value), line)
        elif binding.key is not None:
            warnings.extend(f"{line}: {near}" for near in _near_misses(binding.key, names))
    return Gathered(given, tuple(problems), tuple(warnings))


def _near_misses(name: str, names: Collection[str]) -> Iterator[str]:
    for nearest in get_close_matches(name.upper(), names, n=1, cutoff=0.8):
        yield f"{printable(name, 60)} is no setting and is ignored; {nearest} is"


def _bare(text: str) -> str:
    """Without white space around it and one pair of quotes, which service managers and pasting leave in place."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].strip()
    return text


def _read(path: Path, check: Callable[[os.stat_result, Path], None] | None = None) -> bytes:
    """The bytes of a small plain file, judged by the very descriptor that is read. Raises OSError."""
    if check is not None and path.is_symlink():
        raise _UnusableFileError(f"{path}: is a symbolic link; the file itself is needed there")
    follow = 0 if check is None else os.O_NOFOLLOW
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | follow)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _UnusableFileError(f"{path}: is no plain file")
        if check is not None:
            check(found, path)
        content = os.read(descriptor, _LARGEST_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _LARGEST_FILE_BYTES:
        raise _UnusableFileError(f"{path}: larger than {_LARGEST_FILE_BYTES} bytes; a file of settings is needed")
    return content


def _refuse_unsafe(found: os.stat_result, path: Path) -> None:
    if found.st_uid != os.geteuid():
        owner = f"belongs to user {found.st_uid} and not to user {os.geteuid()}, who runs this"
        raise _UnusableFileError(f"{path}: {owner}; it holds keys, so type: chown {os.geteuid()} {path}")
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise _UnusableFileError(
            f"{path}: others may use it (mode {mode:04o}); it holds keys, so type: chmod 600 {path}"
        )


def _decoded(content: bytes, path: Path) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _UnusableFileError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    if "\0" in text:
        raise _UnusableFileError(f"{path}: holds a NUL character; a text file is needed")
    return text
