"""No secret leaves, in whatever form a text carries it."""

from ivcrush.utils.redaction import Redactor

TOKEN = "aB3+/x=9Zq"


def test_a_token_in_a_url_a_header_and_an_error_becomes_three_stars() -> None:
    redact = Redactor(["secretkey123"])
    assert redact("GET /query?apikey=secretkey123&symbol=IBM") == "GET /query?apikey=***&symbol=IBM"
    assert redact("Authorization: Bearer secretkey123") == "Authorization: Bearer ***"


def test_the_percent_encoded_forms_of_a_token_are_masked_in_either_case() -> None:
    redact = Redactor([TOKEN])
    assert redact("?token=aB3%2B%2Fx%3D9Zq") == "?token=***"
    assert redact("?token=aB3%2b%2fx%3d9Zq") == "?token=***"
    assert redact("?token=aB3%2B/x%3D9Zq") == "?token=***"


def test_a_quote_or_backslash_in_a_token_does_not_carry_it_through_json_or_repr() -> None:
    redact = Redactor(['pa"ss\\word'])
    assert redact('{"key": "pa\\"ss\\\\word"}') == '{"key": "***"}'
    assert redact(repr(KeyError('pa"ss\\word'))) == "KeyError('***')"


def test_of_two_tokens_the_longer_goes_first_so_that_no_tail_is_left() -> None:
    assert Redactor(["abcdef", "abcdef0123"])("x abcdef0123 y abcdef z") == "x *** y *** z"


def test_a_three_letter_secret_is_masked_alone_but_not_inside_words() -> None:
    assert Redactor(["key"])("apikey=key monkey") == "apikey=*** monkey"


def test_white_space_around_a_secret_is_not_part_of_it() -> None:
    assert Redactor([" secretkey123\n"])("Bearer secretkey123") == "Bearer ***"


def test_without_secrets_text_is_unchanged_and_empty_secrets_count_for_nothing() -> None:
    assert Redactor([])("plain") == "plain"
    assert Redactor(["", "  ", "***"])("plain ***") == "plain ***"


def test_its_own_repr_tells_nothing() -> None:
    assert "secretkey123" not in repr(Redactor(["secretkey123"]))
