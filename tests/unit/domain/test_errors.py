"""Disappointments as values."""

from dataclasses import FrozenInstanceError

import pytest

from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, err


def test_an_error_made_in_one_breath_keeps_code_message_and_context():
    made = err(ErrorCode.NODATA, "AAPL: 3 past moves, 4 needed", ticker="AAPL", reason="young")
    assert made == Err(
        AppError(ErrorCode.NODATA, "AAPL: 3 past moves, 4 needed", (("ticker", "AAPL"), ("reason", "young")))
    )


def test_an_error_reads_as_its_code_and_its_line():
    assert str(AppError(ErrorCode.QUOTA, "25 calls a day are spent")) == "QUOTA: 25 calls a day are spent"


def test_an_error_knows_what_it_is_about_by_name():
    error = err(ErrorCode.DBERROR, "held", reason="locked").error
    assert error.about("reason") == "locked"
    assert error.about("ticker") is None


def test_a_result_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Ok(1).value = 2


def test_the_ten_codes_are_those_of_the_json_output():
    words = "NODATA INVALID TIMEOUT EXTERNAL RATELIMIT QUOTA AUTH DBERROR CONFIG SKIPPED"
    assert [code.value for code in ErrorCode] == words.split()
