# SPDX-License-Identifier: Apache-2.0
#
# Boots a host for the escape suite and runs routes on it. Sourced by 010-suite.sh and run.sh.
#
#   escape_build B                builds the witness, the routes and the tools of the acts under B/escape
#   escape_box B NAME             a box with them, the agent, and the people with keys
#   escape_drive NAME PRODUCT [ROUTE...]   see drive.py; prints its lines
# shellcheck shell=bash disable=SC2034

ESCAPE=/usr/local/lib/escape

escape_build() {
        local out=$1/escape source name
        local -a flags=(-std=gnu11 -O2 -g -Wall -Wextra -Wshadow -Werror -D_GNU_SOURCE -I.)
        mkdir -p "$out"
        for source in tests/escape/witness.c tests/escape/routes/*.c; do
                name=$(basename "$source" .c)
                case $name in
                *.bpf) [ "$out/${name%.bpf}.bpf.o" -nt "$source" ] ||
                        clang -O2 -g -Wall -Werror -target bpf "-I/usr/include/$(gcc -dumpmachine)" -c -o "$out/$name.o" "$source" || return ;;
                *) [ -e "$out/$name" ] && [ -z "$(find "$source" tests/escape/escape.h tests/escape/routes/*.h -newer "$out/$name")" ] ||
                        gcc "${flags[@]}" -o "$out/$name" "$source" $(grep -q bpf/ "$source" && echo -lbpf) || return ;;
                esac
        done
}

# escape_put B PUT: everything onto a host, by PUT FILE PATH MODE
escape_put() {
        local out=$1/escape file
        shift
        for file in "$out"/* tests/escape/routes/*.sh; do
                "$@" "$file" "$ESCAPE/bin/$(basename "$file")" 0755 || return
        done
        for file in /usr/sbin/bpftool /usr/bin/crun; do
                [ ! -e "$file" ] || "$@" "$file" "$ESCAPE/bin/$(basename "$file")" 0755 || return
        done
        for file in tests/escape/acts/*; do
                "$@" "$file" "$ESCAPE/acts/$(basename "$file")" 0755 || return
        done
        # what crun needs beside what the agent does
        file=$(ldconfig -p | sed -n 's/.*libyajl.so.2 .* => //p' | head -n 1)
        [ -z "$file" ] || "$@" "$file" "/usr/lib/$(basename "$file")" 0755 || return
        "$@" tests/escape/drive.py "$ESCAPE/drive.py" 0755 && "$@" tests/escape/routes.table "$ESCAPE/routes.table" 0644
}

ESCAPE_SET_UP='cd /root && for k in alice bob; do ssh-keygen -q -t ed25519 -N "" -f $k || exit; done &&
        freezectl trust init --fleet escape --responder alice=alice.pub --responder bob=bob.pub --key alice --key bob --out trust.json &&
        freezectl enroll trust.json'

escape_put_box() { box_put "$@"; }

escape_box() {
        box_create "$2" && box_install "$2" "$1" && escape_put "$1" escape_put_box "$2" && box_boot "$2" &&
                box_sh "$2" "$ESCAPE_SET_UP" >/dev/null && box_until 60 box_run "$2" freezectl health
}

escape_drive() {
        local name=$1
        shift
        box_run "$name" python3 "$ESCAPE/drive.py" "$@"
}

escape_put_vm() { vm_put "$@"; }

# escape_vm B NAME: a VM with the same, on the kernel of kernel.sh; vm.sh has to be sourced
escape_vm() {
        vm_create "$2" && vm_install "$2" "$1" && escape_put "$1" escape_put_vm "$2" && vm_boot "$2" &&
                vm_sh "$2" "$ESCAPE_SET_UP" </dev/null >/dev/null && box_until 60 vm_run "$2" freezectl health </dev/null
}

# what takes seconds elsewhere takes ten times as long in an emulated machine
escape_drive_vm() {
        local name=$1
        shift
        vm_call "$name" 3600 env ESCAPE_BATCH=20 ESCAPE_PROVE_S=60 ESCAPE_WINDOW_S=5 python3 "$ESCAPE/drive.py" "$@" </dev/null
}
