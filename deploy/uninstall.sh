#!/bin/sh
# Removes what install.sh installed: sudo make uninstall-service
# Settings, keys, database, results (/etc/ivcrush, /var/lib/ivcrush) and edited units stay, unless --purge is given.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=${DESTDIR:-}
purge=
case $#,${1:-} in
    0,) ;;
    1,--purge) purge=1 ;;
    *) echo "uninstall: nothing or --purge is needed" >&2; exit 2 ;;
esac
if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    echo "uninstall: root is needed: sudo make uninstall-service" >&2
    exit 1
fi
running=
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    running=1
fi

for file in "$here"/*.timer "$here"/examples/*.timer "$here"/*.service; do # timers first: nothing starts meanwhile
    unit=$(basename -- "$file")
    if [ -e "$root/etc/systemd/system/$unit" ]; then
        case $running,$unit in
            1,*.timer) systemctl disable --quiet --now "$unit" ;;
            1,*@.service) systemctl stop "$(echo "$unit" | sed 's/@/@*/')" ;;
            1,*) systemctl stop "$unit" ;;
        esac
        rm "$root/etc/systemd/system/$unit"
    fi
    if [ -n "$purge" ]; then
        rm -rf "$root/etc/systemd/system/$unit.d" # what `systemctl edit` made
    fi
done
rm -rf "$root/opt/ivcrush" "$root/opt/ivcrush.old" "$root/opt/ivcrush.new"
if cmp -s "$here/as-service" "$root/usr/local/bin/ivcrush"; then # somebody else's command stays
    rm "$root/usr/local/bin/ivcrush"
fi
[ -z "$running" ] || systemctl daemon-reload
if [ -n "$purge" ]; then
    # With DynamicUser= the second one is a symbolic link to the third.
    rm -rf "$root/etc/ivcrush" "$root/var/lib/ivcrush" "$root/var/lib/private/ivcrush"
    rm -rf "$root/var/lib/systemd/timers"/stamp-ivcrush*.timer
    echo "removed, with settings, keys, database and results"
else
    echo "removed; /etc/ivcrush and /var/lib/ivcrush are kept (deploy/uninstall.sh --purge removes them)"
fi
