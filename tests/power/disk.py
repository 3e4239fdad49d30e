"""A disk that keeps only what it was told to: the model of a power loss. Knows system calls, nothing of SQLite.

Content survives for sure once its file was synced, a name once its directory was. Of the rest any part may survive, in
any order: each sector of a write, each change of size, each change of a name. What lies in a gap is zeros or rubbish.
A file that was mapped for sharing holds rubbish, since what is written through a mapping is no call.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.power.trace import Call

SECTOR_BYTES: Final = 512
_STDOUT: Final = 1
_SHARES: Final = (0.0, 0.1, 0.5, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at a place of a file."""

    offset: int
    data: bytes

    def sectors(self) -> Iterator["Write"]:
        """The parts that a disk writes whole or not at all."""
        start = 0
        while start < len(self.data):
            end = start + SECTOR_BYTES - (self.offset + start) % SECTOR_BYTES
            yield Write(self.offset + start, self.data[start:end])
            start = end

    def apply(self, content: bytearray, chance: Random | None) -> None:
        """Put the bytes there; a gap before them is zeros, or rubbish as `chance` has it."""
        gap = self.offset - len(content)
        if gap > 0:
            content += bytes(gap) if chance is None or chance.random() < 0.5 else chance.randbytes(gap)
        content[self.offset : self.offset + len(self.data)] = self.data


@dataclass(frozen=True, slots=True)
class Resize:
    """A file cut or lengthened with zeros."""

    size: int

    def apply(self, content: bytearray) -> None:
        """Give it that size."""
        del content[self.size :]
        content += bytes(self.size - len(content))


