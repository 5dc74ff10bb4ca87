# SPDX-License-Identifier: Apache-2.0
# The service manager moves its processes into a new scope.
set -- $PIDS
busctl --timeout=5 call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StartTransientUnit \
        'ssa(sv)a(sa(sv))' "esc-scope-$N.scope" fail 1 PIDs au 1 "$1" 0
