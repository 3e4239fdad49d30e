"""`.env` and credentials: read strictly, refused when others could read or plant them."""

import os
from pathlib import Path

import pytest

from ivcrush.config.sources import Gathered, from_credentials, from_env_file, from_mapping

NAMES = ("TRADIER_API_KEY", "VRP_EXCELLENT", "VRP_GOOD", "LOG_FILE")


def env_file(directory: Path, content: bytes, mode: int = 0o600) -> Path:
    path = directory / ".env"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def texts(gathered: Gathered) -> dict[str, str]:
    return {name: given.text for name, given in gathered.given.items()}


def only_problem(gathered: Gathered) -> str:
    assert gathered.given == {}
    (problem,) = gathered.problems
    return problem


def test_a_missing_file_gives_nothing_and_is_no_problem(tmp_path: Path) -> None:
    assert from_env_file(tmp_path / ".env", NAMES) == Gathered({})


def test_names_values_comments_export_and_quotes_are_read_and_lines_remembered(tmp_path: Path) -> None:
    path = env_file(tmp_path, b"# keys\nexport VRP_GOOD=1.6 # better\n\nTRADIER_API_KEY='ab${X}c'\nLOG_FILE=\n")
    gathered = from_env_file(path, NAMES)
    assert texts(gathered) == {"VRP_GOOD": "1.6", "TRADIER_API_KEY": "ab${X}c", "LOG_FILE": ""}
    assert gathered.given["TRADIER_API_KEY"].origin == f"{path} line 4"
    assert (gathered.problems, gathered.warnings) == ((), ())


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfTRADIER_API_KEY=abcdef\r\n",
        b"TRADIER_API_KEY=  abcdef  ",
        b'TRADIER_API_KEY="abcdef"\r\n',
        b"TRADIER_API_KEY=\" 'abcdef' \"\n",
        b"TRADIER_API_KEY = abcdef\n",
    ],
)
def test_bom_crlf_quotes_and_spaces_are_not_part_of_a_token(tmp_path: Path, content: bytes) -> None:
    assert texts(from_env_file(env_file(tmp_path, content), NAMES)) == {"TRADIER_API_KEY": "abcdef"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o610])
def test_a_file_that_others_may_use_is_refused_with_the_chmod_to_type(tmp_path: Path, mode: int) -> None:
    path = env_file(tmp_path, b"TRADIER_API_KEY=abcdef\n", mode)
    problem = only_problem(from_env_file(path, NAMES))
    assert problem.endswith(f"(mode {mode:04o}); it holds keys, so type: chmod 600 {path}")
    assert "abcdef" not in problem


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = env_file(tmp_path, b"TRADIER_API_KEY=abcdef\n")
    os.chown(path, 65534, -1)
    assert "belongs to user 65534 and not to user 0" in only_problem(from_env_file(path, NAMES))


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".env").symlink_to(env_file(tmp_path / "elsewhere", b"TRADIER_API_KEY=abcdef\n"))
    assert "is a symbolic link" in only_problem(from_env_file(tmp_path / ".env", NAMES))


def test_a_directory_a_pipe_and_a_huge_file_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert "is no plain file" in only_problem(from_env_file(tmp_path / ".env", NAMES))
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "is no plain file" in only_problem(from_env_file(tmp_path / "pipe", NAMES))
    huge = tmp_path / "huge"
    huge.write_bytes(b"#" * 65_537)
    huge.chmod(0o600)
    assert "larger than 65536 bytes" in only_problem(from_env_file(huge, NAMES))


def test_a_path_that_cannot_be_reached_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "Not a directory" in only_problem(from_env_file(tmp_path / "file" / ".env", NAMES))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"VRP_GOOD=1\xff\n", "byte 10 is not UTF-8"), ("VRP_GOOD=1".encode("utf-16"), "byte 0 is not UTF-8"),
     (b"VRP_GOOD=1\0\n", "NUL")],
)  # fmt: skip
def test_a_file_that_is_no_utf8_text_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in only_problem(from_env_file(env_file(tmp_path, content), NAMES))


def test_a_line_that_cannot_be_read_is_a_problem_with_its_number_and_without_its_text(tmp_path: Path) -> None:
    path = env_file(tmp_path, b"VRP_GOOD=1.5\nTRADIER_API_KEY=\"abc'def\nVRP_EXCELLENT\n")
    gathered = from_env_file(path, NAMES)
    assert gathered.problems == (f"{path} line 2: NAME=value is needed", f"{path} line 3: NAME=value is needed")


def test_a_near_miss_is_a_warning_with_the_nearest_name_and_foreign_names_are_ignored(tmp_path: Path) -> None:
    path = env_file(tmp_path, b"VRP_EXELLENT=3\nvrp_good=2\nPOSTGRES_PASSWORD=x\nPATH=/bin\n")
    gathered = from_env_file(path, NAMES)
    assert gathered.warnings == (
        f"{path} line 1: VRP_EXELLENT is no setting and is ignored; VRP_EXCELLENT is",
        f"{path} line 2: vrp_good is no setting and is ignored; VRP_GOOD is",
    )
    assert (gathered.given, gathered.problems) == ({}, ())


def test_of_two_lines_with_one_name_the_last_holds_with_a_warning(tmp_path: Path) -> None:
    path = env_file(tmp_path, b"VRP_GOOD=1\nVRP_GOOD=2\n")
    gathered = from_env_file(path, NAMES)
    assert texts(gathered) == {"VRP_GOOD": "2"}
    assert gathered.warnings == (f"{path} line 2: VRP_GOOD is set a second time; this one holds",)


def test_credentials_are_files_with_the_names_in_lower_case(tmp_path: Path) -> None:
    (tmp_path / "tradier_api_key").write_bytes(b"abcdef\n")
    assert texts(from_credentials(tmp_path, ("TRADIER_API_KEY", "ALPHA_VANTAGE_KEY"))) == {"TRADIER_API_KEY": "abcdef"}


def test_unreadable_credentials_are_problems(tmp_path: Path) -> None:
    (tmp_path / "tradier_api_key").write_bytes(b"\xff")
    (tmp_path / "file").write_bytes(b"")
    assert "byte 0 is not UTF-8" in only_problem(from_credentials(tmp_path, ("TRADIER_API_KEY",)))
    assert "Not a directory" in only_problem(from_credentials(tmp_path / "file", ("TRADIER_API_KEY",)))


def test_of_the_environment_only_our_names_are_taken(tmp_path: Path) -> None:
    assert texts(from_mapping({"VRP_GOOD": ' "1.5" ', "HOME": "/root"}, NAMES, "environment")) == {"VRP_GOOD": "1.5"}
