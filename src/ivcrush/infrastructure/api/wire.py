"""One request on the wire: the HTTP library as requests use it, from the connection to the last byte.

No exception of the library leaves. Never follows redirects, never reads proxies, `.netrc` or certificate paths from the
environment (`trust_env=False`): the bearer token goes to the configured host and nowhere else. TLS is verified against
certifi's roots. `timeout_s` is the total time of one request from connecting to the last byte.
"""

import asyncio
import importlib.util
import logging
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ivcrush.domain.errors import AppError, Err, ErrorCode
from ivcrush.infrastructure.api.body import read_body
from ivcrush.infrastructure.api.dialect import Answer, Verdict
from ivcrush.infrastructure.api.json_wire import BOM
from ivcrush.utils.performance import track_performance

if TYPE_CHECKING:
    import httpx

MAX_BODY_BYTES = 20_000_000

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask; `parameters` may hold a key and are never shown. With `form` it is a POST."""

    path: str
    parameters: Pairs = field(default=(), repr=False)
    form: Pairs = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider lives and what every request to it carries; headers are secret."""

    base_url: str
    headers: Pairs = field(default=(), repr=False)

    @property
    def host(self) -> str:
        """The only part of an address that messages name."""
        return urlsplit(self.base_url).hostname or self.base_url


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one request may cost: seconds in all, decoded bytes, and how many may be under way at once."""

    timeout_s: float = 30.0
    max_body_bytes: int = MAX_BODY_BYTES
    max_concurrent: int = 10


class Wire:
    """The connections to one provider, one a request under way; the HTTP library is loaded at the first request."""

    def __init__(self, endpoint: Endpoint, bounds: Bounds, utc_now: Callable[[], datetime]) -> None:
        self._endpoint = endpoint
        self._bounds = bounds
        self._utc_now = utc_now
        self._idle: list[httpx.AsyncClient] = []
        self._verify: ssl.SSLContext | None = None

    async def aclose(self) -> None:
        """Closes the connections; the wire may be used again."""
        while self._idle:
            await self._idle.pop().aclose()

    @track_performance(name="request on the wire", threshold_s=10.0)
    async def ask(self, request: Request) -> Answer | Verdict:
        """The answer, or the verdict on a way that failed; the total deadline covers the last byte of the body."""
        import httpx

        try:
            async with asyncio.timeout(self._bounds.timeout_s):
                return await self._receive(request)
        except TimeoutError:
            return _passing(ErrorCode.TIMEOUT, f"no complete answer within {self._bounds.timeout_s:g} s")
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as fault:
            return Verdict(AppError(ErrorCode.CONFIG, f"token or address unusable ({type(fault).__name__})"))
        except httpx.TransportError as fault:
            refusal = _tls_refusal(fault)
            if refusal is not None:
                return Verdict(AppError(ErrorCode.EXTERNAL, f"TLS: {refusal}"))
            return _passing(ErrorCode.EXTERNAL, f"connection failed ({type(fault).__name__})")

    async def _receive(self, request: Request) -> Answer | Verdict:
        """By the client that was idle last: its connection is the likeliest to be open still."""
        client = self._idle.pop() if self._idle else self._client()
        try:
            return await self._receive_by(client, request)
        finally:
            self._idle.append(client)

    async def _receive_by(self, client: "httpx.AsyncClient", request: Request) -> Answer | Verdict:
        async with client.stream(
            "POST" if request.form else "GET",
            self._endpoint.base_url.rstrip("/") + request.path,
            params=list(request.parameters),
            data=dict(request.form) or None,
        ) as response:
            headers = dict(response.headers)
            coding = headers.get("content-encoding", "")
            body = await read_body(response.aiter_raw(), coding, self._bounds.max_body_bytes)
            if isinstance(body, Err):
                transient = body.error.code is ErrorCode.EXTERNAL
                return Verdict(body.error, again=transient, sick=transient)
            return Answer(response.status_code, headers, body.value.removeprefix(BOM), self._utc_now())

    def _client(self) -> "httpx.AsyncClient":
        """A client with one connection; of several in one pool every request looks over all, for half its own time."""
        import httpx

        if self._verify is None:
            _calm_libraries()
            _spare_the_search_for_sniffio()
            self._verify = _trust(self._endpoint.base_url)
        return httpx.AsyncClient(
            headers=[*self._endpoint.headers, ("Accept-Encoding", "gzip"), ("User-Agent", "ivcrush")],
            timeout=None,  # noqa: S113  the total deadline is stricter than any of httpx's
            follow_redirects=False,
            trust_env=False,
            verify=self._verify,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        )


def _calm_libraries() -> None:
    for chatty in ("httpx", "httpcore"):  # their lines below WARNING hold whole URLs, keys included
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _spare_the_search_for_sniffio() -> None:
    """Says once that there is no sniffio: None in `sys.modules` is Python's word for that (reference, 5.3.1).

    httpcore 1.0 asks for that module at every lock, event and close, to learn whether it runs under trio, and takes its
    absence for asyncio. anyio no longer brings it, and Python searches the whole path again for a module that it did
    not find: more than a quarter of the processor time of a small request. To install it would be as fast, and one
    package more to trust; a backend or transport of our own would not help, since the locks lie beneath both.
    """
    if importlib.util.find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]


def _passing(code: ErrorCode, message: str) -> Verdict:
    return Verdict(AppError(code, message), again=True, sick=True)


def _trust(base_url: str) -> ssl.SSLContext:
    """certifi's roots; for plain http on loopback an empty context, which trusts nobody and loads in no time."""
    import httpx

    https = urlsplit(base_url).scheme == "https"
    return httpx.create_ssl_context(trust_env=False) if https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _tls_refusal(fault: BaseException | None) -> str | None:
    """Why TLS was refused, None where the fault is another; a connection cut during the handshake may pass."""
    while fault is not None:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return fault.verify_message
        if isinstance(fault, ssl.SSLError) and not isinstance(fault, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return fault.reason or "handshake failed"
        fault = fault.__cause__ or fault.__context__
    return None
