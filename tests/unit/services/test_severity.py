"""How loudly a disappointment is logged: what is simply so, and what failed us."""

import logging

import pytest

from ivcrush.application.services.severity import severity
from ivcrush.domain.errors import AppError, ErrorCode


def test_a_company_that_has_nothing_is_no_warning() -> None:
    assert severity(AppError(ErrorCode.NODATA, "AAPL: no options listed")) == logging.INFO


@pytest.mark.parametrize("code", [code for code in ErrorCode if code is not ErrorCode.NODATA])
def test_a_service_that_fails_is_a_warning(code: ErrorCode) -> None:
    assert severity(AppError(code, "AAPL: what happened")) == logging.WARNING
