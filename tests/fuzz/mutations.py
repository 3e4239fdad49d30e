"""From a sound text to a broken one: bytes flipped, inserted, lost, doubled, cut and spliced, and values exchanged.

Everything is drawn from the `Random` that the caller gives: the same seed breaks the same texts in the same way.
"""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

LONGEST = 60_000
# What has broken parsers before: numbers that are none, digits of other scripts, depth, length, control characters.
HOSTILE: tuple[bytes, ...] = (
    b"NaN", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"0", b"-0.0", b"-1", b'"NaN"', b'"-"', b'"None"', b'""',
    b'"1,234"', '"１２"'.encode(), b'"1_000"', b"9" * 400, b"1" + b"0" * 400 + b".5", b"[" * 300, b'{"a":' * 300,
    b"null", b"{}", b"[]", b"true", b'"\\ud800"', b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b'"', b",", b"\\",
    b"2026-02-30", b"0000-00-00", b"9999-12-31", b"1970-01-01", b"99999999999999999999", b"\x1b[31m", b"=1+1", b"\t",
    "\u202e".encode(), b"<html>", b"9223372036854775808", b"1E400", b"0x10", b"1e308", b"5e-324", b"253402300800000",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e308, -1e308, 10**400, 2**63, float("nan"), float("inf"), "", "NaN", "-", "None", "1,234",
    "１２", "1_000", "x" * 5000, "\ud800", "\x00", "2026-02-30", "9999-12-31", "0001-01-01", [], {}, [[]], [None],
    {"": None}, "null", "AAPL", "put", "call", 1e11, 253402300800000.0, 5e-324,
)  # fmt: skip


def mutated(seed: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    """One to four changes, one after the other; half begin with the values where the text is JSON."""
    text = seed
    if chance.random() < 0.5:
        text = _json_exchanged(text, chance)
        if chance.random() < 0.7:  # well formed, and wrong
            return text[:LONGEST]
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        text = chance.choice(_CHANGES)(text, others, chance)
    return text[:LONGEST]


def _place(text: bytes, chance: Random) -> int:
    return chance.randrange(len(text) + 1)


def _flip(text: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    if not text:
        return text
    at = chance.randrange(len(text))
    return text[:at] + bytes([text[at] ^ (1 << chance.randrange(8))]) + text[at + 1 :]


def _insert(text: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    at = _place(text, chance)
    return text[:at] + chance.randbytes(chance.randint(1, 4)) + text[at:]


def _insert_hostile(text: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    at, over = _place(text, chance), chance.choice((0, 0, 1, 4, 10))
    return text[:at] + chance.choice(HOSTILE) + text[at + over :]


def _delete(text: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    at = _place(text, chance)
    return text[:at] + text[at + chance.choice((1, 1, 2, 8, 64)) :]


def _duplicate(text: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    at, size = _place(text, chance), chance.choice((1, 8, 64, 512))
    return text[: at + size] + text[at:]


def _truncate(text: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    return text[: _place(text, chance)]


def _splice(text: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    other = chance.choice(others)
    return text[: _place(text, chance)] + other[_place(other, chance) :]


_CHANGES: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    _flip, _insert, _insert_hostile, _insert_hostile, _delete, _duplicate, _truncate, _splice,
)  # fmt: skip


def _json_exchanged(text: bytes, chance: Random) -> bytes:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for _ in range(chance.choice((1, 1, 2, 4))):
        exchange(tree, chance)
    return json.dumps(tree).encode()


def exchange(tree: Any, chance: Random) -> None:
    """Exchanges, loses, wraps or doubles one of the values inside, in place."""
    holder = tree
    while isinstance(holder, dict | list) and holder:
        key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if not isinstance(holder[key], dict | list) or not holder[key] or chance.random() < 0.1:
            _change(holder, key, chance)
            return
        holder = holder[key]


def _change(holder: Any, key: Any, chance: Random) -> None:
    match chance.randrange(8):
        case 0:
            del holder[key]
        case 1:
            holder[key] = [holder[key]]
        case 2 if isinstance(holder, list):
            holder.append(deepcopy(holder[key]))
        case 3 if isinstance(holder[key], str):
            holder[key] = mutated_word(holder[key], chance)
        case _:
            holder[key] = deepcopy(chance.choice(VALUES))  # a later change is to this one alone


def mutated_word(word: str, chance: Random) -> str:
    """A part of a word, or a word with something foreign in it."""
    at = chance.randrange(len(word) + 1)
    return chance.choice((word[:at], word[at:], word[:at] + chance.choice("\x00/. -+９\ud800") + word[at:]))
