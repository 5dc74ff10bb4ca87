#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh B [DESTDIR]: puts what was built under B where it belongs, below DESTDIR or on this host. An upgrade keeps the host's policy
# and state, and leaves running services to the next restart: nothing that is held is touched.
set -eu

build=$1
dest=${2:-}
here=$(cd "$(dirname "$0")" && pwd)

put() {
        install -D -m "$1" "$2" "$dest$3"
}

put 0755 "$build/freezed" /usr/sbin/freezed
put 0755 "$build/freezed-gate" /usr/lib/freezed/freezed-gate
put 0755 "$build/freezed-relay" /usr/lib/freezed/freezed-relay
put 0755 "$build/freezed-collect" /usr/lib/freezed/freezed-collect
put 0755 "$here/end-held.sh" /usr/lib/freezed/end-held
put 0755 "$build/freezectl" /usr/bin/freezectl
put 0644 "$here/man/freezectl.8" /usr/share/man/man8/freezectl.8
put 0644 "$here/completion/freezectl.bash" /usr/share/bash-completion/completions/freezectl
units=
for unit in "$here"/systemd/*; do
        put 0644 "$unit" "/usr/lib/systemd/system/${unit##*/}"
        case $unit in */freezed-witness.service | */freezed-escalate.service | */freezed-herald.service) ;; *.service | *.socket | *.timer) units="$units ${unit##*/}" ;; esac
done
put 0644 "$here/sysusers.d/freezed.conf" /usr/lib/sysusers.d/freezed.conf
put 0644 "$here/tmpfiles.d/freezed.conf" /usr/lib/tmpfiles.d/freezed.conf
put 0644 "$here/catalog/freezed.catalog" /usr/lib/systemd/catalog/freezed.catalog
put 0644 "$here/man/freezectl.8" /usr/share/man/man8/freezectl.8
put 0644 "$here/completion/freezectl.bash" /usr/share/bash-completion/completions/freezectl
[ -e "$dest/etc/freezed/policy.json" ] || put 0644 "$here/../policy/default-policy.json" /etc/freezed/policy.json

# Without systemd, or as a user who packs it up: the files are all there is to do, and the target's own boot does the rest.
if [ "$(id -u)" -ne 0 ] || ! command -v systemctl >/dev/null; then
        exit 0
fi
systemd-sysusers --root="$dest/" freezed.conf
systemd-tmpfiles --root="$dest/" --create freezed.conf
journalctl --root="$dest/" --update-catalog
# shellcheck disable=SC2086
systemctl -q --root="$dest/" enable $units
if [ -z "$dest" ] && [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        echo "Installed. Start it with: systemctl start freezed.service freezed-gate.service"
fi
