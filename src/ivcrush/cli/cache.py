"""`cache stats|clear|clean`: what level 2 of the reply cache holds, and what may go. Makes no cache file.

Level 1 is in the memory of each run and ends with it: there is nothing to count or clear between runs.
"""

import argparse

from ivcrush.application.documents import Document, Json, moment
from ivcrush.cli.command import Outcome, Style
from ivcrush.cli.exit_codes import Exit, exit_of
from ivcrush.cli.render.facts import render_facts
from ivcrush.domain.errors import Err
from ivcrush.domain.operations import CacheState, RepliesOfKind
from ivcrush.operations_container import OperationsContainer

CACHE_SCHEMA = "ivcrush.cache/1"


def prepare(arguments: argparse.Namespace) -> str:
    """What is to be done."""
    return str(arguments.action)


def operate(action: str, operations: OperationsContainer, style: Style) -> Outcome:
    """Do it and tell what there is, or what has gone."""
    return _stats(operations, style) if action == "stats" else _emptied(action, operations, style)


def _stats(operations: OperationsContainer, style: Style) -> Outcome:
    counted = operations.count_replies()
    if isinstance(counted, Err):
        return Outcome((), exit_of(counted.error), (counted.error.message,))
    facts = counted.value
    kinds: list[Json] = [_kind_document(kind) for kind in facts.kinds]
    document = _head("stats", operations, style) | {
        "state": facts.state,
        "working": facts.state is not CacheState.SWITCHED_OFF,  # what could not be used is an error
        "entries": sum(kind.entries for kind in facts.kinds),
        "expired": sum(kind.expired for kind in facts.kinds),
        "payload_bytes": sum(kind.payload_bytes for kind in facts.kinds),
        "file_bytes": facts.file_bytes,
        "level_1": f"in the memory of each run for up to {operations.memory_cache_life_s:g} s, ends with the run",
        "kinds": kinds,
    }
    return Outcome((render_facts(document, "kinds", style),), Exit.DONE)


def _emptied(action: str, operations: OperationsContainer, style: Style) -> Outcome:
    cleaned = operations.clear_cache() if action == "clear" else operations.clean_cache()
    if isinstance(cleaned, Err):
        return Outcome((), exit_of(cleaned.error), (cleaned.error.message,))
    document = _head(action, operations, style) | {
        "state": cleaned.value.state,
        "removed": cleaned.value.removed,
        "bytes_before": cleaned.value.bytes_before,
        "bytes_after": cleaned.value.bytes_after,
    }
    return Outcome((render_facts(document, None, style),), Exit.DONE)


def _head(action: str, operations: OperationsContainer, style: Style) -> Document:
    return {
        "schema": CACHE_SCHEMA,
        "action": action,
        "as_of": moment(operations.as_of),
        "simulated": style.simulated,
        "path": str(operations.cache_path),
    }


def _kind_document(kind: RepliesOfKind) -> Document:
    return {
        "kind": kind.kind,
        "entries": kind.entries,
        "expired": kind.expired,
        "payload_bytes": kind.payload_bytes,
        "oldest_at": moment(kind.oldest_at),
        "newest_at": moment(kind.newest_at),
    }
