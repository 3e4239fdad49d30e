"""`database init|check|backup FILE|restore FILE`: the file that holds everything, looked after.

Only `init` makes or migrates it, only `restore` puts another one in its place, and nothing deletes one.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ivcrush.application.documents import Document, Json, moment
from ivcrush.cli.command import InputError, Outcome, Style, UsageError
from ivcrush.cli.exit_codes import Exit, exit_of
from ivcrush.cli.locked import alone
from ivcrush.cli.render.facts import render_facts
from ivcrush.domain.errors import Err, ErrorCode
from ivcrush.domain.operations import DatabaseFacts
from ivcrush.operations_container import OperationsContainer
from ivcrush.utils.text import printable

DATABASE_SCHEMA = "ivcrush.database/1"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done, and with which other file (None for `init` and `check`)."""

    action: str
    file: Path | None


def prepare(arguments: argparse.Namespace) -> Wanted:
    """What is wanted. Raises UsageError for a file name that cannot be meant, InputError for no backup."""
    text = getattr(arguments, "file", None)
    if text is None:
        return Wanted(arguments.action, None)
    path, shown = Path(text).absolute(), f"database {arguments.action}: {printable(text)}"
    if not text or not text.isprintable():
        raise UsageError(f"{shown}: a file name of printable characters is needed")
    if arguments.action == "backup":
        _refuse_target(path, shown)
    elif not path.is_file():
        raise InputError(f"{shown}: there is no such file; a backup is needed")
    return Wanted(arguments.action, path)


def operate(wanted: Wanted, operations: OperationsContainer, style: Style) -> Outcome:
    """Do it and tell what there is now. Raises InputError for a backup that cannot be used."""
    return _ACTIONS[wanted.action](wanted, operations, style)


def _refuse_target(path: Path, shown: str) -> None:
    if path.is_dir():
        raise UsageError(f"{shown}: is a directory; a new file name is needed")
    if os.path.lexists(path):
        raise UsageError(f"{shown}: exists already; a new file name is needed, a backup replaces nothing")
    if not path.parent.is_dir():
        raise UsageError(f"{shown}: {printable(str(path.parent))} is no directory; an existing one is needed")


def _init(wanted: Wanted, operations: OperationsContainer, style: Style) -> Outcome:
    made = operations.init_database()
    if isinstance(made, Err):
        return _refused(made)
    before, after = made.value
    if before is None:
        done = "made"
    elif before.schema_version < after.schema_version:
        done = f"migrated from schema {before.schema_version}"
    else:
        done = "found as it should be"
    return _told(wanted, operations, style, after, {"done": done})


def _check(wanted: Wanted, operations: OperationsContainer, style: Style) -> Outcome:
    found = operations.examine_database()
    if isinstance(found, Err):
        return _refused(found)
    holder = operations.run_holder()
    run: Json = None if isinstance(holder, Err) else holder.value
    return _told(wanted, operations, style, found.value, {"run_in_progress": run})


def _back_up(wanted: Wanted, operations: OperationsContainer, style: Style) -> Outcome:
    assert wanted.file is not None
    copied = operations.back_up(wanted.file)
    if isinstance(copied, Err):
        return _refused(copied)
    return _told(wanted, operations, style, copied.value, {"backup": str(wanted.file)})


def _restore(wanted: Wanted, operations: OperationsContainer, style: Style) -> Outcome:
    assert wanted.file is not None
    verified = operations.verify_backup(wanted.file)
    if isinstance(verified, Err):
        return _refused(_no_backup(wanted.file, verified))
    with alone(operations, "database restore") as lock:
        if isinstance(lock, Err):
            return _refused(lock)
        restored = operations.restore(wanted.file)
    if isinstance(restored, Err):
        return _refused(restored)
    aside = restored.value.set_aside
    places: Document = {"backup": str(wanted.file), "set_aside": None if aside is None else str(aside)}
    return _told(wanted, operations, style, restored.value.facts, places)


_ACTIONS: dict[str, Callable[[Wanted, OperationsContainer, Style], Outcome]] = {
    "init": _init,
    "check": _check,
    "backup": _back_up,
    "restore": _restore,
}


def _no_backup(backup: Path, failure: Err) -> Err:
    """The failure of a newer program's backup; raises InputError for a file that is no sound backup."""
    if failure.error.code is ErrorCode.CONFIG:
        return failure
    reason = failure.error.about("happened") or failure.error.message
    raise InputError(f"{backup}: {reason}; nothing was changed, another backup is needed")


def _refused(failure: Err) -> Outcome:
    return Outcome((), exit_of(failure.error), (failure.error.message,))


def _told(
    wanted: Wanted, operations: OperationsContainer, style: Style, facts: DatabaseFacts, special: Document
) -> Outcome:
    document: Document = {
        "schema": DATABASE_SCHEMA,
        "action": wanted.action,
        "as_of": moment(operations.as_of),
        "simulated": style.simulated,
        "path": str(operations.database_path),
        **special,
        **_facts_document(facts),
    }
    if facts.sound:
        return Outcome((render_facts(document, None, style),), Exit.DONE)
    line = f"{operations.database_path}: damaged ({facts.damage[0]}); restore a backup"
    return Outcome((render_facts(document, None, style),), Exit.STORAGE, (line,))


def _facts_document(facts: DatabaseFacts) -> Document:
    tables: Document = dict(facts.tables)
    return {
        "sound": facts.sound,
        "damage": list(facts.damage),
        "schema_version": facts.schema_version,
        "newest_schema": facts.newest_schema,
        "application_id": facts.application_id.to_bytes(4, "big").decode("ascii"),
        "journal_mode": facts.journal_mode,
        "size_bytes": facts.size_bytes,
        "log_bytes": facts.log_bytes,
        "page_size_bytes": facts.page_size_bytes,
        "pages": facts.pages,
        "free_pages": facts.free_pages,
        "remarks": list(facts.remarks),
        "tables": tables,
    }
