"""Who is told of a failure, by which way, and what: real curl against servers of ours, a journal that is given."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, TCPServer

import pytest

from tests.deploy.unit_files import DEPLOY

JOURNAL = 'level=ERROR event="no \\"quotes\\" for you"\tö \x1b[31m\nlast \\ line'
FAILED = {"MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_STATUS": "77", "MONITOR_INVOCATION_ID": "ab12"}


class Heard:
    """What a server was told, in order."""

    def __init__(self, server: TCPServer) -> None:
        self.server = server
        self.told: list[tuple[str, bytes]] = []
        self.status = 200

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])


def serving(handler: type, server_class: type[TCPServer]) -> Iterator[Heard]:
    with server_class(("127.0.0.1", 0), handler) as server:
        heard = Heard(server)
        handler.heard = heard  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


@pytest.fixture
def web() -> Iterator[Heard]:
    """An HTTP server that takes everything."""

    class Handler(BaseHTTPRequestHandler):
        heard: Heard

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self.heard.told.append((f"{self.command} {self.path}", self.rfile.read(length)))
            self.send_response(self.heard.status)
            self.end_headers()

        do_GET = do_POST = answer  # noqa: N815  the names are the library's

        def log_message(self, *arguments: object) -> None:
            """Keep the tests' output clean."""

    yield from serving(Handler, HTTPServer)


@pytest.fixture
def mail() -> Iterator[Heard]:
    """A mail server (RFC 5321) that takes every message."""

    class Handler(StreamRequestHandler):
        heard: Heard

        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                verb = line.split(b" ")[0].strip().upper()
                if verb == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.heard.told.append((line.decode().strip(), b""))
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    body = b""
                    while not body.endswith(b"\r\n.\r\n"):
                        body += self.rfile.readline()
                    self.heard.told.append(("", body))
                self.wfile.write(b"250 ok\r\n")

    yield from serving(Handler, TCPServer)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of commands in which `journalctl` has these lines to tell."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl (package curl)")
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "journal").write_text(JOURNAL)
    write(folder / "journalctl", f'echo "$*" >{tmp_path}/asked; cat {tmp_path}/journal')
    return folder


