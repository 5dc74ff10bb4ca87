#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""table.py DIR: what run.sh kept, as packaging/doc/escape.md."""
import os
import re
import sys

COLUMNS = [("here.contain", "freezed contain"), ("here.isolate", "freezed isolate"), ("vm.contain", "contain, VM"), ("vm.isolate", "isolate, VM"),
           ("here.systemctl-freeze", "systemctl freeze"), ("here.IPAddressDeny", "IPAddressDeny=any"), ("here.nft", "nft quarantine"),
           ("here.crun-pause", "crun pause")]
HEAD = """# Walking out: the escape suite

Every route of `tests/escape/routes.table` was really tried: a service that gets a mark to a witness in another network namespace, or goes
on working, is held, what is to be done from outside is done by root, and what the witness sees, what runs and who dies from then on is
counted. A route that does not work without containment on that kernel says nothing and is listed as such. Nothing here is an
expectation: the table is written by `make escape` (`tests/escape/run.sh`). Run on {date}; kernel {here} in a box (systemd 252;
this kernel refuses BPF LSM programs){vm}.

| word | what was measured |
|---|---|
| blocked | nothing came out, nothing ran, nobody died |
| repaired N ms | something ran or came out after root outside had undone the hold, and had ended N ms after that act began |
| gap: ID | it got out, and the product tells: the receipt has that word, and `health` the layer that is missing; of what comes about later, the receipt or `status` |
| **escaped** | it got out, and nobody had said so |
| no way | it does not get out without containment either, on this kernel |
| - | the product does not claim that, or has no such part |

A contained service is to neither speak nor run, and is to be alive; an isolated one is not to speak. Of a peer that only freezes, or only
cuts off, no more is asked. `contain` and `isolate` were given to root services with every capability, which is the worst case: with
`CapabilityBoundingSet=` the rows about packet sockets, devices and programs have no way. Reboot and power cut are tried in `tests/vm`.

"""


def read(directory, name):
    try:
        with open(os.path.join(directory, name), encoding="utf-8") as f:
            return f.read()
    except OSError:
        return ""


def cell(outcome, detail):
    if outcome == "impossible":
        return "no hold" if detail.startswith("no hold") else "no way"
    if outcome == "gap":
        return "gap: " + detail.split(" (")[0]
    if outcome == "repaired":
        within = int(re.match(r"within (\d+)", detail)[1])
        return f"repaired {within / 1000:.0f} ms"
    return "**escaped**" if outcome == "escaped" else outcome


def main():
    directory = sys.argv[1]
    results = {}
    for key, _ in COLUMNS:
        for line in read(directory, key).splitlines():
            if line.count("\t") >= 2:
                name, outcome, detail = line.split("\t")[:3]
                results.setdefault(name, {})[key] = (outcome, detail)
    columns = [(key, title) for key, title in COLUMNS if any(key in r for r in results.values())]
    vm = read(directory, "vm.kernel").strip()
    sys.stdout.write(HEAD.format(date=read(directory, "date").strip(), here=read(directory, "here.kernel").strip(),
                                 vm=f"; {vm} in a VM, with BPF LSM" if vm else ""))
    order = [line.split("|")[0].strip() for line in read("tests/escape", "routes.table").splitlines() if "|" in line and line[0] != "#"]
    print("| route | " + " | ".join(title for _, title in columns) + " |")
    print("|---|" + "---|" * len(columns))
    for name in order:
        if name in results:
            print(f"| {name} | " + " | ".join(cell(*results[name].get(key, ("", ""))) for key, _ in columns) + " |")
    print("\n| of the routes that have a way, and are claimed |" + " | ".join(title for _, title in columns) + " |")
    print("|---|" + "---|" * len(columns))
    for outcome in ("blocked", "repaired", "gap", "escaped"):
        print(f"| {outcome} | " + " | ".join(str(sum(r.get(key, ("",))[0] == outcome for r in results.values())) for key, _ in columns) + " |")
    print("\nWhat has no way here:\n")
    for name in order:
        why = {f"{title}: {results[name][key][1]}" for key, title in columns
               if results.get(name, {}).get(key, ("",))[0] == "impossible" and key in ("here.contain", "vm.contain")}
        for line in sorted(why):
            print(f"- {name}, {line}"[:200])


if __name__ == "__main__":
    main()
