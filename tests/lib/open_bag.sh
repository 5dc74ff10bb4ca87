#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# open_bag.sh BAG IDENTITY OUT: opens what evidence holds with age, zstd and tar alone. OUT/data gets the objects, those of packs too,
# and OUT/index.jsonl the parts of the index.
set -eu
bag=$1 identity=$2 out=$3
mkdir -p "$out/data"
for f in "$bag"/data/*.zst.age; do
        name=${f##*/}
        name=${name%.zst.age}
        age -d -i "$identity" "$f" >"$out/sealed"
        zstd -dqf "$out/sealed" -o "$out/data/$name"
        case $name in
                *-pack.tar) tar -xf "$out/data/$name" -C "$out/data" && rm "$out/data/$name" ;;
                *-index.jsonl) cat "$out/data/$name" >>"$out/index.jsonl" && rm "$out/data/$name" ;;
        esac
done
rm -f "$out/sealed"
