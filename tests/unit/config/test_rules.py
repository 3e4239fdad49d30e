"""What each setting's text must look like; stricter than Python about numbers."""

from pathlib import Path

import pytest

from ivcrush.config import rules
from ivcrush.utils.logging import LogFormat

NO_NUMBERS = [
    "",
    "abc",
    "NaN",
    "nan",
    "inf",
    "-Infinity",
    "1e999",
    "1_000",
    "１２",
    "٣",
    "1,5",
    "0x10",
    "--1",
    "9" * 5000,
]


@pytest.mark.parametrize("text", [*NO_NUMBERS, "1.0", "1e1", "0", "11", "-1"])
def test_a_whole_number_is_ascii_digits_within_its_bounds(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a whole number from 1 to 10$"):
        rules.whole(1, 10)(text)


def test_both_bounds_of_a_whole_number_are_included() -> None:
    assert (rules.whole(1, 10)("1"), rules.whole(1, 10)("10"), rules.whole(-5, 10)("-5")) == (1, 10, -5)


@pytest.mark.parametrize("text", [*NO_NUMBERS, "-5.1", "50.1"])
def test_a_number_is_finite_ascii_and_within_its_bounds(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a number from -5 to 50$"):
        rules.number(-5, 50)(text)


def test_a_number_may_have_a_fraction_and_an_exponent() -> None:
    rule = rules.number(-5, 50)
    assert (rule("4"), rule("4."), rule(".25"), rule("-0.5"), rule("2.5e1")) == (4.0, 4.0, 0.25, -0.5, 25.0)


@pytest.mark.parametrize("text", ["0", "0.0", "-1", "60.5", "NaN", "x"])
def test_a_positive_number_is_not_zero(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a number above 0, up to 60$"):
        rules.positive(60)(text)
    assert rules.positive(60)("0.001") == 0.001


def test_a_switch_takes_the_usual_words_and_no_others() -> None:
    assert [rules.switch(text) for text in ("true", "ON", "1", "False", "off", "0")] == [True] * 3 + [False] * 3
    with pytest.raises(ValueError, match=r"^true or false$"):
        rules.switch("maybe")


def test_a_word_of_a_closed_set_is_taken_in_any_case_and_the_set_is_named_else() -> None:
    assert rules.one_of(LogFormat)("JSON") is LogFormat.JSON
    with pytest.raises(ValueError, match=r"^one of text, json$"):
        rules.one_of(LogFormat)("xml")
    assert rules.log_level("debug") == "DEBUG"
    with pytest.raises(ValueError, match=r"^one of DEBUG, INFO, WARNING, ERROR, CRITICAL$"):
        rules.log_level("LOUD")


@pytest.mark.parametrize("text", ["a b", "a\nX-Evil: 1", "tökén", "a\tb", "x" * 513, "tok\u200ben"])
def test_a_token_is_one_line_of_visible_ascii(text: str) -> None:
    with pytest.raises(ValueError, match=r"visible ASCII") as raised:
        rules.secret(text)
    assert text not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "http://api.tradier.com/v1",
        "http://127.0.0.1.evil.test/",
        "http://localhost.evil.test/",
        "http://10.0.0.1:8080",
        "ftp://127.0.0.1/",
        "https://",
        "https:///v1",
        "https://user:pass@api.tradier.com/v1",
        "https://api.tradier.com/v1?token=x",
        "https://api.tradier.com/v1#x",
        "https://api.tradier.com:port/v1",
        "https://api.tradier.com:99999/v1",
        "https://[::1/v1",
        "https://apï.tradier.com",
        "https://api.tradier.com\\@evil.test",
        "api.tradier.com/v1",
        "https://a b/",
    ],
)
def test_a_base_url_that_could_leak_a_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^an https:// URL"):
        rules.base_url(text)


def test_https_anywhere_and_http_on_this_machine_are_base_urls_without_their_last_slash() -> None:
    assert rules.base_url("https://api.tradier.com/v1/") == "https://api.tradier.com/v1"
    assert rules.base_url("http://127.0.0.1:8080/v1") == "http://127.0.0.1:8080/v1"
    assert rules.base_url("http://[::1]:8080") == "http://[::1]:8080"
    assert rules.base_url("http://localhost:1/query") == "http://localhost:1/query"


def test_a_path_is_printable_and_its_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/trader")
    assert rules.file_path("~/iv.db") == Path("/home/trader/iv.db")
    for text in ("a\0b", "a\nb", "~nobody_of_that_name/x"):
        with pytest.raises(ValueError, match=r"a path of printable characters"):
            rules.file_path(text)
