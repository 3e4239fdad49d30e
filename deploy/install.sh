#!/bin/sh
# Installs ivcrush as a service out of this checkout: sudo make install-service
#
# /opt/ivcrush            the program, a virtual environment of its own, from hashed packages; the former one: /opt/ivcrush.old
# /etc/systemd/system     the units
# /etc/ivcrush            settings (ivcrush.env) and keys (credentials/); what is there is never changed
# /usr/local/bin/ivcrush  the command
#
# Doing it again upgrades. Nothing is replaced before everything is built, and nothing is started or enabled.
# PYTHON=… names another interpreter, DESTDIR=… another root directory (for packages and tests; systemd is left alone then).
set -eu
umask 022
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
checkout=$(dirname -- "$here")
root=${DESTDIR:-}
python=${PYTHON:-/usr/bin/python3}
program=$root/opt/ivcrush
built=$program.new
settings=$root/etc/ivcrush
units=$root/etc/systemd/system

fail() {
    echo "install: $1" >&2
    exit 1
}

check() {
    if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
        fail "root is needed: sudo make install-service"
    fi
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$python: Python 3.11 or newer is needed (package python3)"
    "$python" -m pip --version >/dev/null 2>&1 || fail "$python: pip is needed (package python3-pip)"
    # The services see no homes (ProtectHome=), so an interpreter that lies in one would not start there.
    lies_in=$("$python" -c 'import os, sys; print(os.path.realpath(sys.base_prefix))')
    case $lies_in in
        /root/* | /home/* | /run/user/*)
            [ -n "$root" ] || fail "$python lies in $lies_in, which services cannot see: PYTHON=/usr/bin/python3" ;;
    esac
}

# pip NAME-OF-ENVIRONMENT COMMAND…: the machine's pip, working for that environment, which needs none of its own.
pip() {
    environment=$1
    shift
    "$python" -m pip --python "$environment/bin/python" --quiet --disable-pip-version-check --no-input --no-cache-dir "$@"
}

build() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # Tools and sources in a directory that is thrown away: neither the program nor the checkout keeps anything of them.
    cp -R "$checkout/src" "$checkout/pyproject.toml" "$checkout/README.md" "$work"
    "$python" -m venv --without-pip "$work/tools"
    pip "$work/tools" install --require-hashes -r "$checkout/requirements/build.txt"
    pip "$work/tools" wheel --no-build-isolation --no-deps --wheel-dir "$work/wheel" "$work"
    rm -rf "$built"
    mkdir -p "$(dirname -- "$built")"
    "$python" -m venv --without-pip "$built"
    # Not compiled yet: the files would remember the directory they are built in.
    pip "$built" install --no-compile --root-user-action=ignore --require-hashes -r "$checkout/requirements/core.txt"
    pip "$built" install --no-compile --root-user-action=ignore --no-deps "$work"/wheel/ivcrush-*.whl
    # pip writes down the path that the environment has now; the launcher looks where it lies.
    install -m 0755 "$here/launcher" "$built/bin/ivcrush"
    install -d -m 0755 "$built/libexec"
    install -m 0755 "$here/libexec/alert" "$here/libexec/heartbeat" "$here/libexec/keep-report" "$built/libexec"
    "$built/bin/python" -m compileall -q -s "$built" -p /opt/ivcrush "$built/lib"
    "$built/bin/ivcrush" --version >/dev/null || fail "what was built does not start; /opt/ivcrush is as it was"
}

put_in_place() {
    if [ -e "$program" ]; then
        rm -rf "$program.old"
        mv "$program" "$program.old"
    fi
    mv "$built" "$program"
    install -D -m 0755 "$here/as-service" "$root/usr/local/bin/ivcrush"
    install -d -m 0755 "$units"
    install -m 0644 "$here"/*.service "$here"/*.timer "$units"
}

configure() {
    install -d -m 0755 "$settings"
    if [ ! -e "$settings/ivcrush.env" ]; then
        install -m 0644 "$here/ivcrush.env" "$settings/ivcrush.env"
    fi
    if [ ! -e "$settings/credentials" ]; then
        install -d -m 0700 "$settings/credentials"
    fi
}

tell() {
    echo "installed: $("$program/bin/ivcrush" --version)"
    for key in TRADIER_API_KEY ALPHA_VANTAGE_KEY; do
        if [ ! -e "$settings/credentials/$key" ]; then
            echo "missing:   $key. Paste it after this command, then Enter and Ctrl-D:"
            echo "           sudo install -m 0600 /dev/stdin /etc/ivcrush/credentials/$key"
        fi
    done
    cat <<'NEXT'
then:      sudo ivcrush health-check
           sudo systemctl enable --now ivcrush.timer ivcrush-preclose.timer ivcrush-backfill.timer ivcrush-health.timer
settings:  /etc/ivcrush/ivcrush.env (what is run, who is alerted)
NEXT
}

check
build
put_in_place
configure
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
tell
