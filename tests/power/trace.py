"""What a process asked of the file system, as strace wrote it down: every byte, in order. Judges nothing.

Calls that change files in a way the model does not know are traced as well, so that it can refuse them.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conftest import PROJECT

_TRACED: Final = (
    "openat,close,lseek,write,pwrite64,ftruncate,fsync,fdatasync,mmap,"
    "link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "open,creat,truncate,writev,pwritev,pwritev2,fallocate,copy_file_range,sendfile,splice,symlink,symlinkat"
)
_LINE: Final = re.compile(r"\d+ +(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)\b")
_OVER: Final = re.compile(r"\d+ +\+\+\+")
_LONGEST_LIFE_S: Final = 120.0
_INHERITED: Final = ("PATH", "HOME", "LANG")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call: its strings as bytes, its other arguments as strace prints them."""

    name: str
    arguments: tuple[str | bytes, ...]
    result: int

    def data(self, place: int) -> bytes:
        """A string argument."""
        found = self.arguments[place]
        assert isinstance(found, bytes), self.name
        return found

    def path(self, place: int) -> str:
        """A path as it was given."""
        return os.fsdecode(self.data(place))

    def word(self, place: int) -> str:
        """Flags, a descriptor's name, a number."""
        found = self.arguments[place]
        assert isinstance(found, str), self.name
        return found

    def number(self, place: int) -> int:
        """A number."""
        return int(self.word(place), 0)


def why_not() -> str | None:
    """Why nothing can be traced here; None where it can."""
    if shutil.which("strace") is None:
        return "needs strace"
    tried = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "strace may not trace here"


def traced(folder: Path, module: str, *arguments: str) -> list[Call]:
    """The calls of `python -m module …`. Raises CalledProcessError where it does not end well."""
    record = folder / "trace"
    before = ["strace", "-f", "--seccomp-bpf", "-qq", "-xx", "-s", "10000000", "-e", "signal=none"]
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | {
        "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",  # more threads than one would break the lines of the record
    }
    subprocess.run(
        [*before, "-e", f"trace={_TRACED}", "-o", str(record), sys.executable, "-m", module, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        timeout=_LONGEST_LIFE_S,
        check=True,
    )
    calls = list(_parsed(record))
    record.unlink()
    return calls


def _parsed(record: Path) -> Iterator[Call]:
    """Every call that succeeded. Raises ValueError for a line of another shape."""
    with record.open(encoding="ascii") as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                if _OVER.match(line) or "= ?" in line:
                    continue
                raise ValueError(f"no call: {line[:200]}")
            result = int(found[3], 0)
            if result >= 0:
                yield Call(found[1], tuple(_argument(text) for text in found[2].split(", ")), result)


def _argument(text: str) -> str | bytes:
    if not text.startswith('"'):
        return text
    if not text.endswith('"'):
        raise ValueError(f"cut short: {text[:40]}")
    return bytes.fromhex(text[1:-1].replace("\\x", ""))
