# SPDX-License-Identifier: Apache-2.0
# A new process of root's goes into the held cgroup and works there: it is frozen and cut off as it arrives.
sh -c "echo 0 >$CGROUP/cgroup.procs; ESCAPE_N=$N exec timeout 2 $BIN/victim" &
sleep 1
