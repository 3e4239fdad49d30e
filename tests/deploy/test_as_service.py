"""`sudo ivcrush …`: the program as the services run it; for anybody else, and where there is no systemd, as he is."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.unit_files import DEPLOY, settings

# A machine with systemd, our program and one key, of which nothing is real: each command tells what it was called with.
_MACHINE = r"""
set -eu
for place in /run /opt /etc/ivcrush; do
    [ ! -d "$place" ] || mount -t tmpfs tmpfs "$place"
done
mkdir -p /run/systemd/system /opt/ivcrush/bin /run/bin
for name in /opt/ivcrush/bin/ivcrush /run/bin/systemd-run; do
    printf '#!/bin/sh\nprintf "%%s\\n" "$0" "$@"\n' >"$name"
    chmod 755 "$name"
done
eval "$BEFORE"
PATH=/run/bin:$PATH
exec "$WRAPPER" "$@"
"""


def typed(*words: str, before: str = "") -> list[str]:
    """What is called in the end where somebody types `ivcrush WORDS` on that machine."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare (package util-linux)")
    apart = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _MACHINE, "sh", *words]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "WRAPPER": str(DEPLOY / "as-service"), "BEFORE": before}
    finished = subprocess.run(apart, env=environment, capture_output=True, text=True, check=False)
    if "permission denied" in finished.stderr.lower() and "mount" in finished.stderr:
        pytest.skip("needs the right to make mounts")
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


def test_root_becomes_the_user_of_the_services_with_their_settings_and_place() -> None:
    called = typed("scan", "--top", "3 4", "--format", "json")
    assert called[0] == "/run/bin/systemd-run"
    assert called[-6:] == ["/opt/ivcrush/bin/ivcrush", "scan", "--top", "3 4", "--format", "json"]
    given = {word.removeprefix("--property=") for word in called if word.startswith("--property=")}
    unit = settings(DEPLOY / "ivcrush.service")
    for key in ("DynamicUser", "User", "StateDirectory", "StateDirectoryMode", "UMask"):
        assert f"{key}={unit[key][0]}" in given
    assert "EnvironmentFile=-/etc/ivcrush/ivcrush.env" in given
    assert "--working-directory=/var/lib/ivcrush" in called
    assert {"--wait", "--pipe", "--pty", "--collect", "--quiet"} <= set(called)


def test_a_key_that_is_there_is_handed_over_as_the_units_do() -> None:
    if not Path("/etc").is_dir() or Path("/etc/ivcrush").exists():
        pytest.skip("needs a machine on which ivcrush is not installed")
    before = "mount -t tmpfs tmpfs /srv; mkdir -p /srv/e/credentials; touch /srv/e/credentials/TRADIER_API_KEY;"
    before += 'sed "s#/etc/ivcrush#/srv/e#" "$WRAPPER" >/run/wrapper; chmod 755 /run/wrapper; WRAPPER=/run/wrapper'
    called = typed("quota", before=before)
    handed = [word for word in called if "LoadCredential" in word]
    assert handed == ["--property=LoadCredential=tradier_api_key:/srv/e/credentials/TRADIER_API_KEY"]


def test_without_systemd_or_as_somebody_else_the_program_itself_is_run() -> None:
    direct = ["/opt/ivcrush/bin/ivcrush", "analyze", "BRK.B"]
    assert typed("analyze", "BRK.B", before="rmdir /run/systemd/system") == direct
    somebody = 'chmod 755 /run /opt; printf "#!/bin/sh\\necho 1000\\n" >/run/bin/id; chmod 755 /run/bin/id'
    assert typed("analyze", "BRK.B", before=somebody) == direct