def write(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(script: str, tools: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "TMPDIR": str(tools.parent), **settings}
    command = [str(DEPLOY / "libexec" / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def alert(tools: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    return run("alert", tools, "ivcrush.service", **settings)


def test_a_webhook_is_told_unit_host_meaning_and_last_lines_as_json(tools: Path, web: Heard) -> None:
    finished = alert(tools, IVCRUSH_ALERT_WEBHOOK=f"http://127.0.0.1:{web.port}/hook?token=canary", **FAILED)
    assert (finished.returncode, finished.stderr) == (0, "")
    ((request, body),) = web.told
    assert request == "POST /hook?token=canary"
    said = json.loads(body)
    assert said.keys() == {"text"}
    host = os.uname().nodename
    assert said["text"] == (
        f"ivcrush.service on {host} ended with 77: a key was refused.\n"
        "Look: journalctl -u ivcrush.service -n 100\n\n"
        "Last log lines:\n"
        'level=ERROR event="no \\"quotes\\" for you"\tö [31m\nlast \\ line\n'
    )
    assert (tools.parent / "asked").read_text().split()[-1] == "_SYSTEMD_INVOCATION_ID=ab12"


def test_a_long_line_is_cut_between_letters(tools: Path, web: Heard) -> None:
    (tools.parent / "journal").write_text("x" + "ö" * 300)
    alert(tools, IVCRUSH_ALERT_WEBHOOK=f"http://127.0.0.1:{web.port}/", **FAILED)
    ((_, body),) = web.told
    assert json.loads(body)["text"].splitlines()[-1] == "x" + "ö" * 199  # of 400 bytes


def test_a_mailbox_is_told_by_smtp(tools: Path, mail: Heard) -> None:
    finished = alert(
        tools,
        IVCRUSH_ALERT_EMAIL="you@example.com",
        IVCRUSH_ALERT_SMTP_URL=f"smtp://127.0.0.1:{mail.port}",
        IVCRUSH_ALERT_FROM="ivcrush@example.com",
        **FAILED,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    lines = [line for line, _ in mail.told]
    assert "RCPT TO:<you@example.com>" in lines
    assert any(line.startswith("MAIL FROM:<ivcrush@example.com>") for line in lines)
    (message,) = [body.decode() for _, body in mail.told if body]
    head, _, text = message.partition("\r\n\r\n")
    assert f"Subject: ivcrush.service failed on {os.uname().nodename}\r\n" in head
    assert text.startswith(f"ivcrush.service on {os.uname().nodename} ended with 77: a key was refused.\r\n")
    assert "\x1b" not in text


def test_one_way_that_fails_does_not_keep_the_other_from_being_tried(tools: Path, web: Heard, mail: Heard) -> None:
    web.status = 404
    finished = alert(
        tools,
        IVCRUSH_ALERT_WEBHOOK=f"http://127.0.0.1:{web.port}/canary",
        IVCRUSH_ALERT_EMAIL="you@example.com",
        IVCRUSH_ALERT_SMTP_URL=f"smtp://127.0.0.1:{mail.port}",
    )
    assert finished.returncode == 1
    assert "IVCRUSH_ALERT_WEBHOOK: could not be told of ivcrush.service" in finished.stderr
    assert "canary" not in finished.stderr + finished.stdout
    assert [body for _, body in mail.told if body]


def test_nobody_to_tell_is_said_in_the_journal_and_is_no_failure(tools: Path) -> None:
    finished = alert(tools, **FAILED)
    assert finished.returncode == 0
    assert finished.stdout.splitlines() == [
        f"ivcrush.service on {os.uname().nodename} ended with 77: a key was refused.",
        "nobody to tell: set IVCRUSH_ALERT_WEBHOOK or IVCRUSH_ALERT_EMAIL in /etc/ivcrush/ivcrush.env",
    ]


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"MONITOR_SERVICE_RESULT": "timeout"}, "took longer than its TimeoutStartSec= and was stopped."),
        ({"MONITOR_SERVICE_RESULT": "oom-kill"}, "took more memory than its MemoryMax= and was killed."),
        ({"MONITOR_SERVICE_RESULT": "signal", "MONITOR_EXIT_STATUS": "KILL"}, "failed: signal KILL."),
        (
            {"MONITOR_SERVICE_RESULT": "start-limit-hit", "MONITOR_EXIT_STATUS": "69"},
            "ended with 69: a provider is unavailable, after several attempts.",
        ),
        (
            {"MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_STATUS": "243"},
            "ended with 243: a key file is missing in /etc/ivcrush/credentials.",
        ),
        ({}, "failed (systemd did not say how)."),
    ],
    ids=["too long", "memory", "a signal", "retries", "a key file", "an older systemd"],
)
def test_the_first_line_says_how_it_failed(tools: Path, told: dict[str, str], line: str) -> None:
    assert alert(tools, **told).stdout.splitlines()[0].endswith(line)


def test_no_address_stands_on_a_command_line_and_none_of_the_environment_is_sent(tools: Path) -> None:
    seen = tools.parent / "seen"
    write(
        tools / "curl",
        f'echo "$*" >>{seen}; cat >/dev/null; for file do [ ! -f "${{file#@}}" ] || cat "${{file#@}}" >>{seen}; done',
    )
    settings = {
        "IVCRUSH_ALERT_WEBHOOK": "https://hooks.example.com/canary",
        "IVCRUSH_ALERT_EMAIL": "you@example.com",
        "IVCRUSH_ALERT_SMTP_URL": "smtp://user:canary@mail.example.com:587",
        "TRADIER_API_KEY": "canary",
    }
    assert alert(tools, **settings).returncode == 0
    text = seen.read_text()
    assert "canary" not in text
    assert "last \\ line" in text
    assert "--ssl-reqd" in text  # whoever is not this machine is told in secret


def test_the_heartbeat_asks_its_address_and_only_where_one_is_set(tools: Path, web: Heard) -> None:
    assert run("heartbeat", tools).returncode == 0
    assert web.told == []
    finished = run("heartbeat", tools, IVCRUSH_HEARTBEAT_URL=f"http://127.0.0.1:{web.port}/ping/canary")
    assert (finished.returncode, finished.stdout + finished.stderr) == (0, "")
    assert web.told == [("GET /ping/canary", b"")]
    web.status = 404
    refused = run("heartbeat", tools, IVCRUSH_HEARTBEAT_URL=f"http://127.0.0.1:{web.port}/ping/canary")
    assert refused.returncode != 0
    assert "canary" not in refused.stderr
