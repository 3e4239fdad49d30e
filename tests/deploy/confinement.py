"""A service's sandbox without systemd, as near as a namespace, a bare user and a filter of calls come to it.

Kept from the units: one writable directory, a private /tmp, no homes, no other processes, no capabilities, no rights to
gain, nothing both written and executed, sockets of IP alone, keys as files. Not kept: the filter of all calls, whose
names another test compares.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

NOBODY = 64_990  # a number that no user of a machine has

# As root in namespaces of its own: arrange the files, then become nobody. $1 is the installed root, $2 the state.
_ARRANGE = r"""
set -eu
root=$1 state=$2
shift 2
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir /opt/ivcrush
mount --bind "$root/opt/ivcrush" /opt/ivcrush
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir /var/lib/ivcrush
mount --bind "$state" /var/lib/ivcrush
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/credentials
printf '%s' "$TEST_TOKEN" >/run/credentials/tradier_api_key
printf '%s' "$TEST_KEY" >/run/credentials/alpha_vantage_key
chmod 0400 /run/credentials/*
chown -R "$TEST_USER:$TEST_USER" /run/credentials
for hidden in /root /home; do
    [ ! -d "$hidden" ] || mount -t tmpfs -o ro,mode=000 tmpfs "$hidden"
done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t proc -o subset=pid proc /proc
cut -d ' ' -f 5 /proc/self/mountinfo | grep -v -e '^/var/lib/ivcrush$' -e '^/tmp$' -e '^/dev' -e '^/proc' |
    while read -r place; do mount -o remount,bind,ro "$place" 2>/dev/null || true; done
cd /var/lib/ivcrush
umask 077
unset TEST_TOKEN TEST_KEY
exec setpriv --reuid="$TEST_USER" --regid="$TEST_USER" --clear-groups --bounding-set=-all --inh-caps=-all \
    --no-new-privs -- /opt/ivcrush/bin/python -I -c "$TEST_CONFINE" "$@"
"""

# The last step, by the process itself: PR_SET_MDWE (65, Linux 6.3), and a filter (seccomp, 22) on x86-64, which refuses
# sockets of other families with EAFNOSUPPORT and calls of @privileged and @resources that a library may try with EPERM.
_CONFINE = r"""
import ctypes, os, platform, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(65, 1, 0, 0, 0)
if platform.machine() == "x86_64":
    ALLOW, EPERM, EAFNOSUPPORT = 0x7FFF0000, 0x00050001, 0x00050061
    chown, fchown, lchown, mbind, set_mempolicy, setpriority, sched_setaffinity = 92, 93, 94, 237, 238, 141, 203
    refused = (chown, fchown, lchown, mbind, set_mempolicy, setpriority, sched_setaffinity)
    load = lambda offset: (0x20, 0, 0, offset)
    equal = lambda value, skip: (0x15, 0, skip, value)
    give = lambda value: (0x06, 0, 0, value)
    steps = [load(0)]
    for number in refused:
        steps += [equal(number, 1), give(EPERM)]
    socket, inet, inet6 = 41, 2, 10
    steps += [(0x15, 1, 0, socket), give(ALLOW), load(16)]
    steps += [(0x15, 2, 0, inet), (0x15, 1, 0, inet6), give(EAFNOSUPPORT), give(ALLOW)]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("=HxxxxxxQ", len(steps), ctypes.addressof(buffer))
    if libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0):
        sys.exit(f"no filter: errno {ctypes.get_errno()}")
os.execv(sys.argv[1], sys.argv[1:])
"""


def confined(
    root: Path, state: Path, command: Sequence[str], environment: Mapping[str, str], *, token: str, key: str
) -> "subprocess.CompletedProcess[str]":
    """Run an installed program as a service would; skips where no namespaces can be made."""
    for tool in ("unshare", "setpriv"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool} (package util-linux)")
    apart = ["unshare", "--mount", "--pid", "--fork", "--propagation", "private"]
    if subprocess.run([*apart, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make namespaces and mounts (root)")
    given = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "STATE_DIRECTORY": "/var/lib/ivcrush",
        "CREDENTIALS_DIRECTORY": "/run/credentials",
        "JOURNAL_STREAM": "8:1",
        "TEST_USER": str(NOBODY),
        "TEST_TOKEN": token,
        "TEST_KEY": key,
        "TEST_CONFINE": _CONFINE,
        **environment,
    }
    called = [*apart, "sh", "-c", _ARRANGE, "sh", str(root), str(state), *command]
    return subprocess.run(called, env=given, capture_output=True, text=True, check=False)
