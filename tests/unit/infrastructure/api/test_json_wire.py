"""Rows out of JSON in whatever wrapping, and counts that are none."""

import msgspec
import pytest

from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok
from ivcrush.infrastructure.api.json_wire import LARGEST_COUNT, Rows, count, decode, rows


class Row(msgspec.Struct):
    strike: float


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":{"b":[{"strike":1},{"strike":2}]}}', Rows([Row(1.0), Row(2.0)], 0)),
        (b'{"a":{"b":{"strike":"1.5"}}}', Rows([Row(1.5)], 0)),
        (b'{"a":{"b":[{"strike":1},{"strike":"x"},7]}}', Rows([Row(1.0)], 2)),
        (b'{"a":{"b":"text"}}', Rows([], 1)),
        *((b'{"a":{"b":%s}}' % nothing, Rows([], 0)) for nothing in (b"null", b" {} ", b"[]", b'""', b'"null"')),
        (b'{"a":"null"}', Rows([], 0)),
        (b"{}", Rows([], 0)),
    ],
)
def test_rows_are_found_at_their_path_and_those_of_another_shape_are_counted(body: bytes, expected: Rows[Row]) -> None:
    assert rows(body, ("a", "b"), Row) == Ok(expected)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "unreadable JSON (JSON is malformed"),
        (b'{"a":' * 100_000, "unreadable JSON (nested too deeply)"),
        (b"[1]", "unreadable JSON (Expected `object`, got `array`"),
    ],
)
def test_what_is_no_json_object_is_invalid_and_says_why(body: bytes, said: str) -> None:
    read = rows(body, ("a",), Row)
    assert isinstance(read, Err)
    assert read.error.code is ErrorCode.INVALID
    assert read.error.message.startswith(said)


def test_a_text_in_a_numbers_place_is_taken_for_the_number() -> None:
    assert decode(b'{"strike":"2.5"}', Row) == Ok(Row(2.5))
    assert decode(b'{"strike":[]}', Row) == Err(
        AppError(ErrorCode.INVALID, "unreadable JSON (Expected `float`, got `array` - at `$.strike`)")
    )


@pytest.mark.parametrize(
    ("number", "whole"),
    [(None, 0), (-1.0, 0), (0.0, 0), (1.0, 1), (2.9, 2), (LARGEST_COUNT, 10**15), (LARGEST_COUNT * 1.01, 0)],
)
def test_a_count_is_whole_and_none_where_it_cannot_be(number: float | None, whole: int) -> None:
    assert count(number) == whole
