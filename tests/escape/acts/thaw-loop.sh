# SPDX-License-Identifier: Apache-2.0
# Thawed again and again for a second, as fast as it goes: whoever repairs has to race.
i=0
while [ $i -lt 3000 ]; do
        echo 0 >"$CGROUP/cgroup.freeze"
        i=$((i + 1))
done
