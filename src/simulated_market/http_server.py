"""A small HTTP/1.1 server on asyncio: keep-alive, chunked replies, and every way a connection can misbehave on order.

It parses requests and sends deliveries; what to answer is the application's. No TLS, no pipelining, loopback only.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from email.utils import formatdate

from simulated_market.application import Application, Delivery
from simulated_market.faults import Conduct
from simulated_market.messages import Framing, Reply, parse_request

_LARGEST_REQUEST = 4_000_000
_DRIP_PAUSE_S = 0.2
_ENDLESS_CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
_LABEL = b"Server: simulated-market\r\n"


class Gauge:
    """The open connections, how many requests are being answered, and the most there ever were at once."""

    def __init__(self) -> None:
        self.open: set[Connection] = set()
        self.connections = 0
        self.in_flight = 0
        self.max_in_flight = 0

    def enter(self) -> None:
        """One more under way."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def reading(self) -> dict[str, object]:
        """The counts by name."""
        return {"connections": self.connections, "max_in_flight": self.max_in_flight}


class Connection(asyncio.Protocol):
    """One client connection: requests one after the other, each answered before the next is read."""

    def __init__(self, application: Application, gauge: Gauge) -> None:
        self._application = application
        self._gauge = gauge
        self._received = b""
        self._busy = False
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a client came."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._gauge.connections += 1
        self._gauge.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """asyncio: the client left; a reply under way is given up."""
        self._transport = None
        self._gauge.open.discard(self)
        if self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        """Drops the client without a word: the market closes."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """asyncio: more of a request."""
        self._received += data
        if len(self._received) > _LARGEST_REQUEST:
            self._end()
        elif not self._busy:
            self._serve_next()

    def _serve_next(self) -> None:
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        line, *fields = head.decode("latin-1").split("\r\n")
        words = line.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        length = headers.get("content-length", "0")
        if len(words) != 3 or not length.isdigit():
            self._write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self._end()
            return
        if len(rest) < int(length):
            return
        body, self._received = rest[: int(length)], rest[int(length) :]
        self._gauge.enter()
        delivery = self._application.handle(parse_request(words[0], words[1], headers, body))
        keep_alive = headers.get("connection", "").lower() != "close" and words[2] == "HTTP/1.1"
        self._deliver(delivery, keep_alive=keep_alive)

    def _deliver(self, delivery: Delivery, *, keep_alive: bool) -> None:
        if delivery.conduct is Conduct.NORMAL and delivery.delay_s == 0.0:
            self._send_whole(delivery.reply, keep_alive=keep_alive)
            return
        self._busy = True
        self._task = asyncio.get_running_loop().create_task(self._deliver_slowly(delivery, keep_alive=keep_alive))
        self._task.add_done_callback(self._settle)

    def _settle(self, task: asyncio.Task[None]) -> None:
        if self._task is not task:  # the next request on this connection is already under way
            return
        if self._busy:  # given up before its end
            self._gauge.in_flight -= 1
        self._busy = False
        self._task = None

    def _send_whole(self, reply: Reply, *, keep_alive: bool) -> None:
        self._write(self._head(reply, keep_alive=keep_alive) + framed(reply))
        self._gauge.in_flight -= 1
        self._busy = False
        if not keep_alive or reply.framing is Framing.UNTIL_CLOSE:
            self._end()
        elif self._received:
            self._serve_next()

    async def _deliver_slowly(self, delivery: Delivery, *, keep_alive: bool) -> None:
        if delivery.delay_s > 0.0:
            await asyncio.sleep(delivery.delay_s)
        if delivery.conduct is Conduct.NORMAL:
            self._send_whole(delivery.reply, keep_alive=keep_alive)
            return
        await self._misbehave(delivery)

    async def _misbehave(self, delivery: Delivery) -> None:
        head, body = self._head(delivery.reply, keep_alive=False), framed(delivery.reply)
        match delivery.conduct:
            case Conduct.RESET:
                self._reset()
            case Conduct.RESET_IN_HEADERS:
                await self._send_then_reset(head[: len(head) // 2])
            case Conduct.RESET_IN_BODY:
                await self._send_then_reset(head + body[: len(body) // 2])
            case Conduct.TRUNCATE:
                # Cut at the end of a line, a table would be a whole table, which nobody could tell.
                self._write(head + body[: len(body) // 2].removesuffix(b"\n"))
            case Conduct.DRIP:
                await self._drip(head + body)
            case Conduct.DRIP_BODY:
                self._write(head)
                await self._drip(body)
            case Conduct.SILENT:
                await asyncio.Event().wait()
            case Conduct.ENDLESS:
                await self._send_for_ever(head)
        self._end()

    async def _send_then_reset(self, data: bytes) -> None:
        self._write(data)
        await asyncio.sleep(0.02)  # or the reset would overtake the bytes
        self._reset()

    async def _drip(self, data: bytes) -> None:
        for index in range(len(data)):
            self._write(data[index : index + 1])
            await asyncio.sleep(_DRIP_PAUSE_S)

    async def _send_for_ever(self, head: bytes) -> None:
        self._write(head.replace(b"Content-Length", b"X-Content-Length"))
        while self._transport is not None:
            self._write(_ENDLESS_CHUNK)
            await asyncio.sleep(0.005)

    def _head(self, reply: Reply, *, keep_alive: bool) -> bytes:
        date = formatdate(self._application.date_header_s(), usegmt=True)
        lines = [
            f"HTTP/1.1 {reply.status} {reply.reason}",
            f"Content-Type: {reply.content_type}",
            f"Date: {date}",
            "Access-Control-Allow-Origin: *",
            *(f"{name}: {value}" for name, value in reply.headers),
            f"Connection: {'keep-alive' if keep_alive and reply.framing is not Framing.UNTIL_CLOSE else 'close'}",
        ]
        if reply.framing is Framing.CHUNKED:
            lines.append("Transfer-Encoding: chunked")
        elif reply.framing is Framing.LENGTH:
            lines.append(f"Content-Length: {len(reply.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n" + _LABEL + b"\r\n"

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _end(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _reset(self) -> None:
        if self._transport is not None:
            found = self._transport.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()


def framed(reply: Reply) -> bytes:
    """The body as it goes over the wire: one chunk and the last one, or as it is."""
    if reply.framing is not Framing.CHUNKED:
        return reply.body
    size = b"%x\r\n" % len(reply.body)
    return (size + reply.body + b"\r\n" if reply.body else b"") + b"0\r\n\r\n"


async def listen(application: Application, gauge: Gauge, port: int) -> asyncio.Server:
    """A server on the loopback port, 0 for any free one."""
    loop = asyncio.get_running_loop()
    factory: Callable[[], Connection] = lambda: Connection(application, gauge)  # noqa: E731 - typed for asyncio
    return await loop.create_server(factory, "127.0.0.1", port, backlog=512)
