"""Keeps keys and tokens out of everything that leaves the program: logs, messages, reports.

Secrets are recognised by value, whatever carries them, so redaction comes before any truncation: half a token is no
longer found. One `Redactor` is built where the parts are wired and handed to whoever writes foreign text. It never
guesses what might be a secret, and never shows what it knows.
"""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
# A shorter secret is masked only where it stands alone: replaced inside words it would mangle every text, and the
# holes would spell it out.
SHORTEST_REPLACED_ANYWHERE = 4


class Redactor:
    """Replaces every known secret, also as it looks inside a URL, a JSON string or a `repr`, with `***`."""

    __slots__ = ("_pattern",)

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret.strip() for secret in secrets}
        forms = {form for secret in known if secret.strip("*") for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(_expression, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """The text without secrets; unchanged where it holds none."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def __repr__(self) -> str:
        return "Redactor(***)"


def _forms(secret: str) -> Iterator[str]:
    yield secret
    for encoded in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), encoded)
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]


def _expression(form: str) -> str:
    if len(form) >= SHORTEST_REPLACED_ANYWHERE:
        return re.escape(form)
    return rf"(?<![0-9A-Za-z]){re.escape(form)}(?![0-9A-Za-z])"
