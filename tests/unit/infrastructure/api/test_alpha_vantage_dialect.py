"""Table B2 of the dialect: every error is a status 200, and the order of the tests matters."""

import json
from datetime import UTC, datetime

import pytest

from ivcrush.domain.errors import AppError, ErrorCode
from ivcrush.infrastructure.api.alpha_vantage_dialect import AlphaVantageDialect
from ivcrush.infrastructure.api.dialect import Answer, Verdict

NOW = datetime(2026, 5, 15, 20, 0, tzinfo=UTC)


def judge(body: object, status: int = 200) -> Verdict:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return AlphaVantageDialect().judge(Answer(status, {}, raw, NOW))


PER_SECOND = (
    "Thank you for using Alpha Vantage! Please consider spreading out your free API requests more sparingly (1 request "
    "per second). You may subscribe to any of the premium plans to lift the free key rate limit (25 requests per day)"
)
PER_DAY = "We have detected your API key as SECRETKEY and our standard API rate limit is 25 requests per day."
BURST = (
    "Burst pattern detected. Please spread your requests across a 1-minute window, no more than 5 requests a second."
)
PER_MINUTE = "Our standard API call frequency is 5 calls per minute and 500 calls per day."


@pytest.mark.parametrize(
    ("body", "code", "wait_s"),
    [
        ({"Information": PER_SECOND}, ErrorCode.RATELIMIT, 1.2),
        ({"Information": BURST}, ErrorCode.RATELIMIT, 1.2),
        ({"Note": PER_MINUTE}, ErrorCode.RATELIMIT, 60.0),
        ({"Note": "no more than 75 requests per minute"}, ErrorCode.RATELIMIT, 60.0),
    ],
)
def test_going_too_fast_is_waited_out(body: object, code: ErrorCode, wait_s: float) -> None:
    verdict = judge(body)
    assert verdict.error is not None
    assert (verdict.error.code, verdict.again, verdict.wait_s) == (code, True, wait_s)
    assert not verdict.sick
    assert not verdict.ends_provider


@pytest.mark.parametrize("member", ["Information", "Note"])
def test_the_days_quota_ends_the_provider_and_its_echo_of_the_key_is_not_repeated(member: str) -> None:
    verdict = judge({member: PER_DAY})
    assert verdict.error is not None
    assert verdict.error.code is ErrorCode.QUOTA
    assert verdict.ends_provider
    assert not verdict.again
    assert "SECRETKEY" not in verdict.error.message


@pytest.mark.parametrize(
    ("body", "code", "ends"),
    [
        ({"Information": "This is a premium endpoint."}, ErrorCode.EXTERNAL, False),
        ({"Information": "The outputsize=full parameter value is a premium feature"}, ErrorCode.EXTERNAL, False),
        ({"Information": "The **demo** API key is for demo purposes only."}, ErrorCode.CONFIG, True),
        ({"Error Message": "the parameter apikey is invalid or missing."}, ErrorCode.AUTH, True),
        ({"Error Message": "Invalid API call. Please retry"}, ErrorCode.NODATA, False),
        ({"Weather": "it rains"}, ErrorCode.EXTERNAL, False),
        ({"Information": "something new"}, ErrorCode.EXTERNAL, False),
        (
            {"message": "SAMPLE DATA SCHEMA BELOW IS ARTIFICIAL", "data": [{"symbol": "XXYYZZ"}]},
            ErrorCode.EXTERNAL,
            False,
        ),
    ],
)
def test_a_lasting_refusal_is_never_data_and_never_asked_again(body: object, code: ErrorCode, ends: bool) -> None:
    verdict = judge(body)
    assert verdict.error is not None
    assert (verdict.error.code, verdict.again, verdict.ends_provider, verdict.sick) == (code, False, ends, False)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"symbol": "LMAO"},
        {"Global Quote": {}},
        {"endpoint": "Historical Options", "message": "success", "data": []},
        {"symbol": "IBM", "data": []},
        b"symbol,name,reportDate,fiscalDateEnding,estimate,currency,timeOfTheDay\r\n",
        b"symbol,name,reportDate\nCASS,CASS INFORMATION SYSTEMS premium per day,2026-07-15\n",
    ],
)
def test_data_and_the_ways_to_have_none_are_data(body: object) -> None:
    assert judge(body) == Verdict()


@pytest.mark.parametrize(
    "header",
    [
        b"symbol,reportDate,estimate2026\r\n",
        b'"symbol","reportDate"\nIBM,2026-07-22\n',
        b"symbol, reportDate, time of the day\n",
    ],
)
def test_a_header_is_csv_whatever_its_columns_are_called(header: bytes) -> None:
    assert judge(header) == Verdict()


@pytest.mark.parametrize("body", [b"symbol,reportDate", b"symbol,reportDate\r\nIBM,2026-07-22\r\nKO,2026-0"])
def test_csv_that_ends_within_a_line_was_cut_and_may_pass(body: bytes) -> None:
    verdict = judge(body)
    assert verdict.error == AppError(ErrorCode.EXTERNAL, "Alpha Vantage's CSV ends within a line")
    assert verdict.again
    assert verdict.sick


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"<html>", 200),
        (b"<p>Sorry, later</p>", 200),
        (b'{"symbol": "IB', 200),
        (b'{"symbol": "IBM", "da', 200),
        (b"[1, 2", 200),
        (b"", 500),
        (b"", 503),
        (b"nonsense", 200),
    ],
)
def test_neither_json_nor_csv_may_pass_and_counts_for_the_breaker(body: bytes, status: int) -> None:
    verdict = judge(body, status)
    assert verdict.error is not None
    assert (verdict.error.code, verdict.again, verdict.sick) == (ErrorCode.EXTERNAL, True, True)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b" \n", 200, "Alpha Vantage answered with nothing"),
        (b"<html>", 200, "Alpha Vantage answered with neither JSON nor CSV"),
        (b"", 503, "Alpha Vantage failed with status 503"),
        (b"", 429, "Alpha Vantage failed with status 429"),
        ({"Information": "something new"}, 200, "Alpha Vantage answered: something new"),
        ({"Information": "something", "Note": "new"}, 200, "Alpha Vantage answered: something new"),
        ({"Weather": "it rains"}, 200, "Alpha Vantage answered: it rains"),
        (
            {"message": "SAMPLE DATA SCHEMA BELOW IS ARTIFICIAL", "data": []},
            200,
            "Alpha Vantage sent its invented sample instead of data (premium)",
        ),
    ],
)
def test_what_failed_is_said(body: object, status: int, message: str) -> None:
    error = judge(body, status).error
    assert error is not None
    assert error.message == message


def test_a_429_which_was_never_seen_is_waited_out_all_the_same() -> None:
    verdict = judge(b"", 429)
    assert verdict.error is not None
    assert (verdict.error.code, verdict.again, verdict.wait_s) == (ErrorCode.RATELIMIT, True, 60.0)


def test_a_status_of_the_400s_is_final() -> None:
    assert not judge(b"", 403).again


def test_a_lone_text_in_broken_utf8_is_no_data_either() -> None:
    verdict = judge(b'{"Weather": "\xff"}')
    assert verdict.error is not None
    assert verdict.error.code is ErrorCode.EXTERNAL


def test_there_are_no_rate_headers() -> None:
    assert AlphaVantageDialect().rate_headers({"x-ratelimit-allowed": "5"}) is None
