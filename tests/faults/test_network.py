"""Faults 33 to 43: the way to the providers. What may pass is tried again, within bounds; the rest is told at once."""

import shutil
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import certifi
import pytest

from simulated_market import FaultRule
from tests.faults.relay import relayed, reply, serving
from tests.faults.season import asked, asked_so_far, batch, cached, companies, document, outcomes, weather
from tests.faults.verdict import ends
from tests.integration.conftest import AS_OF, TOKEN, Desk

IMPATIENT = {"REQUEST_TIMEOUT": "1.5", "RETRY_MAX_ATTEMPTS": "1"}
CHAINS = "options/chains"
# One report, named as far as it can be: then the options' provider alone is asked before anything can fail.
NAMED = ("analyze", "AAPL", "--earnings-date", "2026-05-18", "--timing", "AMC", "--log-level", "ERROR")


@pytest.mark.fault(33)
def test_a_host_that_has_no_address_is_named_without_path_or_token_and_asked_five_times_at_most(desk: Desk) -> None:
    lost = {"TRADIER_BASE_URL": "https://nobody.invalid/v1", "ALPHA_VANTAGE_BASE_URL": "https://noone.invalid/query"}
    for command in (NAMED, ("analyze", "AAPL", "--log-level", "DEBUG"), ("backfill", "AAPL")):
        finished = desk.run(*command, **lost)
        assert finished.code == 69
        assert "connection failed (ConnectError)" in finished.err
        assert "/query" not in finished.err
    ends(desk.run(*NAMED, **lost), 69, "AAPL: EXTERNAL: nobody.invalid: ", "connection failed (ConnectError)")
    tickers = companies(desk)
    run = batch(desk, tickers, TRADIER_BASE_URL=lost["TRADIER_BASE_URL"])
    assert run.code == 69
    assert set(outcomes(run, tickers).values()) == {"EXTERNAL"}
    assert "nobody.invalid: " in run.err
    assert "/v1" not in run.err
    assert cached(desk).keys() == {key for key in cached(desk) if "EARNINGS" in key}  # the other provider was there


@pytest.mark.fault(34)
def test_nobody_at_the_port_is_told_by_host(desk: Desk) -> None:
    for url in ("http://127.0.0.1:9/v1", "https://127.0.0.1:9/v1"):
        run = desk.run(*NAMED, TRADIER_BASE_URL=url)
        ends(run, 69, "AAPL: EXTERNAL: 127.0.0.1: ")


@pytest.mark.fault(34)
@pytest.mark.parametrize("fault", ["reset_before", "reset_in_headers", "reset_in_body", "empty_reply"])
def test_a_connection_cut_at_any_point_is_tried_three_times_and_costs_one_company(desk: Desk, fault: str) -> None:
    tickers = companies(desk)
    weather(desk, FaultRule(fault, path="expirations", symbol=tickers[2]))
    since = asked_so_far(desk)
    run = batch(desk, tickers)
    ends(run, 3, f"{tickers[2]}: EXTERNAL: 127.0.0.1: connection failed")
    assert outcomes(run, tickers) == dict.fromkeys(tickers, "done") | {tickers[2]: "EXTERNAL"}
    assert list(asked(desk, f"expirations?symbol={tickers[2]}", since).values()) == [3]


PASSING = (
    "reset_before", "reset_in_headers", "reset_in_body", "empty_reply", "truncate_length", "truncate_chunked",
    "truncate_without_length", "200_html", "200_empty", "200_not_json", "200_garbage", "200_gzip_garbage", "502",
)  # fmt: skip


@pytest.mark.fault(34, 37, 38)
def test_a_fault_that_passes_leaves_no_trace_in_the_report_or_the_cache(desk: Desk) -> None:
    undisturbed = desk.run("analyze", "AAPL", "--format", "json", CACHE_PATH="other.db", DB_PATH="other-own.db")
    for fault in PASSING:
        weather(desk, FaultRule(fault, path=CHAINS, attempts=(1,)), FaultRule(fault, path="EARNINGS", attempts=(1,)))
        # Nine chains fail once each; that there is no outage behind it is not this test's question.
        run = desk.run("analyze", "AAPL", "--format", "json", CIRCUIT_BREAKER_FAILURE_THRESHOLD="50")
        ends(run, 0)
        assert run.out == undisturbed.out, fault
        assert cached(desk) == cached(desk, "other.db"), fault
        shutil.rmtree(desk.directory / "data")


@pytest.mark.fault(37, 38)
@pytest.mark.parametrize(
    "fault",
    ["truncate_length", "truncate_chunked", "truncate_without_length", "200_html", "200_empty", "200_garbage"],
)
def test_a_reply_that_is_never_whole_is_unavailable_and_never_cached(desk: Desk, fault: str) -> None:
    desk.strike(fault, path=CHAINS)
    ends(desk.run(*NAMED), 69, "AAPL: EXTERNAL: 127.0.0.1: ")
    assert [key for key in cached(desk) if "/chain?" in key] == []


