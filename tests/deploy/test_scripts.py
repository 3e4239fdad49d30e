"""The shell scripts of `deploy/` can be executed, say what they are for, and hold no known trap."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.unit_files import DEPLOY

SCRIPTS = (
    *sorted((DEPLOY / "libexec").iterdir()),
    *(DEPLOY / name for name in ("as-service", "install.sh", "launcher", "uninstall.sh")),
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_can_be_executed_and_begins_with_what_it_is_for(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/bin/sh\n# ")
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


def test_shellcheck_finds_nothing_in_the_scripts() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck (package shellcheck)")
    found = subprocess.run(["shellcheck", *map(str, SCRIPTS)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")
