"""Which end leads to which exit code."""

import pytest

from ivcrush.cli.exit_codes import Exit, exit_of, exit_of_run
from ivcrush.domain.errors import AppError, ErrorCode


def failed(*codes: ErrorCode) -> list[AppError]:
    return [AppError(code, "no answer") for code in codes]


def test_the_codes_are_those_of_the_contract() -> None:
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 65, 69, 70, 74, 75, 77, 78, 130, 143]


@pytest.mark.parametrize(
    ("code", "number"),
    [
        (ErrorCode.NODATA, 1), (ErrorCode.INVALID, 1), (ErrorCode.TIMEOUT, 69), (ErrorCode.EXTERNAL, 69),
        (ErrorCode.RATELIMIT, 69), (ErrorCode.QUOTA, 75), (ErrorCode.AUTH, 77), (ErrorCode.DBERROR, 74),
        (ErrorCode.CONFIG, 78), (ErrorCode.SKIPPED, 1),
    ],
)  # fmt: skip
def test_every_error_has_its_code(code: ErrorCode, number: int) -> None:
    assert exit_of(AppError(code, "no answer")) == number


def test_a_held_lock_is_tried_later_although_it_is_storage() -> None:
    assert exit_of(AppError(ErrorCode.DBERROR, "held", (("reason", "locked"),))) == 75


@pytest.mark.parametrize(
    ("done", "incomplete", "errors", "number"),
    [
        (2, 0, [], 0),
        (2, 1, [], 3),
        (1, 0, failed(ErrorCode.NODATA), 3),
        (0, 0, failed(ErrorCode.EXTERNAL, ErrorCode.TIMEOUT), 69),
        (0, 0, failed(ErrorCode.NODATA, ErrorCode.EXTERNAL), 1),
        (0, 0, failed(ErrorCode.QUOTA, ErrorCode.SKIPPED), 75),
        (0, 0, failed(ErrorCode.SKIPPED), 1),
        (0, 0, [], 1),
        # a row of the input that cannot be read hides nothing that keeps all others from working
        (0, 0, failed(ErrorCode.INVALID, ErrorCode.AUTH, ErrorCode.SKIPPED), 77),
        (0, 0, failed(ErrorCode.INVALID, ErrorCode.CONFIG), 78),
        (0, 0, failed(ErrorCode.CONFIG, ErrorCode.EXTERNAL, ErrorCode.AUTH), 77),
        (0, 0, failed(ErrorCode.CONFIG, ErrorCode.NODATA), 1),  # somebody was answered: it is not the settings alone
        (0, 0, failed(ErrorCode.AUTH, ErrorCode.DBERROR), 74),
        (3, 0, failed(ErrorCode.DBERROR), 74),
        (3, 0, failed(ErrorCode.AUTH, ErrorCode.SKIPPED), 3),
        (0, 0, failed(ErrorCode.QUOTA, ErrorCode.EXTERNAL), 1),
    ],
)
def test_the_code_of_a_run_has_one_order_of_precedence(
    done: int, incomplete: int, errors: list[AppError], number: int
) -> None:
    assert exit_of_run(done, incomplete, errors) == number


def test_a_run_without_a_row_ends_as_its_command_says() -> None:
    assert exit_of_run(0, 0, [], empty=Exit.DONE) == 0
    assert exit_of_run(0, 0, failed(ErrorCode.EXTERNAL), empty=Exit.DONE) == 69
    assert exit_of_run(1, 0, [], empty=Exit.PARTIAL) == 0
