"""Makes foreign text safe to show: on a terminal, in a log line, in a spreadsheet.

Names, tickers and error bodies come from files and from the network. Nothing here knows secrets: redact first, then
call these, because a shortened secret is no longer recognised.
"""

# Spreadsheets run a cell that begins so (CWE-1236; OWASP "CSV Injection", which names the full-width twins).
_FORMULA_STARTS = tuple("=+-@\t\r\n\0＝＋－＠")
_ELLIPSIS = "…"


def printable(text: str, limit: int = 200) -> str:
    """The text on one line, at most `limit` characters of it, with everything invisible written as an escape.

    Escaped are controls (ESC, C1, NUL, newlines, tabs), bidirectional marks, zero-width characters, unusual spaces and
    lone surrogates: what `str.isprintable` calls not printable. A text cut short ends with `…`.
    """
    shown = text if text.isprintable() else "".join(map(_visible, text[: limit + 1]))
    return shown if len(shown) <= limit else shown[: limit - 1] + _ELLIPSIS


def csv_cell(text: str) -> str:
    """A text cell that no spreadsheet takes for a formula: `'` before a dangerous first character.

    For text only: a negative number stays a number and never comes here.
    """
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
