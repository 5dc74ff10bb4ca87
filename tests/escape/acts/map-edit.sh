# SPDX-License-Identifier: Apache-2.0
# What the programs permit is overwritten: everything to everyone.
ids=$("$BIN/bpftool" map show | sed -n 's/^\([0-9]*\): array  name isolate_polic.*/\1/p')
[ -n "$ids" ]
for id in $ids; do
        size=$("$BIN/bpftool" map show id "$id" | sed -n 's/.*value \([0-9]*\)B.*/\1/p')
        "$BIN/bpftool" map update id "$id" key 0 0 0 0 value 1 $(yes 0 | head -n $((size - 1))) || refused=1
done
[ -z "$refused" ] || exit 1
