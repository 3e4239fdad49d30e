"""Table A3 of the dialect: what each of Tradier's answers means, and what the headers say."""

import json
from datetime import UTC, datetime

import pytest

from ivcrush.domain.errors import ErrorCode
from ivcrush.infrastructure.api.dialect import Answer, RateHeaders, Verdict
from ivcrush.infrastructure.api.tradier_dialect import TradierDialect

NOW = datetime(2024, 6, 28, 16, 6, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def judge(status: int, body: str | bytes = b"", **headers: str) -> Verdict:
    raw = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return TradierDialect().judge(Answer(status, named, raw, NOW))


def fault(text: str, code: str) -> str:
    return json.dumps({"fault": {"faultstring": text, "detail": {"errorcode": code}}})


EXPIRED = fault("Access Token expired", "keymanagement.service.access_token_expired")


def test_json_without_a_complaint_is_data() -> None:
    assert judge(200, '{"options":null}') == Verdict()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, "Invalid Access Token"),
        (401, EXPIRED),
        (500, EXPIRED),
        (200, EXPIRED),
        (401, "Invalid API call as no apiproduct match found"),
    ],
)
def test_a_refused_token_is_tried_once_more_after_a_second_and_then_never_again(status: int, body: str) -> None:
    verdict = judge(status, body)
    assert verdict.error is not None
    assert verdict.error.code is ErrorCode.AUTH
    assert (verdict.again, verdict.wait_s, verdict.tolerated) == (True, 1.0, 1)
    assert verdict.ends_provider
    assert not verdict.sick


def test_the_faults_own_words_are_told() -> None:
    verdict = judge(401, EXPIRED)
    assert verdict.error is not None
    assert verdict.error.message == "Tradier token refused (TRADIER_API_KEY): Access Token expired"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, fault("Datastore Error", "steps.servicecallout.ExecutionFailed")),
        (502, "<html>502 Bad Gateway</html>"),
        (503, ""),
        (200, "<!DOCTYPE html><html><head><title>Tradier API</title></head></html>"),
        (200, ""),
        (200, '{"quotes":{"quote":{"symbol":"AA'),
        (200, '{"quotes":[' + "[" * 100_000),
        (200, '"text"'),
    ],
)
def test_a_provider_in_trouble_is_asked_again_and_counts_for_the_breaker(status: int, body: str) -> None:
    verdict = judge(status, body)
    assert verdict.error is not None
    assert verdict.error.code is ErrorCode.EXTERNAL
    assert (verdict.again, verdict.sick) == (True, True)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, "Invalid parameter, quantity: must be positive", ErrorCode.INVALID),
        (403, "Forbidden", ErrorCode.EXTERNAL),
        (500, fault("Body buffer overflow", "protocol.http.TooBigBody"), ErrorCode.EXTERNAL),
        (200, '{"errors":{"error":"text"}}', ErrorCode.EXTERNAL),
        (200, '{"errors":{"error":["t1","t2"]}}', ErrorCode.EXTERNAL),
        (200, '{"error":["t1","t2"]}', ErrorCode.EXTERNAL),
    ],
)
def test_a_lasting_refusal_is_never_asked_again(status: int, body: str, code: ErrorCode) -> None:
    verdict = judge(status, body)
    assert verdict.error is not None
    assert verdict.error.code is code
    assert not verdict.again
    assert not verdict.sick


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, " \n", "Tradier answered with nothing instead of JSON"),
        (200, " <!DOCTYPE html>", "Tradier answered with HTML instead of JSON"),
        (200, '{"quotes":', "Tradier answered with broken JSON instead of JSON"),
        (200, b'{"error":"\xffno"}', 'Tradier answered with an error: "\ufffdno"'),
        (400, "quantity: must be positive", "Tradier refused the request: quantity: must be positive"),
        (403, b"Forbidden \xff", "Tradier answered with status 403: Forbidden \ufffd"),
        (404, "<html>", "Tradier answered that there is no such page (404)"),
        (429, "Quota Violation", "Tradier refused for going too fast"),
        (500, fault("Body buffer overflow", "protocol.http.TooBigBody"), "Tradier was asked for too much at once"),
        (503, "", "Tradier failed with status 503"),
    ],
)
def test_what_failed_is_said(status: int, body: str | bytes, message: str) -> None:
    error = judge(status, body).error
    assert error is not None
    assert error.message == message


def test_a_missing_rate_header_voids_them_all() -> None:
    assert TradierDialect().rate_headers({"x-ratelimit-allowed": "200", "x-ratelimit-available": "199"}) is None


def test_a_404_may_pass_and_does_not_count_for_the_breaker() -> None:
    verdict = judge(404, "<html>")
    assert (verdict.again, verdict.sick, verdict.tolerated) == (True, False, None)


@pytest.mark.parametrize(
    ("body", "headers", "wait_s"),
    [
        (f"Quota Violation until {NOW_MS + 7000}", {}, 7.0),
        ("Quota Violation", {"x_ratelimit_expiry": str(NOW_MS + 9000)}, 9.0),
        ("Quota Violation", {"x_ratelimit_expiry": str(NOW_MS // 1000 + 9)}, 9.0),
        (f"Quota Violation {NOW_MS + 3_000_000_000_000}", {}, 65.0),  # the year 2119
        (f"Quota Violation {NOW_MS - 5000}", {}, 59.0),  # past: the end of this minute, 16:07:00
        ("Quota Violation soon", {"x_ratelimit_expiry": "-1"}, 59.0),
        (f"Quota Violation {NOW_MS + 500}", {}, 0.5),
        (b"Quota Violation \xff", {}, 59.0),
        ("", {"retry_after": "1"}, 1.0),
        ("", {"retry_after": "12"}, 12.0),
        ("", {"retry_after": "9999999999"}, 65.0),
        ("", {"retry_after": "0"}, 59.0),
        ("", {"retry_after": "Fri, 28 Jun 2024 16:06:30 GMT"}, 59.0),
    ],
)
def test_a_429_waits_for_the_end_of_its_window(body: str | bytes, headers: dict[str, str], wait_s: float) -> None:
    verdict = judge(429, body, **headers)
    assert verdict.error is not None
    assert verdict.error.code is ErrorCode.RATELIMIT
    assert (verdict.again, verdict.wait_s, verdict.sick) == (True, pytest.approx(wait_s), False)


def test_the_wait_is_measured_on_the_providers_clock_where_ours_is_an_hour_slow() -> None:
    served = "Fri, 28 Jun 2024 17:06:01 GMT"
    verdict = judge(429, f"Quota Violation {NOW_MS + 3_600_000 + 7000}", date=served)
    assert verdict.wait_s == pytest.approx(7.0)


def test_rate_headers_are_read_as_recorded() -> None:
    recorded = {"x-ratelimit-allowed": "200", "x-ratelimit-available": "199", "x-ratelimit-expiry": "1719590820000"}
    assert TradierDialect().rate_headers(recorded) == RateHeaders(200.0, 199.0, 1719590820000.0)


@pytest.mark.parametrize("garbage", ["", "-3", "NaN", "1e5", "１２", "9" * 400])
def test_one_unreadable_rate_header_voids_them_all(garbage: str) -> None:
    sent = {"x-ratelimit-allowed": "200", "x-ratelimit-available": garbage, "x-ratelimit-expiry": "1719590820000"}
    assert TradierDialect().rate_headers(sent) is None
