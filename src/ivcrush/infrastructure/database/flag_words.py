"""How a value's flags stand in one column: a JSON list of words, searchable, never split wrongly."""

import json


def flags_text(flags: tuple[str, ...]) -> str:
    """The column's text; `[]` for none."""
    return json.dumps(flags)


def parse_flags(text: str) -> tuple[str, ...]:
    """The flags as saved. Raises ValueError for text that is no JSON."""
    return tuple(str(flag) for flag in json.loads(text))
