"""The settings of the program, of `.env.example` and of what is read are the same ones, with the same defaults."""

import io
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from dotenv import dotenv_values

from ivcrush.config.config import NAMES, SECRET_NAMES, Settings

EXAMPLE = Path(__file__).resolve().parents[3] / ".env.example"


def example() -> dict[str, str | None]:
    return dotenv_values(stream=io.StringIO(EXAMPLE.read_text(encoding="utf-8")), interpolate=False)


def test_the_example_lists_every_setting_once_and_no_other() -> None:
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert sorted(line.split("=")[0] for line in lines) == sorted(NAMES)


def test_the_example_spells_every_default() -> None:
    given = {name.lower(): text for name, text in example().items() if text}
    assert Settings.model_validate(given) == Settings.model_validate({})
    empty_by_default = {name.upper() for name, value in Settings.model_validate({}) if value is None}
    assert {name for name, text in example().items() if not text} == empty_by_default


def test_keys_are_empty_in_the_example_and_hidden_by_the_settings() -> None:
    assert all(example()[name] == "" for name in SECRET_NAMES)
    settings = Settings.model_validate({name.lower(): "CANARYtoken" for name in SECRET_NAMES})
    assert "CANARY" not in repr(settings)
    assert settings.tradier_api_key is not None
    assert settings.tradier_api_key.get_secret_value() == "CANARYtoken"


def test_every_setting_in_the_example_stands_under_a_comment_of_its_own() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    settings = [(before, line) for before, line in pairwise(lines) if line.startswith(NAMES)]
    assert [line for before, line in settings if not before.startswith("# ")] == []


def test_the_process_environment_is_not_read_behind_the_callers_back() -> None:
    program = "from ivcrush.config.config import Settings; print(Settings().vrp_good)"
    environ = {"VRP_GOOD": "1.9", "vrp_good": "1.9", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "1.5\n"


def test_the_views_do_not_import_pydantic() -> None:
    program = "import sys, ivcrush.config.settings, ivcrush.config.validation; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