@pytest.mark.fault(38)
def test_a_byte_order_mark_before_json_or_csv_changes_nothing(desk: Desk) -> None:
    undisturbed = desk.run("analyze", "AAPL", "--format", "json", CACHE_PATH="other.db", DB_PATH="other-own.db")
    with relayed(desk, lambda _, body: b"\xef\xbb\xbf" + body) as addresses:
        assert ends(desk.run("analyze", "AAPL", "--format", "json", **addresses), 0).out == undisturbed.out


class Certificates:
    """A certificate authority of ours, which the program is told to trust, and what it has signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = folder / "authority.pem"
        self._openssl("req", "-x509", *self._new("authority"), "-days", "2", "-subj", "/CN=authority")

    def signed(self, name: str, host: str, *dates: str) -> ssl.SSLContext:
        """A server's context for that host; `dates` are openssl's notBefore and notAfter where it is not for now."""
        (self.folder / f"{name}.cnf").write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={name}.txt\nnew_certs_dir=.\nserial={name}.srl\n"
            f"default_md=sha256\npolicy=any\nx509_extensions=host\n[any]\ncommonName=supplied\n"
            f"[host]\nsubjectAltName={host}\n"
        )
        (self.folder / f"{name}.txt").write_text("")
        (self.folder / f"{name}.srl").write_text("01\n")
        self._openssl("req", *self._new(name), "-subj", f"/CN={name}")
        validity = ("-startdate", dates[0], "-enddate", dates[1]) if dates else ("-days", "2")
        signing = ("-cert", "authority.pem", "-keyfile", "authority.key", "-notext", "-batch")
        self._openssl("ca", "-config", f"{name}.cnf", *signing, *validity, "-in", f"{name}.pem", "-out", f"{name}.crt")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        return context

    def _new(self, name: str) -> tuple[str, ...]:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        return (*key, "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.mark.fault(35)
@pytest.mark.parametrize(
    ("name", "host", "dates", "reason"),
    [
        ("expired", "IP:127.0.0.1", ("20240101000000Z", "20240201000000Z"), "certificate has expired"),
        ("wronghost", "DNS:api.tradier.com", (), "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("untrusted", "IP:127.0.0.1", (), "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_that_does_not_hold_is_refused_once_with_the_reason(
    desk: Desk,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    host: str,
    dates: tuple[str, ...],
    reason: str,
) -> None:
    context = certificates.signed(name, host, *dates)
    if name != "untrusted":
        monkeypatch.setattr(certifi, "where", lambda: str(certificates.authority))
    met: list[str] = []
    with serving(lambda handler: met.append(str(handler.headers)), context) as port:
        url = f"https://127.0.0.1:{port}/v1"
        run = desk.run(*NAMED, TRADIER_BASE_URL=url)
        ends(run, 69, f"AAPL: EXTERNAL: 127.0.0.1: TLS: {reason}")
    assert met == []  # no header, and so no token, was ever sent


@pytest.mark.fault(35)
def test_a_certificate_that_holds_is_accepted_so_that_the_refusals_above_mean_something(
    desk: Desk, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certifi, "where", lambda: str(certificates.authority))
    met: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        met.append(handler.headers["Authorization"])
        reply(handler, b"{}")

    with serving(answer, certificates.signed("right", "IP:127.0.0.1")) as port:
        url = f"https://127.0.0.1:{port}/v1"
        run = desk.run(*NAMED, TRADIER_BASE_URL=url)
    assert "TLS" not in run.err
    assert set(met) == {f"Bearer {TOKEN}"}


@pytest.mark.fault(35)
def test_plain_http_where_tls_is_spoken_is_refused_with_the_reason(desk: Desk) -> None:
    with serving(lambda handler: reply(handler, b"{}")) as port:
        run = desk.run(*NAMED, TRADIER_BASE_URL=f"https://127.0.0.1:{port}/v1")
    ends(run, 69, "AAPL: EXTERNAL: 127.0.0.1: TLS: ")


@pytest.mark.fault(36)
@pytest.mark.parametrize("fault", ["silent", "drip", "drip_body"])
def test_a_server_that_is_silent_or_drips_is_left_at_the_total_deadline(desk: Desk, fault: str) -> None:
    tickers = companies(desk, 3)
    weather(desk, FaultRule(fault, path=CHAINS, symbol=tickers[0]))
    desk.market.prepare(tickers)  # or pricing the healthy ones' options might take as long
    run = batch(desk, tickers, **IMPATIENT)
    ends(run, 3, f"{tickers[0]}: TIMEOUT: 127.0.0.1: no complete answer within 1.5 s")
    assert outcomes(run, tickers) == dict.fromkeys(tickers, "done") | {tickers[0]: "TIMEOUT"}
    assert document(run)["summary"]["elapsed_s"] < 10.0


@pytest.mark.fault(39)
@pytest.mark.parametrize("fault", ["gzip_bomb", "endless_chunks"])
def test_a_body_without_end_is_given_up_at_the_cap_and_costs_one_company(desk: Desk, fault: str) -> None:
    tickers = companies(desk, 3)
    weather(desk, FaultRule(fault, path=CHAINS, symbol=tickers[1]))
    since = asked_so_far(desk)
    run = batch(desk, tickers)
    ends(run, 3, f"{tickers[1]}: INVALID: ", "127.0.0.1: body larger than 20000000 bytes")
    assert set(asked(desk, f"symbol={tickers[1]}", since).values()) == {1}  # it would not shrink by asking again
    assert [key for key in cached(desk) if f"/chain?symbol={tickers[1]}" in key] == []


@pytest.mark.fault(39)
def test_ten_megabytes_of_rows_without_a_strike_are_read_and_are_no_data(desk: Desk) -> None:
    tickers = companies(desk, 2)
    weather(desk, FaultRule("huge_body", path=CHAINS, symbol=tickers[1]))
    ends(batch(desk, tickers), 3, f"{tickers[1]}: NODATA: ", "no usable option of ", "unreadable")


@pytest.mark.fault(40)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_at_once_and_the_token_goes_nowhere(desk: Desk, status: int) -> None:
    elsewhere: list[str] = []
    asked_here: list[str] = []
    with serving(lambda handler: elsewhere.append(str(handler.headers))) as other:

        def away(handler: BaseHTTPRequestHandler) -> None:
            asked_here.append(handler.path)
            reply(handler, b"", status, Location=f"http://127.0.0.1:{other}{handler.path}")

        with serving(away) as port:
            url = f"http://127.0.0.1:{port}/v1"
            run = desk.run(*NAMED, TRADIER_BASE_URL=url)
    ends(run, 69, f"AAPL: EXTERNAL: 127.0.0.1: answered with a redirect ({status}), not followed")
    assert elsewhere == []
    assert len(asked_here) == len(set(asked_here))


@pytest.mark.fault(41)
def test_proxies_netrc_and_certificate_paths_of_the_environment_are_not_used(desk: Desk) -> None:
    netrc = desk.file("netrc", b"machine 127.0.0.1 login thief password stolen\n")
    netrc.chmod(0o600)
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"), "http://127.0.0.1:9")
    missing = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"), "/no/such/file")
    weather(desk, valid_token=TOKEN)  # whoever came with another would be refused
    ends(desk.run("analyze", "AAPL", NETRC=str(netrc), **nowhere, **missing), 0)


@pytest.mark.fault(42, 50)
def test_a_network_that_goes_half_way_opens_the_breaker_and_the_probe_takes_the_rest_up(desk: Desk) -> None:
    tickers = companies(desk, 8)
    fourth = tickers[3]  # three failures of its history and two of its expirations are five in a row
    weather(
        desk,
        FaultRule("reset_before", path="history", symbol=fourth, attempts=(1, 2, 3)),
        FaultRule("reset_before", path="expirations", symbol=fourth, attempts=(1, 2)),
    )
    since = asked_so_far(desk)
    slowly = ("--max-concurrent", "1", "--log-level", "WARNING")
    run = batch(desk, tickers, *slowly, CIRCUIT_BREAKER_RECOVERY_TIMEOUT="1")
    assert "5 rows were not asked about while a provider was down; again in " in run.err
    assert outcomes(run, tickers) == dict.fromkeys(tickers, "done")
    assert run.code == 0
    market = asked(desk, "/v1/", since)
    assert sum(market.values()) == len(market) + 5


@pytest.mark.fault(42, 50)
def test_a_network_that_stays_away_costs_five_requests_and_one_probe(desk: Desk) -> None:
    tickers = companies(desk, 8)
    paths = ("history", "expirations", "options/chains")
    weather(desk, *(FaultRule("reset_before", path=path, symbol=one) for one in tickers[3:] for path in paths))
    since = asked_so_far(desk)
    run = batch(desk, tickers, "--max-concurrent", "1", CIRCUIT_BREAKER_RECOVERY_TIMEOUT="1")
    done, away = tickers[:3], tickers[3:]
    assert outcomes(run, tickers) == dict.fromkeys(done, "done") | dict.fromkeys(away, "EXTERNAL")
    ends(run, 3, ": EXTERNAL: 127.0.0.1: down, not asked for another ", "the last failure: connection failed")
    market = asked(desk, "/v1/", since)
    assert sum(count for question, count in market.items() if question.rpartition("=")[2] in away) == 5 + 1
    weather(desk)
    again = ends(batch(desk, tickers), 0)
    assert outcomes(again, tickers) == dict.fromkeys(tickers, "done")


@pytest.mark.fault(43)
def test_every_second_request_failing_is_survived_with_less_than_twice_the_requests(desk: Desk) -> None:
    tickers = companies(desk)
    since = asked_so_far(desk)
    undisturbed = batch(desk, tickers, "--max-concurrent", "1", CACHE_PATH="other.db", DB_PATH="other-own.db")
    needed = asked_so_far(desk) - since
    weather(desk, FaultRule("503", every=2))
    since = asked_so_far(desk)
    run = batch(desk, tickers, "--max-concurrent", "1")
    ends(run, 0)
    assert document(run)["analyses"] == document(undisturbed)["analyses"]
    assert asked_so_far(desk) - since <= 2 * needed
    assert AS_OF.isoformat() == document(run)["as_of"]
