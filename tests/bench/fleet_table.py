#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""fleet_table.py SAMPLES FACTS: the table at the end of fleet.sh.

SAMPLES has a line `hosts name number` for each figure of a round, FACTS one for each that was taken once. Ratios are the median of the
ratios within rounds, because what else the machine did meanwhile is in both.
"""
import collections
import statistics
import sys


def read(path):
    with open(path, encoding="ascii") as f:
        return [line.split() for line in f]


def row(label, text):
    print(f"  {label:<58} {text}")


def orders(size, s):
    for verb, answers in (("contain", 2), ("isolate", 1)):
        get = lambda name, verb=verb: s[size, f"{verb}_{name}"]
        med = lambda name: statistics.median(get(name))
        last, floor = get("last"), get("floor")
        if not last or not floor:
            continue
        ratio = statistics.median(a / b for a, b in zip(last, floor))
        print(f"\n{verb}, {answers} signed answer{'s' if answers > 1 else ''} a host, {len(last)} rounds")
        row("from send to the last verified receipt, ms", f"{med('last'):.0f}  ({ratio:.1f} x floor; {size / med('last') * 1000:.0f} hosts/s)")
        row("floor: as many bytes, the same ways, ms", f"{med('floor'):.0f}")
        row("freezectl from its start to its end, ms", f"{med('all'):.0f}")
        row("on a processor, us a host: freezectl", f"{med('ctl_cpu') / size * 1000:.0f}")
        row("  the server (in the floor)", f"{med('server_cpu') / size * 1000:.0f} ({med('floor_server_cpu') / size * 1000:.0f})")
        row("  gate and core of the hosts, which have their own elsewhere", f"{med('core_cpu') / size * 1000:.0f}")
        row("  hosts, with their sockets", f"{med('hosts_cpu') / size * 1000:.0f}")
        row("bytes that a host sends", f"{med('bytes') / size:.0f}")


def fleet(size, f):
    print("\nstanding still")
    row("the server, KiB a host", f"{(f['rss_server'] - f['rss_server_empty']) / size:.1f}")
    row("a simulated host, KiB", f"{f['rss_hosts'] / size:.1f}")
    row("a line of the inventory, bytes", f"{f['inventory_bytes'] / size:.0f}")
    row("pings of connections that are quiet, server, ms of CPU a second", f"{f['idle_cpu_ms']:.0f}")
    for name, what in (("jitter", "as the relay does"), ("at_once", "all at once")):
        print(f"\nthe server comes back, hosts {what:<27} in the clear; with TLS")
        herd(size, {key: f[f"{name}_{key}"] for key in HERD}, {key: f[f"tls_{name}_{key}"] for key in HERD}, f["rss_server_empty"])


HERD = ("ready_ms", "failures", "ready_cpu_ms", "ready_hosts_ms", "ready_rss", "caught_ms", "caught_bytes", "caught_cpu_ms", "caught_rss")


def herd(size, clear, tls, empty):
    def pair(label, key, scale, digits=0, less=0):
        a, b = ((x[key] - less) * scale for x in (clear, tls))
        row(label, f"{a:.{digits}f}; {b:.{digits}f}" + (f"  ({b / a:.2f} x)" if a > 0 else ""))

    each = 1000 / size
    pair("until all are subscribed again, ms", "ready_ms", 1)
    pair("  tried in vain", "failures", 1)
    pair("  the server on a processor, us a host", "ready_cpu_ms", each)
    pair("  hosts on the same processors, us each", "ready_hosts_ms", each)
    pair("  the server's peak RSS, KiB a host", "ready_rss", 1 / size, 1)
    if clear["failures"] == tls["failures"] == 0:
        row("a handshake: us of the server, of the host", "; ".join(f"{(tls[key] - clear[key]) * each:.0f}" for key in ("ready_cpu_ms", "ready_hosts_ms")))
    pair("until all have asked for what they missed, ms", "caught_ms", 1)
    pair("  bytes to a host, all told", "caught_bytes", 1 / size)
    pair("  the server on a processor, us a host", "caught_cpu_ms", each)
    pair("  the server's RSS then, KiB a host above an empty one", "caught_rss", 1 / size, 1, empty)


def main():
    samples, facts = collections.defaultdict(list), collections.defaultdict(dict)
    for size, name, value in read(sys.argv[1]):
        samples[int(size), name].append(float(value))
    for size, name, value in read(sys.argv[2]):
        facts[int(size)][name] = float(value)
    machine = facts.pop(0, {})
    for size in sorted(facts):
        print(f"\n=== {size} hosts")
        orders(size, samples)
        fleet(size, facts[size])
    for peer in ("clush", "pssh"):
        for (size, name), values in samples.items():
            if name == peer:
                ms = statistics.median(values)
                print(f"\n{peer}, {size} hosts, {len(values)} rounds: {ms:.0f} ms, {size / ms * 1000:.0f} hosts/s")
    print(f"\nload {machine.get('load_before', 0):.1f} before, {machine.get('load_after', 0):.1f} after")


main()
