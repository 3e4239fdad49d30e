"""A record replayed up to a moment, the power lost there, the program started again: what came of it.

The folder must hold exactly what it held after the last acknowledged step, or after the one that was under way; in the
middle of a restore too, the former database or the fresh one.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from ivcrush.domain.errors import Err
from ivcrush.domain.types import BatchRun
from ivcrush.infrastructure.database.examination import examine_database
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.repositories.batch_repository import BatchRepository
from tests.power.disk import Disk, acknowledged
from tests.power.states import DATABASE, State, differing, state
from tests.power.trace import Call, traced

# Some sessions one after the other: one that ends well, one that is killed, a backup, its return, and work on it.
SESSIONS: Final = ("finish", "die", "keep", "finish", "die", "bring_back", "finish")
_TURNING: Final = frozenset({"fsync", "fdatasync", "link", "rename", "unlink", "unlinkat", "ftruncate", "mkdir"})
_MEMORY: Final = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Record:
    """The calls of all sessions, and what was acknowledged."""

    folder: Path
    calls: tuple[Call | None, ...]  # None where a process ended
    states: tuple[State, ...]

    def turning_points(self) -> list[int]:
        """Just before and just after every call that orders others."""
        places = [place for place, call in enumerate(self.calls) if call is not None and call.name in _TURNING]
        return sorted({place + after for place in places for after in (0, 1)})

    def ended(self, session: int) -> int:
        """Where that session's process ended, among the calls."""
        return [place for place, call in enumerate(self.calls) if call is None][session]

    def writes(self) -> list[int]:
        """Just before every call that may write; the others, Python's own start above all, only read."""
        names = _TURNING | {"pwrite64", "write"}
        return [place for place, call in enumerate(self.calls) if call is not None and call.name in names]


def recorded(folder: Path, rows: int, document_bytes: int) -> Record:
    """Run all sessions in an empty folder. Raises RuntimeError where the model does not come to the same files."""
    calls: list[Call | None] = []
    place = (folder / "disk").resolve()
    place.mkdir()
    for number, kind in enumerate(SESSIONS):
        found = traced(folder, "tests.power.writer", str(place), kind, str(number), str(rows), str(document_bytes))
        calls += [*found, None]
    disk, states = Disk(place), []
    for call in calls:
        states += _applied(disk, call)
    if differences := disk.differences(place):
        raise RuntimeError(f"the record does not lead to what is there: {', '.join(differences)}")
    return Record(place, tuple(calls), tuple(states))


def problems_after(record: Record, cuts: Sequence[int], seed: int) -> list[str]:
    """What a power loss before each of these calls comes to, all that went well being left out."""
    disk, place, known, problems = Disk(record.folder), 0, 0, []
    for turn, cut in enumerate(sorted(cuts)):
        while place < cut:
            known += len(_applied(disk, record.calls[place]))
            place += 1
        with TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as name:
            disk.restored(Path(name), Random(f"{seed}/{turn}/{cut}"))
            found = judged(Path(name), record.states[max(known - 1, 0) : known + 1])
        problems += [f"cut {cut}, {known} steps acknowledged: {problem}" for problem in found]
    return problems


def judged(folder: Path, states: Sequence[State]) -> list[str]:
    """What the program finds wrong when it is started again, works on and is asked; what is there and must not be."""
    opened = init_database(folder / DATABASE)
    if isinstance(opened, Err):
        return [opened.error.message]
    database = opened.value
    try:
        problems = _departed(state(folder, database), states)
        run = BatchRun("afterwards", "analyze-batch", "another", datetime(2026, 5, 16, tzinfo=UTC))
        begun = BatchRepository(database).begin_run(run, ("a question",), {})
    except (RuntimeError, sqlite3.DatabaseError) as error:
        return [str(error)]
    finally:
        database.close()
    return problems + ([begun.error.message] if isinstance(begun, Err) else []) + _unsound(folder / DATABASE)


def _departed(found: State, states: Sequence[State]) -> list[str]:
    gaps = [differing(found, wanted) for wanted in states]
    return [] if [] in gaps else [f"neither the old state nor the new one: {' or '.join(map(str, gaps))}"]


def _unsound(path: Path) -> list[str]:
    facts = examine_database(path, interrupted=lambda: False)
    if isinstance(facts, Err):
        return [facts.error.message]
    old = facts.value.schema_version != facts.value.newest_schema
    return [*facts.value.damage, *([f"schema {facts.value.schema_version}"] if old else [])]


def _applied(disk: Disk, call: Call | None) -> list[State]:
    """What was acknowledged by that call."""
    if call is None:
        disk.new_process()
        return []
    told = acknowledged(call)
    if told is not None:
        return [json.loads(told)]
    disk.apply(call)
    return []
