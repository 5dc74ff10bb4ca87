#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""vm_same_id.py ID: makes the cgroup /sys/fs/cgroup/same of just that id, with a process in it that forks all the time.

Ids begin anew with each boot and are given out one after the other, to cgroups and to the files in them. So cgroups are made and removed
until it is this one's turn: the more controllers a cgroup has, the more ids it takes, which makes steps of several sizes.
"""
import os
import sys
import time

TOP = "/sys/fs/cgroup"
CONTROLLERS = ("", "pids", "rdma", "misc", "hugetlb")
PERIOD = 0.01


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def make(path):
    """The id that it got; it is gone again."""
    os.mkdir(path)
    number = os.stat(path).st_ino
    os.rmdir(path)
    return number


def sizes():
    """Directory: how many ids a cgroup in it takes. One for each controller, as far as there are any."""
    found = {}
    for controller in CONTROLLERS:
        parent = f"{TOP}/steps-{controller}"
        try:
            write(f"{TOP}/cgroup.subtree_control", f"+{controller}" if controller else "")
            os.mkdir(parent)
            write(f"{parent}/cgroup.subtree_control", f"+{controller}" if controller else "")
        except OSError:
            continue
        found[parent] = -make(f"{parent}/x") + make(f"{parent}/x")
    return found


def reachable(steps, limit):
    """Which distances are sums of steps."""
    sums = bytearray(limit + 1)
    sums[0] = 1
    for i in range(1, limit + 1):
        sums[i] = any(size <= i and sums[i - size] for size in steps.values())
    return sums


def go_to(target):
    steps = sizes()
    parent = next(iter(steps))
    at = make(f"{parent}/x") + steps[parent]
    sums = reachable(steps, max(0, target - at))
    while at < target:
        parent = max((p for p in steps if steps[p] <= target - at and sums[target - at - steps[p]]), key=steps.get, default=None)
        if not parent:
            break
        at = make(f"{parent}/x") + steps[parent]
    os.mkdir(f"{TOP}/same")
    if os.stat(f"{TOP}/same").st_ino != target:
        sys.exit(f"it has the id {os.stat(f'{TOP}/same').st_ino} and not {target}: {steps}")


def fork_for_ever():
    os.setsid()
    while True:
        if os.fork() == 0:
            time.sleep(1)
            os._exit(0)
        time.sleep(PERIOD)
        try:
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
        except ChildProcessError:
            pass


go_to(int(sys.argv[1]))
child = os.fork()
if child == 0:
    fork_for_ever()
write(f"{TOP}/same/cgroup.procs", str(child))
