# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# A real nats-server for suites, and a client for shell. Sourced after box.sh; ends with the script.
#
#   nats_start [BOX] [LINE...]   starts a nats-server with JetStream on a port of its own: on the loopback, or outside of the box that BOX names
#                                ("-": the loopback). LINE go into its configuration. Sets NATS_URL. Started again after nats_stop it is
#                                at the same address and has what it stored
#   nats_stop                    ends it at once, as a power cut would
#   nats_start_with FILE         the same with a configuration of its own, at the address that is in it and in NATS_URL
#   nats_say WHAT ARG...         nats_say.py at NATS_URL, from where the server is, with NATS_AS: options that say who asks
#   nats_listen FILE COUNT SECONDS SUBJECT...   listens in the background: what comes is in FILE; returns when it listens
#   nats_heard                   waits until that is over; fails when fewer came
#   nats_deafen                  ends it
#   nats_certify DIR NAME IP...  NAME.pem and NAME.key in DIR for a server with these addresses, by the authority ca.pem there, made when it is not
#   nats_shipped DIR FLEET TOKEN IP   prints the configuration that is shipped (packaging/nats) for a fleet of one host, an operator and a
#                                herald; their seeds (host, operator, herald), certificates and store are in DIR
#   rogue_start BOX [VICTIM]     starts rogue_nats.py in its place instead; what it does is in the file NATS_MODE, what the victim published
#                                in NATS_SPY

NATS_DIR=
NATS_PID=
NATS_BOX=-
NATS_PORT=
NATS_AS=()
# below those that the kernel gives to whoever asks for none: nobody gets it by chance before the server does
# shellcheck disable=SC2016
NATS_FREE_PORT='
import errno, os, socket
port = 10000 + os.getpid() * 7919 % 22000
while True:
    try:
        socket.socket().bind(("127.0.0.1", port))
        break
    except OSError as e:
        if e.errno != errno.EADDRINUSE:
            raise
        port += 1
print(port)'

nats_in() {
        if [ "$NATS_BOX" = - ]; then "$@"; else box_outside "$NATS_BOX" "$@"; fi
}

# In a subshell, which becomes it: its pid is that of the program.
nats_become() {
        [ "$NATS_BOX" = - ] || set -- ip netns exec "$(cat "$(box_dir "$NATS_BOX")/netns")" "$@"
        exec "$@" </dev/null
}

nats_dir() {
        [ -n "$NATS_DIR" ] && return
        NATS_DIR=$(mktemp -d /tmp/nats.XXXXXX) || return
        NATS_MODE=$NATS_DIR/mode
        NATS_SPY=$NATS_DIR/spy
        box_at_exit 'nats_stop; rm -rf "$NATS_DIR"'
}

nats_host() {
        if [ "$NATS_BOX" = - ]; then echo 127.0.0.1; else echo 10.77.0.1; fi
}

nats_is_up() {
        nats_in python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)' "$(nats_host)" "$NATS_PORT"
}

nats_start_with() {
        nats_dir || return
        (nats_become nats-server -c "$1") >>"$NATS_DIR/log" 2>&1 &
        NATS_PID=$!
        disown
        box_until 60 nats_is_up || { cat "$NATS_DIR/log" >&2; box_fail "nats-server did not start"; }
}

nats_start() {
        NATS_BOX=${1:-${NATS_BOX}}
        nats_dir || return
        [ -n "$NATS_PORT" ] || NATS_PORT=$(nats_in python3 -c "$NATS_FREE_PORT")
        if [ $# -gt 0 ] || [ ! -e "$NATS_DIR/conf" ]; then
                {
                        printf 'listen: "%s:%s"\njetstream { store_dir: "%s/store", max_mem: 64MB, max_file: 256MB }\n' "$(nats_host)" "$NATS_PORT" "$NATS_DIR"
                        [ $# -lt 2 ] || printf '%s\n' "${@:2}"
                } >"$NATS_DIR/conf"
        fi
        NATS_URL=nats://$(nats_host):$NATS_PORT
        (nats_become nats-server -c "$NATS_DIR/conf") >>"$NATS_DIR/log" 2>&1 &
        NATS_PID=$!
        disown
        box_until 60 nats_is_up || { cat "$NATS_DIR/log" >&2; box_fail "nats-server did not start"; }
}

rogue_start() {
        NATS_BOX=$1
        nats_dir || return
        [ -e "$NATS_MODE" ] || echo honest >"$NATS_MODE"
        : >"$NATS_SPY"
        NATS_PORT=${NATS_PORT:-4222}
        NATS_URL=nats://$(nats_host):$NATS_PORT
        (nats_become python3 -B "$BOX_LIB/rogue_nats.py" "$(nats_host)" "$NATS_PORT" "$NATS_MODE" "$NATS_SPY" ${2:+"$2"}) >>"$NATS_DIR/log" 2>&1 &
        NATS_PID=$!
        disown
        box_until 60 nats_is_up || box_fail "the rogue did not start"
}

nats_is_down() {
        ! kill -0 "$NATS_PID" 2>/dev/null
}

nats_stop() {
        [ -n "$NATS_PID" ] || return 0
        kill -KILL "$NATS_PID" 2>/dev/null
        box_until 60 nats_is_down
        NATS_PID=
}

nats_say() {
        nats_in python3 -B "$BOX_LIB/nats_say.py" "$NATS_URL" "$@" "${NATS_AS[@]}"
}

nats_listen() {
        rm -f "$1.err"
        (nats_become python3 -B "$BOX_LIB/nats_say.py" "$NATS_URL" sub "${@:4}" --count "$2" --for "$3" "${NATS_AS[@]}") >"$1" 2>"$1.err" &
        NATS_LISTENER=$!
        box_until 60 grep -qs READY "$1.err"
}

nats_heard() {
        wait "$NATS_LISTENER"
}

nats_deafen() {
        kill "$NATS_LISTENER" 2>/dev/null
        wait "$NATS_LISTENER" 2>/dev/null
}

nats_key() { openssl req "$@" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes 2>/dev/null; }

nats_certify() {
        local ip names=
        for ip in "${@:3}"; do names+=${names:+,}IP:$ip; done
        mkdir -p "$1" || return
        [ -e "$1/ca.pem" ] || nats_key -x509 -days 2 -subj /CN=ca -keyout "$1/ca.key" -out "$1/ca.pem" || return
        nats_key -subj "/CN=$2" -keyout "$1/$2.key" -out "$1/csr" &&
                openssl x509 -req -in "$1/csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -days 2 -extfile <(echo "subjectAltName=$names") -out "$1/$2.pem" 2>/dev/null
}

nats_shipped() {
        local users=() who
        mkdir -p "$1/store" || return
        for who in host operator herald; do users+=("$(python3 -B "$BOX_LIB/nats_say.py" - seed "$1/$who")") || return; done
        # its users, in their order
        sed -e "s/UDXU[A-Z0-9]*/${users[0]}/; s/UAT6[A-Z0-9]*/${users[1]}/; s/UC3S[A-Z0-9]*/${users[2]}/; s/A\{43\}/$3/g; s/v1\.prod\./v1.$2./g; s/_prod\b/_$2/g" \
                -e "s@/etc/nats@$1@; s@/var/lib/nats@$1/store@; s/0\.0\.0\.0/$4/" "$BOX_LIB/../../packaging/nats/nats-server.conf"
}
