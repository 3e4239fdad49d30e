"""A health document as text: a line a check for people, the alarms marked; JSON and CSV for programs."""

from ivcrush.application.documents import Document
from ivcrush.cli.command import Style
from ivcrush.cli.render.documents import json_text, rows
from ivcrush.cli.render.flat import csv_text
from ivcrush.cli.render.table import aligned

_GREEN, _RED, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"
_HEADING = ["state", "check", "ms", "detail"]
_SIMULATED = "SIMULATED MARKET: the providers below are invented"


def render_health(document: Document, style: Style) -> str:
    """In CSV a row a check, without the verdict: that is the exit code."""
    if style.form == "json":
        return json_text(document)
    checks = rows(document, "checks")
    if style.form == "csv":
        return csv_text([check | {"simulated": document["simulated"]} for check in checks])
    lines = [_SIMULATED, ""] if style.simulated else []
    lines += aligned([_HEADING, *(_row(check, style) for check in checks)])
    sick = [str(check["name"]) for check in checks if not check["healthy"]]
    lines += ["", f"unhealthy: {', '.join(sick)}" if sick else "healthy"]
    return "\n".join(lines) + "\n"


def _row(check: Document, style: Style) -> list[str]:
    word, color = ("ok", _GREEN) if check["healthy"] else ("ALARM", _RED)
    shown = f"{color}{word}{_PLAIN}" if style.color else word
    return [shown, str(check["name"]), f"{check['latency_ms']}", str(check["detail"])]