@dataclass(slots=True, eq=False)
class File:
    """What is on the disk for sure, and what came after."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Resize] = field(default_factory=list)
    mapped: bool = False

    def sync(self) -> None:
        """All that was written is on the disk."""
        self.durable = self.written()
        self.pending.clear()

    def written(self) -> bytearray:
        """As a process reads it."""
        return self._with(self.pending, None)

    def after_power_loss(self, chance: Random, share: float) -> bytes:
        """With about that share of what was not synced."""
        if self.mapped:
            return chance.randbytes(len(self.written()))
        parts = (
            part for change in self.pending for part in (change.sectors() if isinstance(change, Write) else (change,))
        )
        return bytes(self._with((part for part in parts if chance.random() < share), chance))

    def _with(self, changes: "list[Write | Resize] | Iterator[Write | Resize]", chance: Random | None) -> bytearray:
        content = bytearray(self.durable)
        for change in changes:
            if isinstance(change, Write):
                change.apply(content, chance)
            else:
                change.apply(content)
        return content


@dataclass(slots=True, eq=False)
class Directory:
    """Names: those on the disk for sure, and those that processes see. A change of several names is one."""

    durable: "dict[str, Node]" = field(default_factory=dict)
    live: "dict[str, Node]" = field(default_factory=dict)
    pending: "list[dict[str, Node | None]]" = field(default_factory=list)

    def change(self, names: "dict[str, Node | None]") -> None:
        """Give these names to these files; None takes a name away."""
        _rename(self.live, names)
        self.pending.append(names)

    def sync(self) -> None:
        """All names are on the disk."""
        self.durable = dict(self.live)
        self.pending.clear()

    def after_power_loss(self, chance: Random, share: float) -> "dict[str, Node]":
        """With about that share of the changes that were not synced."""
        names = dict(self.durable)
        for change in self.pending:
            if chance.random() < share:
                _rename(names, change)
        return names


Node = File | Directory


def _rename(names: dict[str, Node], change: dict[str, Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """One folder; whatever lies elsewhere is none of its business. A process after another works on it."""

    def __init__(self, folder: Path) -> None:
        self._prefix = str(folder)
        self.root = Directory()
        self._open: dict[int, Node] = {}
        self._positions: dict[int, int] = {}

    def new_process(self) -> None:
        """The last process is gone, and its descriptors with it; nothing is synced by that."""
        self._open.clear()
        self._positions.clear()

    def apply(self, call: Call) -> None:
        """One call. Raises NotImplementedError for a change that this model does not know."""
        handler = getattr(self, f"_on_{call.name}", None)
        if handler is not None:
            handler(call)
        else:
            self._refuse(call)

    def restored(self, folder: Path, chance: Random) -> None:
        """Write into an empty folder what a power loss now would leave."""
        share = chance.choice(_SHARES)
        contents: dict[int, bytes] = {}

        def place(directory: Directory, path: Path) -> None:
            for name, node in directory.after_power_loss(chance, share).items():
                if isinstance(node, Directory):
                    (path / name).mkdir()
                    place(node, path / name)
                else:  # the names of one file have one content
                    if id(node) not in contents:
                        contents[id(node)] = node.after_power_loss(chance, share)
                    (path / name).write_bytes(contents[id(node)])

        place(self.root, folder)

    def differences(self, folder: Path) -> list[str]:
        """Where the model and the real folder disagree: that would be a fault of the model."""
        found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        model = {name: node for name, node in _files(self.root, "") if not node.mapped}
        real = found.keys() - {name for name, node in _files(self.root, "") if node.mapped}
        return sorted(model.keys() ^ real) + [
            name for name in sorted(model.keys() & real) if model[name].written() != found[name].read_bytes()
        ]

    def _refuse(self, call: Call) -> None:
        for found in call.arguments:
            ours = self._prefix.encode() in found if isinstance(found, bytes) else found.isdigit()
            if ours and (isinstance(found, bytes) or int(found) in self._open):
                raise NotImplementedError(f"{call.name}({', '.join(str(each)[:60] for each in call.arguments)})")

    def _place(self, path: str, descriptor: str = "AT_FDCWD") -> tuple[Directory, str] | None:
        """The directory of a path and the name in it; None for a path elsewhere."""
        start: Node | None = self.root
        if path.startswith("/"):
            if not f"{path}/".startswith(f"{self._prefix}/"):
                return None
            path = path[len(self._prefix) :]
        else:
            start = None if descriptor == "AT_FDCWD" else self._open.get(int(descriptor))
        if start is None:
            return None
        *steps, name = [step for step in path.split("/") if step not in {"", "."}] or ["."]
        for step in steps:
            assert isinstance(start, Directory), path
            start = start.live[step]
        assert isinstance(start, Directory), path
        return start, name

    def _on_openat(self, call: Call) -> None:
        self._open.pop(call.result, None)
        place = self._place(call.path(1), call.word(0))
        if place is None:
            return
        directory, name = place
        node = directory if name == "." else directory.live.get(name)
        if node is None:
            assert "O_CREAT" in call.word(2), call
            node = File()
            directory.change({name: node})
        if "O_APPEND" in call.word(2):
            raise NotImplementedError(f"appending to {name}")
        if "O_TRUNC" in call.word(2) and isinstance(node, File):
            node.pending.append(Resize(0))
        self._open[call.result] = node
        self._positions[call.result] = 0

    def _on_close(self, call: Call) -> None:
        self._open.pop(call.number(0), None)

    def _on_lseek(self, call: Call) -> None:
        self._positions[call.number(0)] = call.result

    def _on_write(self, call: Call) -> None:
        node = self._open.get(call.number(0))
        if isinstance(node, File):
            offset = self._positions[call.number(0)]
            node.pending.append(Write(offset, call.data(1)[: call.result]))
            self._positions[call.number(0)] = offset + call.result

    def _on_pwrite64(self, call: Call) -> None:
        node = self._open.get(call.number(0))
        if isinstance(node, File):
            node.pending.append(Write(call.number(3), call.data(1)[: call.result]))

    def _on_ftruncate(self, call: Call) -> None:
        node = self._open.get(call.number(0))
        if isinstance(node, File):
            node.pending.append(Resize(call.number(1)))

    def _on_fsync(self, call: Call) -> None:
        node = self._open.get(call.number(0))
        if node is not None:
            node.sync()

    _on_fdatasync = _on_fsync  # it writes the size as well, where the size changed

    def _on_mmap(self, call: Call) -> None:
        node = None if call.word(4) == "-1" else self._open.get(call.number(4))
        if isinstance(node, File) and "MAP_SHARED" in call.word(3) and "PROT_WRITE" in call.word(2):
            if not any(name.endswith("-shm") and file is node for name, file in _files(self.root, "")):
                raise NotImplementedError("a mapping other than that of SQLite's index of the log")
            node.mapped = True

    def _on_mkdir(self, call: Call) -> None:
        self._name(self._place(call.path(0)), Directory())

    def _on_unlink(self, call: Call) -> None:
        self._name(self._place(call.path(0)), None)

    _on_rmdir = _on_unlink

    def _on_unlinkat(self, call: Call) -> None:
        self._name(self._place(call.path(1), call.word(0)), None)

    def _on_link(self, call: Call) -> None:
        source = self._place(call.path(0))
        self._name(self._place(call.path(1)), None if source is None else source[0].live[source[1]])

    def _on_rename(self, call: Call) -> None:
        source, target = self._place(call.path(0)), self._place(call.path(1))
        assert (source is None) == (target is None), call
        if source is None or target is None:
            return
        node = source[0].live[source[1]]
        if source[0] is target[0]:
            source[0].change({source[1]: None, target[1]: node})
        else:  # two directories are two places of the disk
            target[0].change({target[1]: node})
            source[0].change({source[1]: None})

    def _on_linkat(self, call: Call) -> None:
        self._on_link(Call("link", (call.arguments[1], call.arguments[3]), call.result))

    @staticmethod
    def _name(place: tuple[Directory, str] | None, node: Node | None) -> None:
        if place is not None:
            place[0].change({place[1]: node})


def acknowledged(call: Call) -> bytes | None:
    """What a process told on its standard output by this call."""
    told = call.name == "write" and call.number(0) == _STDOUT
    return call.data(1) if told else None


def _files(directory: Directory, prefix: str) -> Iterator[tuple[str, File]]:
    for name, node in directory.live.items():
        if isinstance(node, Directory):
            yield from _files(node, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", node
