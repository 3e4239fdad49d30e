"""What `pip install` leaves: a wheel that works outside of the checkout, in an empty home and an empty folder."""

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ivcrush import __version__
from tests.conftest import PROJECT

# The program as pip's `ivcrush` starts it; the parsed entry point is held to it below.
START = "import sys; from ivcrush.cli.main import main; sys.exit(main())"


def build(directory: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    (wheel,) = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("needs hatchling (requirements/build.txt)")
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files where nothing else lies."""
    directory = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return directory


def start(site: Path, home: Path, folder: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """The installed program with nothing in its environment but a home."""
    chosen = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", START, *arguments],
        check=False,
        cwd=folder,
        env=chosen | environ,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    directory = tmp_path / "folder"
    directory.mkdir()
    return directory


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_a_wheel_that_is_built_twice_is_the_same_to_the_byte(wheel: Path, tmp_path: Path) -> None:
    assert build(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_both_packages_the_ivcrush_program_and_nothing_of_the_workshop(site: Path) -> None:
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == {"ivcrush", "simulated_market"}
    (information,) = site.glob("ivcrush-*.dist-info")
    assert (information / "entry_points.txt").read_text() == "[console_scripts]\nivcrush = ivcrush.cli.main:main\n"
    assert (site / "ivcrush/py.typed").is_file()
    assert f"\nVersion: {__version__}\n" in (information / "METADATA").read_text()


def test_the_demonstration_of_an_installed_wheel_keeps_its_files_in_the_users_private_directories(
    site: Path, home: Path, folder: Path
) -> None:
    done = start(site, home, folder, "analyze", "AAPL", "--demo", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ticker"] == "AAPL"
    assert list(folder.iterdir()) == []
    data, cache = home / ".local/share/ivcrush", home / ".cache/ivcrush"
    assert {"demo.db", "demo-cache.db"} <= {path.name for path in [*data.iterdir(), *cache.iterdir()]}
    assert not (cache / "demo.db").exists()
    made = [home / ".local", home / ".local/share", data, home / ".cache", cache]
    assert {directory.stat().st_mode & 0o777 for directory in made} == {0o700}


def test_an_installed_wheel_works_in_a_folder_with_data_and_in_a_state_directory(
    site: Path, home: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "data").mkdir()
    assert start(site, home, folder, "analyze", "AAPL", "--demo").returncode == 0
    assert files(folder) >= {"data/demo.db", "data/demo-cache.db"}
    state = tmp_path / "state"
    assert start(site, home, folder, "analyze", "AAPL", "--demo", STATE_DIRECTORY=str(state)).returncode == 0
    assert files(state) >= {"demo.db", "demo-cache.db"}
    assert files(home) == set()


def test_an_installed_wheel_without_keys_names_them_and_makes_nothing(site: Path, home: Path, folder: Path) -> None:
    done = start(site, home, folder, "analyze", "AAPL")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("TRADIER_API_KEY is not set")
    assert files(home) | files(folder) == set()
