"""Requests and replies as values: what the dialects understand and answer, before anything is a byte on a socket."""

import json
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape


class Framing(Enum):
    """How the end of a body is marked."""

    CHUNKED = "chunked"
    LENGTH = "length"
    UNTIL_CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: parameters of the query and of a form body together, header names in lower case."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def function(self) -> str:
        """Alpha Vantage's function, upper case, empty for Tradier."""
        return self.parameters.get("function", "").upper()

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol the request names."""
        named = (self.parameters.get(key, "") for key in ("symbol", "symbols", "underlying"))
        return tuple(part.strip() for text in named for part in text.split(",") if part.strip())

    @property
    def identity(self) -> str:
        """The same for the same question, whoever asks: no key, no token, sorted parameters."""
        asked = sorted((key, value) for key, value in self.parameters.items() if key != "apikey")
        return f"{self.path}?{'&'.join(f'{key}={value}' for key, value in asked)}"


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply; `headers` win over rate headers of the same name."""

    body: bytes
    status: int = 200
    reason: str = ""
    content_type: str = "application/json;charset=UTF-8"
    headers: tuple[tuple[str, str], ...] = ()
    framing: Framing = Framing.CHUNKED
    rate_headers: bool = True  # whether the rate window's headers go with it


def refusal(status: int, reason: str, text: str) -> Reply:
    """A plain-text error with its length."""
    return Reply(text.encode(), status, reason, "text/plain", framing=Framing.LENGTH)


def parse_request(method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
    """The request value of one request line, header fields and body; form fields join the query's."""
    parts = urlsplit(target)
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    if method == "POST" and "form" in headers.get("content-type", ""):
        parameters |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return Request(method, parts.path, parameters, headers, body)


def encode_json(value: object, *, indent: int | None = None) -> bytes:
    """JSON bytes: compact as Tradier sends it, or indented as Alpha Vantage does."""
    separators = (",", ":") if indent is None else None
    return json.dumps(value, separators=separators, indent=indent).encode()


def encode_xml(value: object) -> bytes:
    """The XML form of a Tradier answer: keys are elements, list items repeat theirs, null is an empty element."""
    return b'<?xml version="1.0" encoding="UTF-8"?>' + _elements(value).encode()


def _elements(value: object) -> str:
    if isinstance(value, dict):
        return "".join(_repeated(str(key), item) for key, item in value.items())
    return "" if value is None else escape(str(value).lower() if isinstance(value, bool) else str(value))


def _repeated(key: str, value: object) -> str:
    items = value if isinstance(value, list) else [value]
    return "".join(f"<{key}>{_elements(item)}</{key}>" for item in items)
