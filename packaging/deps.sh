#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The one list of what Debian 12 has to provide. Installs what is missing, and only then needs root and the network.
#   packaging/deps.sh          install          packaging/deps.sh --list     print the list
#   packaging/deps.sh --bench  install what the benches measure beside, too
set -eu

build="gcc libc6-dev make clang llvm bpftool pkg-config libbpf-dev libsystemd-dev libsodium-dev libjansson-dev libseccomp-dev
       libcap-ng-dev libmnl-dev libnftables-dev libssl-dev libzstd-dev libarchive-dev libcurl4-openssl-dev libnats-dev libmicrohttpd-dev"
tests="libcmocka-dev systemd systemd-container mmdebstrap nftables iproute2 openssh-client openssl python3 python3-cryptography
       crun runc podman conmon libclang-rt-14-dev procps socat jq man-db e2fsprogs dnsmasq-base qemu-system-x86 cpio kmod age zstd gdb systemd-journal-remote sleuthkit
       nats-server"
bench="borgbackup restic clustershell pssh openssh-server"

want="$build $tests"
[ "${1:-}" != --bench ] || want="$want $bench"

missing() {
        dpkg-query -W -f '${Package} ${db:Status-Status}\n' $want 2>/dev/null |
                awk -v want="$(echo $want)" '
                        $2 == "installed" { have[$1] = 1 }
                        END { n = split(want, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'
}

if [ "${1:-}" = --list ]; then
        printf '%s\n' $want
        exit 0
fi

need=$(missing)
[ -n "$need" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
        sudo="sudo env DEBIAN_FRONTEND=noninteractive"
        command -v sudo >/dev/null || { echo "deps.sh: not root and no sudo; install these first:" $need >&2; exit 1; }
fi
export DEBIAN_FRONTEND=noninteractive

echo "  DEPS    " $need
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A broker, or an ssh server, that listens on this machine is nothing that tests and benches need: they start their own.
quiet() {
        [ -d /run/systemd/system ] || return 0
        case $need in *nats-server*) $sudo systemctl --quiet "$@" nats-server.service ;; esac
        case $need in *openssh-server*) $sudo systemctl --quiet "$@" ssh.service ;; esac
}
# One update first: on a fresh machine the package lists are empty or too old to fetch from.
if ! { $sudo apt-get -q update && quiet mask --runtime && $sudo apt-get -q -y --no-install-recommends install $need &&
        quiet unmask --runtime && quiet disable; } >"$log" 2>&1; then
        cat "$log" >&2
        echo "deps.sh: could not install:" $need >&2
        exit 1
fi
need=$(missing)
[ -z "$need" ] || { echo "deps.sh: still missing:" $need >&2; exit 1; }
