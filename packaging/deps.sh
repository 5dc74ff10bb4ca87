#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The one list of what Debian 12 has to provide. Installs what is missing, and only then needs root and the network.
#   packaging/deps.sh          install          packaging/deps.sh --list     print the list
set -eu

build="gcc libc6-dev make clang llvm bpftool pkg-config libbpf-dev libsystemd-dev libsodium-dev libjansson-dev libseccomp-dev
       libcap-ng-dev libmnl-dev libnftables-dev libssl-dev"
tests="libcmocka-dev systemd systemd-container mmdebstrap nftables iproute2 openssh-client openssl python3 python3-cryptography
       crun runc podman conmon libclang-rt-14-dev procps socat jq man-db e2fsprogs dnsmasq-base qemu-system-x86 cpio kmod"

missing() {
        dpkg-query -W -f '${Package} ${db:Status-Status}\n' $build $tests 2>/dev/null |
                awk -v want="$(echo $build $tests)" '
                        $2 == "installed" { have[$1] = 1 }
                        END { n = split(want, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'
}

if [ "${1:-}" = --list ]; then
        printf '%s\n' $build $tests
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
# One update first: on a fresh machine the package lists are empty or too old to fetch from.
if ! { $sudo apt-get -q update && $sudo apt-get -q -y --no-install-recommends install $need; } >"$log" 2>&1; then
        cat "$log" >&2
        echo "deps.sh: could not install:" $need >&2
        exit 1
fi
need=$(missing)
[ -z "$need" ] || { echo "deps.sh: still missing:" $need >&2; exit 1; }
