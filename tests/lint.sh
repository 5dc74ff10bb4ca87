#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The rules of the source that a compiler does not know. Prints TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

FILE_LINES_MAX=600
FUNCTION_LINES_MAX=80

# Not asked of git, which refuses a checkout that belongs to someone else (sudo make test).
mapfile -t all < <(find . \( -name .git -o -name '.build*' -o -name __pycache__ -o -path ./tests/fuzz/corpus \) -prune -o -type f -print | sort)
mapfile -t code < <(printf '%s\n' "${all[@]}" | grep -E '\.(c|h)$')
mapfile -t text < <(printf '%s\n' "${all[@]}" | grep -E '(\.(c|h|sh|py|mk|service|socket|slice|conf|catalog)|/Makefile|/\.ci/run)$')

# none 'SENTENCE' LINES: ok when there are no lines to complain about
none() {
        if [ -z "$2" ]; then ok "$1"; else not_ok "$1" "$2"; fi
}

without_licence() {
        local file
        for file in "${text[@]}"; do
                head -n 2 "$file" | grep -q 'SPDX-License-Identifier: \(Apache-2.0\|GPL-2.0-only\)' || echo "$file"
        done
}

wrong_bpf_licence() {
        grep -L 'SPDX-License-Identifier: GPL-2.0-only' bpf/*.bpf.c 2>/dev/null
}

# Strings and characters are taken out, then block comments; a // that is left is one.
line_comments() {
        awk '
                FNR == 1 { inside = 0 }
                {
                        line = $0
                        if (inside) { if (!sub(/^.*\*\//, "", line)) next; inside = 0 }
                        gsub(/\\./, "", line); gsub(/"[^"]*"/, "", line); gsub(/\047[^\047]*\047/, "", line)
                        while (match(line, /\/\*/)) {
                                if (!match(line, /\/\*([^*]|\*+[^*\/])*\*+\//)) { inside = 1; sub(/\/\*.*/, "", line); break }
                                line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
                        }
                        if (line ~ /\/\//) print FILENAME ":" FNR ": " $0
                }' "${code[@]}"
}

# clang-format puts a function's last brace, and no other brace of it, in the first column.
long_functions() {
        awk -v max="$FUNCTION_LINES_MAX" '
                FNR == 1 { start = 0 }
                /^[a-zA-Z_].*\) \{$/ || /^[ \t].*\) \{$/ && !start && !table { start = FNR; name = $0 }
                /^[a-z].*= \{$/ { table = 1 }
                /^}/ { if (start && FNR - start + 1 > max) print FILENAME ":" start ": " FNR - start + 1 " lines: " name; start = 0; table = 0 }
        ' "${code[@]}"
}

long_files() {
        wc -l "${code[@]}" "${text[@]}" | awk -v max="$FILE_LINES_MAX" '$2 != "total" && $1 > max { print $2 ": " $1 " lines" }' | sort -u
}

untested_policy() {
        local file
        for file in policy/*.c; do
                [ -e "tests/unit/test_${file##*/}" ] || echo "$file"
        done
}

fuzzers_without_corpus() {
        local file name
        for file in tests/fuzz/fuzz_*.c; do
                name=${file##*/fuzz_}
                [ -n "$(find "tests/fuzz/corpus/${name%.c}" -type f 2>/dev/null | head -n 1)" ] || echo "$file"
        done
}

uncatalogued_ids() {
        sed -n 's/^#define MESSAGE_ID_[A-Z_]* "\([0-9a-f]*\)".*/\1/p' agent/util/message_id.h | while read -r id; do
                [ ${#id} -eq 32 ] && grep -q "^-- $id$" packaging/catalog/freezed.catalog || echo "$id"
        done
}

# only what is linked into a resident program; a child that ends itself says _exit()
exits() {
        grep -nE '(^|[^_[:alnum:]])(exit|abort)\(' $(find policy agent -name '*.c' ! -name main.c)
}

includes_across() {
        grep -nE '#include "(ctl|agent)/' policy/*.[ch]
        grep -nE '#include "agent/' ctl/*.[ch]
        grep -rnE '#include "ctl/' agent
}

# README's sentence about the escapes has to be the table's last run.
untrue_of_escapes() {
        local routes ours peers said
        routes=$(awk '/^[|] route [|]/ { on = 1; next } on && /^$/ { exit } on && !/^[|]-/ { n++ } END { print n + 0 }' packaging/doc/escape.md)
        read -r ours peers < <(sed -n 's/^| escaped | \(0 | 0 | 0 | 0\) | \(.*\) |$/none \2/p' packaging/doc/escape.md)
        peers=$(tr -d '|' <<<"$peers" | tr -s ' ' '\n' | sort -n | sed -n '1p;$p' | paste -sd ' ')
        said="Of $routes routes $ours got out of a hold unnamed; the peers let ${peers/ / to } out."
        tr '\n' ' ' <README.md | grep -qF "$said" || echo "README.md does not say: $said"
}

none "every source names its licence in the first two lines" "$(without_licence)"
none "BPF programs are GPL-2.0-only" "$(wrong_bpf_licence)"
none "the protocol's sections are those of its list" "$(diff <(sed '/^## /,$d' policy/PROTOCOL.md | grep -E '^[0-9]+\. ') <(sed -n 's/^## //p' policy/PROTOCOL.md))"
none "nothing is left to do" "$(grep -nwE 'TODO|FIXME|XXX' "${text[@]}" | grep -v '^./tests/lint.sh:')"
none "C has block comments only" "$(line_comments)"
none "no tabs in C" "$(grep -nP '\t' "${code[@]}")"
none "no file is longer than $FILE_LINES_MAX lines" "$(long_files)"
none "no function is longer than $FUNCTION_LINES_MAX lines" "$(long_functions)"
none "every header is included once" "$(printf '%s\n' "${code[@]}" | grep '\.h$' | xargs grep -L '^#pragma once$')"
none "every module of policy/ has its unit test" "$(untested_policy)"
none "every fuzz target has a corpus to replay" "$(fuzzers_without_corpus)"
none "every message id is in the catalogue" "$(uncatalogued_ids)"
none "the agent ends in main.c only" "$(exits)"
none "README says of the escapes what was measured" "$(untrue_of_escapes)"
none "policy/ knows neither agent nor ctl, and these not each other" "$(includes_across)"
done_testing
