#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""table.py SAMPLES FACTS: the table at the end of the benches.

SAMPLES has a line `series name microseconds` for each figure, in the order of measuring: the k-th of one name and the k-th of another are
of the same round, and ratios are the median of the ratios within rounds. FACTS has lines `name value...`.
"""
import collections
import statistics
import sys

SIZES = (1, 10, 100)
PHASES = ("verify", "authorise", "resolve", "record", "enter", "refuse-calls", "destroy-sockets", "drop-packets", "freeze", "prove",
          "total")


def read(path):
    with open(path, encoding="ascii") as f:
        return [line.split() for line in f]


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def row(label, values, rest=""):
    print(f"  {label:<38} {quantile(values, 0.5):>8.0f} {quantile(values, 0.99):>8.0f}   {rest}")


def ratio(a, b):
    return statistics.median(x / y for x, y in zip(a, b))


def containment(s):
    services = [(f"n{n}", f"A service of {n} process{'es' if n > 1 else ''}") for n in SIZES]
    for series, what in services + [("many", "Many services, one command"), ("fork", "A service that forks")]:
        get = lambda name, series=series: s[series, name]
        agent, floor, tools = get("agent"), get("floor"), get("tools")
        print(f"\n{what + ', ' + str(len(agent)) + ' rounds':<40} {'p50 us':>8} {'p99 us':>8}")
        beside = f"; stock tools take {ratio(tools, agent):.1f} x as long" if tools else ""
        row("agent: command sent to proof heard", agent, f"{ratio(agent, floor):.1f} x floor{beside}")
        for phase in PHASES:
            if get("phase_" + phase):
                row("  receipt: " + phase, get("phase_" + phase))
        row("floor", floor)
        for part in ("verify", "record", "links", "freeze"):
            row("  " + part, get("floor_" + part))
        if tools:
            row("stock tools: nft -f, systemctl freeze", tools)
            for part in ("nft", "freeze", "check"):
                row("  " + part, get("tools_" + part))
        row("release by two", get("release"))


def packets(s):
    get = lambda name: s["packets", name]
    print(f"\nOne packet of an allowed flow, {len(get('none'))} rounds           p50 ns   p99 ns")
    row("nothing in its way", get("none"))
    for name, label in (("agent", "held by the agent, permitted"), ("nft", "nft: socket cgroupv2 and a set"), ("ip_deny", "IPAddressDeny=any, Allow=localhost"),
                        ("agent_bystander", "bystander of the agent"), ("nft_bystander", "bystander of nft")):
        row("  " + label, get(name), f"{ratio(get(name), get('none')):.2f} x nothing")
    for name, none, label in (("local_host", "local_none", "the host held: over the loopback"), ("path_host", "path_none", "the host held: to a permitted address"),
                              ("socket_watched", "socket_none", "one socket(), another service held")):
        row("  " + label, get(name), f"{ratio(get(name), get(none)):.2f} x without, which is {quantile(get(none), 0.5)}")


def repairs(s):
    get = lambda name: s["repairs", name]
    print(f"\nUndone and held again, {len(get('agent-thaw'))} rounds{'':<11} {'p50 us':>8} {'p99 us':>8}")
    for way, label in (("thaw", "thawed"), ("detach", "a program detached"), ("move", "a process moved out"), ("made", "the cgroup made anew")):
        agent, floor = get("agent-" + way), get("floor-" + way)
        row(label, agent, f"{ratio(agent, floor):.1f} x floor")
        row("  floor", floor)


def evidence(s, facts):
    series = (("dense", "Memory, a heap of 1 GB", ("gcore", "gcore1")), ("sparse", "Memory, 8 GB mapped, 1 % of it there", ("gcore", "gcore1")),
              ("journal", "350,000 entries of the journal", ("journalctl",)), ("tree", "Log files, 20,000 small and 4 large", ("tar", "tarsync", "borg", "restic")))
    calm, busy = s["calm", "agent"], s["preserving", "agent"]
    print(f"\nWhile memory is being preserved, a service of 10, {len(busy)} rounds  p50 us   p99 us")
    row("nothing is preserved", calm)
    row("a snapshot goes on", busy, f"p50 {quantile(busy, 0.5) / quantile(calm, 0.5):.2f} x, p99 {quantile(busy, 0.99) / quantile(calm, 0.99):.2f} x")
    label = {"gcore": "gcore, zstd", "gcore1": "gcore, zstd -1", "journalctl": "journalctl -o export", "tar": "tar, zstd -1, sha256sum",
             "tarsync": "the same, and sync -f", "borg": "borg create, zstd,1", "restic": "restic backup"}
    for name, what, peers in series:
        agent = s[name, "agent"]
        kept = lambda who, name=name: statistics.median(int(v[0]) for v in facts[f"bytes_{name}_{who}"]) / 1e6
        peak = lambda who, name=name: max(int(v[0]) for v in facts[f"peak_{name}_{who}"]) / 1000
        print(f"\n{what + ', ' + str(len(agent)) + ' rounds':<40} {'p50 ms':>8} {'worst':>8}")
        row("agent", [us / 1000 for us in agent], f"{kept('agent'):.0f} MB, peak of memory {peak('agent'):.0f} MB")
        for peer in peers:
            row("  " + label[peer], [us / 1000 for us in s[name, peer]],
                f"{ratio(s[name, peer], agent):.1f} x the agent; {kept(peer):.0f} MB, peak of memory {peak(peer):.0f} MB")


def flood(s, facts):
    quiet, flooded = s["quiet", "agent"], s["flood", "agent"]
    print(f"\nUnder forged commands, a service of 10, {len(flooded)} rounds  p50 us   p99 us")
    row("quiet", quiet)
    row("flooded", flooded, f"p99 {quantile(flooded, 0.99) / quantile(quiet, 0.99):.2f} x quiet, p50 {quantile(flooded, 0.5) / quantile(quiet, 0.5):.2f} x")
    offers = [[int(x) for x in v] for v in facts["offered"]]
    mean = [round(statistics.mean(column)) for column in zip(*offers)]
    print(f"  offered {mean[0]} a second, of these {mean[1]} taken by the socket, {mean[2]} left with the sender; {mean[3]} refused by the gate")
    kb = lambda name: facts[name][-1][0]
    print(f"  RSS in kB: core {kb('core_before')} before, {kb('core_after')} after; gate {kb('gate_before')} before, {kb('gate_during')} during, {kb('gate_after')} after")


def hanging(s):
    free, spinning = s["unlinked", "agent"], s["hanging", "agent"]
    print(f"\nWhile the relay hangs, a service of 10, {len(spinning)} rounds  p50 us   p99 us")
    row("no relay", free)
    row("its library spins in a greeting", spinning, f"p50 {quantile(spinning, 0.5) / quantile(free, 0.5):.2f} x, p99 {quantile(spinning, 0.99) / quantile(free, 0.99):.2f} x")


def idle(facts):
    span = int(facts["idle_s"][0][0])
    minute = lambda old, new: (int(new) - int(old)) * 60 / span
    print(f"\nNothing to do, {span} s                  RSS kB   PSS kB   own kB   a minute: switches, voluntary and not; ms on a processor")
    for who in ("core", "probe", "gate", "relay"):
        rss, pss, own = (int(kb) for kb in facts["memory_" + who][0])
        voluntary, other = (minute(a, b) for a, b in zip(facts["from_" + who][0], facts["to_" + who][0]))
        # the core's unit has its probe in it
        cpu = "" if who == "probe" else f"; {minute(facts['cpu_from_' + who][0][0], facts['cpu_to_' + who][0][0]):.0f}"
        print(f"  {who:<33} {rss:>8} {pss:>8} {own:>8}   {voluntary:.0f} {other:.0f}{cpu}")


def main():
    samples, facts = collections.defaultdict(list), collections.defaultdict(list)
    for series, name, us in read(sys.argv[1]):
        samples[series, name].append(int(us))
    for name, *values in read(sys.argv[2]):
        facts[name].append(values)
    containment(samples)
    packets(samples)
    repairs(samples)
    flood(samples, facts)
    hanging(samples)
    idle(facts)
    evidence(samples, facts)
    print(f"\nLoad of the machine: {facts['load_before'][0][0]} before, {facts['load_after'][0][0]} after")


if __name__ == "__main__":
    sys.exit(main())
