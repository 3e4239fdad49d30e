"""Where files go when no setting names a place: a service manager's, the working directory's or the user's own."""

from pathlib import Path

import pytest

from ivcrush.config.places import Places, default_places, runs_from_checkout
from ivcrush.config.validation import load_settings

HOME = {"HOME": "/home/ann"}
HERE = Places(Path("data"), Path("data"))


def test_an_installed_program_in_an_empty_folder_keeps_its_files_in_the_users_directories(tmp_path: Path) -> None:
    expected = Places(Path("/home/ann/.local/share/ivcrush"), Path("/home/ann/.cache/ivcrush"))
    assert default_places(HOME, tmp_path, in_checkout=False) == expected
    assert list(tmp_path.iterdir()) == []


def test_the_xdg_variables_move_the_users_directories_and_relative_ones_are_ignored(tmp_path: Path) -> None:
    environ = HOME | {"XDG_DATA_HOME": "/big/data", "XDG_CACHE_HOME": "cache"}
    expected = Places(Path("/big/data/ivcrush"), Path("/home/ann/.cache/ivcrush"))
    assert default_places(environ, tmp_path, in_checkout=False) == expected


@pytest.mark.parametrize("name", [".env", "data"])
def test_a_folder_that_holds_env_or_data_is_where_the_work_is_done(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert default_places(HOME, tmp_path, in_checkout=False) == HERE


def test_a_checkout_works_in_the_working_directory_and_so_does_a_user_without_a_home(tmp_path: Path) -> None:
    assert default_places(HOME, tmp_path, in_checkout=True) == HERE
    assert default_places({}, tmp_path, in_checkout=False) == HERE
    assert default_places({"HOME": "relative"}, tmp_path, in_checkout=False) == HERE


def test_what_a_service_manager_sets_aside_comes_first_and_the_first_of_several(tmp_path: Path) -> None:
    state = {"STATE_DIRECTORY": "/var/lib/ivcrush:/var/lib/other"}
    both = state | {"CACHE_DIRECTORY": "/var/cache/ivcrush"}
    assert default_places(HOME | state, tmp_path, in_checkout=True) == Places(*[Path("/var/lib/ivcrush")] * 2)
    assert default_places(both, tmp_path, in_checkout=False) == Places(
        Path("/var/lib/ivcrush"), Path("/var/cache/ivcrush")
    )


def test_these_tests_run_from_a_checkout() -> None:
    assert runs_from_checkout()


def test_the_settings_use_the_places_where_they_name_none(tmp_path: Path) -> None:
    state, cache = tmp_path / "state", tmp_path / "cache"
    environ = {"STATE_DIRECTORY": str(state), "CACHE_DIRECTORY": str(cache)}
    settings = load_settings(environ, tmp_path, required_keys=())
    assert (settings.storage.path, settings.cache.path) == (state / "ivcrush.db", cache / "ivcrush-cache.db")


def test_a_database_that_is_named_has_its_cache_beside_it_whatever_the_places(tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": str(tmp_path), "CACHE_DIRECTORY": "/var/cache/ivcrush", "DB_PATH": "own/mine.db"}
    settings = load_settings(environ, tmp_path, required_keys=())
    assert settings.storage.path == tmp_path / "own/mine.db"
    assert settings.cache.path == tmp_path / "own/mine-cache.db"
