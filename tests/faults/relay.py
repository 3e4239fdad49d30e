"""A provider of the test's own on a loopback port, and one that passes on what the simulated market says, changed."""

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.integration.conftest import Desk

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answers each request by `answer`, over TLS where there is a context; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET  # noqa: N815  the standard library's name

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that breaks off is what most of these tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def relayed(desk: Desk, change: Callable[[str, bytes], bytes]) -> Iterator[dict[str, str]]:
    """Both providers' addresses as settings; what the market answers to a question is first given to `change`."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        market = http.client.HTTPConnection("127.0.0.1", desk.market.port)
        kept = {name: value for name, value in handler.headers.items() if name.lower() not in {"host", "connection"}}
        market.request(handler.command, handler.path, sent, kept)
        found = market.getresponse()
        reply(handler, change(handler.path, found.read()), found.status)
        market.close()

    with serving(answer) as port:
        base = f"http://127.0.0.1:{port}"
        yield {"TRADIER_BASE_URL": f"{base}/v1", "ALPHA_VANTAGE_BASE_URL": f"{base}/query"}


def reply(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """A whole answer with its length."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
