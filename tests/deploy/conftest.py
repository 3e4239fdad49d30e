"""The service as it is installed, once for all tests: into a root of its own, by the script that users run."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.unit_files import DEPLOY

PYTHON = Path("/usr/bin/python3")
_NOT_TO_BE_HAD = re.compile(r"No matching distribution|Could not find a version|ConnectionError|Temporary failure")


def install(root: Path, script: str = "install.sh", *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run install.sh or uninstall.sh with that root."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHON", "PYTHONPATH"}}
    return subprocess.run(
        [str(DEPLOY / script), *arguments],
        env=environment | {"DESTDIR": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root directory with ivcrush in it; skips where the machine cannot build one, and says why."""
    if not PYTHON.exists():
        pytest.skip(f"needs {PYTHON} (package python3)")
    root = tmp_path_factory.mktemp("root")
    root.chmod(0o755)  # that of pytest is 0700, and services are nobody
    finished = install(root)
    if finished.returncode:
        missing = re.search(r"is needed \(package \S+\)", finished.stderr) or _NOT_TO_BE_HAD.search(finished.stderr)
        if missing is not None:
            pytest.skip(f"nothing can be installed here: {missing[0]}")
        raise AssertionError(finished.stderr)
    assert "install" not in finished.stderr
    return root
