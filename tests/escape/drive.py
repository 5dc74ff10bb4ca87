#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""drive.py PRODUCT [NAME...]: runs the routes of routes.table against one product, on the host that it is started on as root.

Needs what run.sh puts there: the programs and scripts beside this file, and for freezed the agent with alice, bob and their keys in
/root. Makes a network namespace "outside" with the witness in it. Only modules of python3-minimal.

For each route that this product can be asked about: its service is started and has to show without containment what it can do; it is
held; what is to be done to it from outside is done; and what comes out, runs or dies from then on is counted. Prints one line for each:
    NAME <tab> OUTCOME <tab> DETAIL or - <tab> WORDS of its receipts and its status
    blocked     nothing came out, nothing ran, nobody died
    repaired    something did after an act from outside, and was ended again: how long it lasted, and how much
    gap         something did, and the product names it: with which words (see routes.table)
    escaped     something did
    impossible  not without containment either, on this kernel: why
    -           this product does not claim to prevent that, or has no such part
"""
import os
import re
import signal
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = "/run/escape"
UNITS = "/run/systemd/system"
CGROUPS = "/sys/fs/cgroup"
ROUTES = 256
# a route that has no way says so by itself, and only then is this waited for in full
PROVE_S = float(os.environ.get("ESCAPE_PROVE_S", "15"))
ACT_S = 20
WINDOW_S = float(os.environ.get("ESCAPE_WINDOW_S", "2.5"))
# what was on its way when the answer came is not held back by anyone
GRACE_US = 50000
# what happened last this long before the end has ended
ENDED_US = 700000
# how long what repairs is given for that: a busy machine is not a hole
REPAIR_S = 20
AT_ONCE = 4
# how many routes are tried together: more of them, and each gets too little of the machine to show what it can
BATCH = int(os.environ.get("ESCAPE_BATCH", "40"))


def run(*argv, timeout=60, **more):
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, text=True,
                              check=False, **more)
    except subprocess.TimeoutExpired as e:
        return subprocess.CompletedProcess(argv, 124, (e.stdout or b"").decode() if isinstance(e.stdout, bytes) else e.stdout or "")


def now_us():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def tally(entry):
    """(how often, when last, how) of one entry"""
    with open(f"{RUN}/tally", "rb") as f:
        f.seek(entry * 32)
        n, last, how = struct.unpack("QQ16s", f.read(32))
    return n, last, how.rstrip(b"\0").decode()


class Route:
    """One line of the table."""

    def __init__(self, number, name, measure, program, accomplice, act, lines, flags, names):
        self.number, self.name, self.measure, self.program = number, name, measure, program
        self.accomplice, self.act = accomplice, act
        self.lines = [] if lines == "-" else lines.split(";")
        self.flags = set() if flags == "-" else set(flags.split(","))
        self.names = [] if names == "-" else names.split(",")
        self.unit, self.with_unit = f"esc-{name}.service", f"esc-{name}-with.service"
        self.outcome = self.detail = ""
        self.pids, self.hold = {}, ""
        # words of its receipts, of its status now, and the layers that health says are not there
        self.receipt, self.status, self.layers = set(), set(), set()
        self.held_us = self.act_us = 0
        self.units, self.with_units, self.acted = [], [], (0, "")
        self.before = self.at_act = (0, 0)

    def decide(self, outcome, detail=""):
        if not self.outcome:
            self.outcome, self.detail = outcome, " ".join(detail.split())

    def seen(self):
        return tally(self.number)

    def done(self):
        return tally(ROUTES + self.number)

    def counts(self):
        return self.seen()[0], self.done()[0]


def routes():
    rows = []
    for line in read(f"{HERE}/routes.table").splitlines():
        if line.strip() and not line.startswith("#"):
            rows.append(Route(len(rows) + 10, *(cell.strip() for cell in line.split("|"))))
    return rows


class Product:
    """What holds a service."""
    freezes = isolates = repairs = False

    def command(self, route, program):
        """what a unit has to start"""
        return program

    def cgroup(self, route):
        return CGROUPS + run("systemctl", "show", "-P", "ControlGroup", route.unit).stdout.strip()

    def hold(self, route):
        """None, or why not"""

    def hold_all(self, held):
        for route in held:
            why = self.hold(route)
            route.held_us = now_us()
            if why:
                route.decide("impossible", f"no hold: {why}")

    def ask(self, held):
        """fills in what the product says of itself and of its holds now"""

    def release(self, held):
        pass


class Nothing(Product):
    freezes = isolates = True


class Freezed(Product):
    repairs = True

    def __init__(self, verb):
        self.verb, self.isolates, self.freezes = verb, True, verb == "contain"

    def ctl(self, *argv):
        return run("freezectl", *argv, "--json")

    def words(self, answer, pointer):
        """all reasons, flags and gaps below that path, and the state"""
        return self.jq(answer, f'{pointer} | ((.reasons, .flags, .notes) | values | .[]), (.targets[]?.gaps[]?), "state:" + .state')

    @staticmethod
    def jq(answer, filt):
        got = subprocess.run(["jq", "-r", filt], input=answer, capture_output=True, text=True, check=False)
        return got.stdout.split()

    def hold_all(self, held):
        waiting = list(held)
        running = []
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                running.append(self.order(waiting.pop(0)))
            for entry in list(running):
                if self.look(*entry):
                    running.remove(entry)
            time.sleep(0.005)

    def order(self, route):
        out = open(f"{RUN}/answer.{route.number}", "w+", encoding="utf-8")
        argv = ["freezectl", self.verb, route.unit, "--key", "/root/alice", "--severity", "P0", "--reason", route.name, "--yes", "--json"]
        return route, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT), out

    def look(self, route, process, out):
        """True when the order is answered. What contains does so with the freeze, its last step, though the answer waits for evidence."""
        if not route.held_us and self.freezes and "frozen 1" in read(f"{self.cgroups[route.name]}/cgroup.events"):
            route.held_us = now_us()
        if process.poll() is None:
            return False
        route.held_us = route.held_us or now_us()
        out.seek(0)
        answer = out.read()
        out.close()
        route.hold = "".join(self.jq(answer, "select(.receipt) | .receipt.id")[-1:])
        route.receipt |= set(self.words(answer, "select(.receipt) | .receipt"))
        if not route.receipt & {"state:contained", "state:partial"}:
            route.decide("impossible", f"no hold: {answer[-300:]}")
        return True

    def ask(self, held):
        health = self.ctl("health").stdout
        layers = set(self.jq(health, "select(.report) | .report.layers[] | select(.state == \"no\") | .id"))
        status = self.ctl("status").stdout
        for route in held:
            hold = f'select(.report) | .report.holds[] | select(.id == "{route.hold}")'
            route.status = {word.replace("state:", "now:") for word in self.words(status, hold)}
            route.layers = layers

    def release(self, held):
        ids = [route.hold for route in held if route.hold]
        while ids:
            self.ctl("release", *ids[:16], "--key", "/root/alice", "--key", "/root/bob", "--reason", "over", "--yes")
            ids = ids[16:]


class SystemctlFreeze(Product):
    freezes = True

    def hold(self, route):
        got = run("systemctl", "freeze", route.unit)
        return got.stdout if got.returncode else None

    def release(self, held):
        for route in held:
            run("systemctl", "thaw", route.unit)


class IpDeny(Product):
    isolates = True

    def hold(self, route):
        got = run("systemctl", "set-property", "--runtime", route.unit, "IPAddressDeny=any")
        return got.stdout if got.returncode else None


class Nft(Product):
    isolates = True
    TABLE = """table inet quarantine {
        chain input { type filter hook input priority 0; policy drop; }
        chain output { type filter hook output priority 0; policy drop; }
        chain forward { type filter hook forward priority 0; policy drop; }
}
"""

    def hold_all(self, held):
        write(f"{RUN}/quarantine.nft", self.TABLE)
        got = run("nft", "-f", f"{RUN}/quarantine.nft")
        for route in held:
            route.held_us = now_us()
            if got.returncode:
                route.decide("impossible", f"no hold: {got.stdout}")

    def release(self, held):
        run("nft", "delete", "table", "inet", "quarantine")


class Pause(Product):
    freezes = True
    BUNDLE = """{"ociVersion": "1.0.0", "root": {"path": "/"}, "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": [%(env)s],
"args": [%(args)s], "capabilities": {%(caps)s}},
"mounts": [], "linux": {"cgroupsPath": "/pause-%(n)d", "namespaces": []}}
"""
    CAPS = {"CHOWN": 0, "DAC_OVERRIDE": 1, "DAC_READ_SEARCH": 2, "FOWNER": 3, "KILL": 5, "SETGID": 6, "SETUID": 7, "NET_BIND_SERVICE": 10,
            "NET_ADMIN": 12, "NET_RAW": 13, "IPC_LOCK": 14, "SYS_CHROOT": 18, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYS_NICE": 23,
            "SYS_RESOURCE": 24, "PERFMON": 38, "BPF": 39}

    def command(self, route, program):
        bundle = f"{RUN}/bundle.{route.number}"
        os.makedirs(bundle, exist_ok=True)
        bounding = int(re.search(r"CapBnd:\t(\w+)", read("/proc/self/status"))[1], 16)
        caps = ",".join(f'"CAP_{name}"' for name, bit in self.CAPS.items() if bounding & 1 << bit)
        write(f"{bundle}/config.json", self.BUNDLE % {
            "env": f'"PATH={os.environ["PATH"]}", "ESCAPE_N={route.number}"', "args": ", ".join(f'"{a}"' for a in program.split()),
            "caps": ", ".join(f'"{s}": [{caps}]' for s in ("bounding", "effective", "permitted")), "n": route.number})
        return f"{HERE}/bin/crun --cgroup-manager=cgroupfs run --no-pivot --no-new-keyring -b {bundle} pause-{route.number}"

    def cgroup(self, route):
        return f"{CGROUPS}/pause-{route.number}"

    def hold(self, route):
        got = run(f"{HERE}/bin/crun", "pause", f"pause-{route.number}")
        return got.stdout if got.returncode else None

    def release(self, held):
        for route in held:
            run(f"{HERE}/bin/crun", "resume", f"pause-{route.number}")
            run(f"{HERE}/bin/crun", "delete", "-f", f"pause-{route.number}")


PRODUCTS = {"nothing": Nothing, "contain": lambda: Freezed("contain"), "isolate": lambda: Freezed("isolate"),
            "systemctl-freeze": SystemctlFreeze, "IPAddressDeny": IpDeny, "nft": Nft, "crun-pause": Pause}


class World:
    """The namespace outside and the witness in it."""
    # an address that is there only now and then: packets wait for it
    VISITOR = """while :; do
            sleep 0.6; ip address add 10.77.0.250/24 dev outside0; sleep 0.6; ip address del 10.77.0.250/24 dev outside0
    done 2>/dev/null"""

    KNOCKS = {"knock-tcp": "t", "knock-udp": "u", "knock-syn": "s"}

    def __init__(self, rows):
        for directory in (RUN, f"{RUN}/why"):
            os.makedirs(directory, exist_ok=True)
        os.chmod(RUN, 0o777)
        with open(f"{RUN}/tally", "wb") as f:
            f.truncate(2 * ROUTES * 32)
        os.chmod(f"{RUN}/tally", 0o666)
        self.net()
        knocks = [f"{letter}{r.number}" for r in rows for flag, letter in self.KNOCKS.items() if flag in r.flags]
        self.witness = subprocess.Popen(["ip", "netns", "exec", "outside", f"{HERE}/bin/witness", *knocks], stdin=subprocess.DEVNULL)

    def net(self):
        run("sh", "-c", "ip netns del outside; ip link del host0 || { ip link set host0 down && ip link set host0 name cable0; }")
        got = run("sh", "-ec", """
            ip netns add outside
            ip link add host0 type veth peer name outside0 netns outside
            ip -n outside link set lo up
            ip -n outside address add 10.77.0.1/24 dev outside0
            ip -n outside address add fd77::1/64 dev outside0 nodad
            ip -n outside link set outside0 up
            ip link set lo up
            mount -o remount,rw,bind /proc/sys 2>/dev/null || true
            sysctl -qw net.ipv4.ping_group_range="0 2147483647" || true
            ip address replace 10.77.0.2/24 dev host0
            ip address replace fd77::2/64 dev host0 nodad
            ip link set host0 up
            ip route replace default via 10.77.0.1
            # whom the witness speaks for, and who never answers
            ip neigh replace 10.77.0.200 lladdr "$(ip -n outside -o link show dev outside0 | sed 's/.*ether \\([^ ]*\\).*/\\1/')" dev host0
            """)
        if got.returncode:
            sys.exit(f"drive.py: {got.stdout}")
        self.visitor = subprocess.Popen(["ip", "netns", "exec", "outside", "sh", "-c", self.VISITOR], stdin=subprocess.DEVNULL)

    def close(self):
        for process in self.witness, self.visitor:
            process.send_signal(signal.SIGKILL)
            process.wait()
        run("sh", "-c", "ip netns del outside; ip link del host0")


def unit_file(route, name, program, lines, product=None):
    """Writes the unit of a program, and those that go with it: their names, with its own as the last."""
    command = f"{HERE}/bin/{program}"
    if product:
        command = product.command(route, command)
    files = {"service": {"[Service]": [f"ExecStart={command}",
                                       f"Environment=ESCAPE_N={route.number} ESCAPE_UNIT={route.unit} PATH={os.environ['PATH']}"]}}
    for line in lines:
        line = line.replace("NUMBER", str(route.number)).replace("PORT", str(20000 + route.number))
        kind, section, text = re.match(r"(?:(socket|path|timer):)?(\[\w+\])?(.*)", line).groups()
        files.setdefault(kind or "service", {}).setdefault(section or f"[{(kind or 'service').title()}]", []).append(text)
    for kind, sections in files.items():
        write(f"{UNITS}/{name[:-len('service')]}{kind}", "".join(f"{k}\n" + "".join(f"{x}\n" for x in v) for k, v in sections.items()))
    return [f"{name[:-len('service')]}{kind}" for kind in files if kind != "service"] + [name]


def prepare(rows, product):
    for route in rows:
        route.units = unit_file(route, route.unit, route.program, route.lines, product)
        if route.accomplice != "-":
            route.with_units = unit_file(route, route.with_unit, route.accomplice, [])
    run("systemctl", "daemon-reload")
    for names in ([u for r in rows for u in r.with_units], [u for r in rows for u in r.units[:-1]], [r.unit for r in rows]):
        if names:
            run("systemctl", "start", *names)


def prove(rows):
    """Without containment: waits for the first sign of each."""
    end = time.monotonic() + PROVE_S
    while time.monotonic() < end and not all(r.seen()[0] or read(f"{RUN}/why/{r.number}") for r in rows):
        time.sleep(0.05)
    for route in rows:
        if not route.seen()[0]:
            why = read(f"{RUN}/why/{route.number}") or "nothing of it arrived: " + run(
                "journalctl", "-q", "-o", "cat", "-n", "3", "-u", route.unit).stdout
            route.decide("impossible", why)


def started(pid):
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if fields and fields[0] not in "ZX" else ""


def note_pids(rows, product):
    for route in rows:
        route.pids = {pid: started(pid) for pid in read(f"{product.cgroups[route.name]}/cgroup.procs").split()}


def act(rows, product):
    """Does what is to be done from outside, at once to all of them."""
    acting = []
    for route in rows:
        route.at_act = route.counts()
        if route.act == "-":
            continue
        env = dict(os.environ, UNIT=route.unit, CGROUP=product.cgroups[route.name], PID=next(iter(route.pids), ""), N=str(route.number),
                   PIDS=" ".join(route.pids), PRODUCT=product.name, HOLD=route.hold, HERE=HERE, BIN=f"{HERE}/bin", NAME=route.name)
        # not a pipe: what an act leaves behind, frozen, would keep it open
        with open(f"{RUN}/act.{route.number}", "w", encoding="utf-8") as out:
            route.act_us = now_us()
            acting.append((route, subprocess.Popen(["sh", "-e", f"{HERE}/acts/{route.act}.sh"], env=env, stdin=subprocess.DEVNULL, stdout=out,
                                                   stderr=subprocess.STDOUT)))
    for route, process in acting:
        try:
            process.wait(timeout=ACT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        said = read(f"{RUN}/act.{route.number}")
        route.acted = (process.returncode, " ".join(said.split())[-200:])
        if process.returncode == 77:
            route.decide("impossible", said)
        elif process.returncode == 78:
            route.decide("-", said)


def judge(route, product, end_us):
    """From the counts to an outcome."""
    since = route.act_us or route.held_us + GRACE_US
    out, work = route.seen(), route.done()
    base = route.at_act if route.act_us else route.before
    dead = [pid for pid, start in route.pids.items() if started(pid) != start]
    lasts, what = [], []
    if "out" in route.measure or "run" in route.measure:
        if out[1] > since:
            lasts.append(out[1])
            what.append(f"{out[0] - base[0]} out ({out[2]})")
        if product.freezes and work[1] > since:
            lasts.append(work[1])
            what.append(f"{work[0] - base[1]} steps of work")
    if "live" in route.measure and product.freezes and dead:
        route.decide("escaped", "killed")
    elif not lasts:
        route.decide("blocked", refused(route))
    elif max(lasts) >= end_us - ENDED_US:
        route.decide("escaped", ", ".join(what))
    elif route.act_us:
        route.decide("repaired", f"within {max(lasts) - since} us, after {', '.join(what)}")
    else:
        route.decide("escaped", f"for {max(lasts) - since} us, {', '.join(what)}")


def refused(route):
    code, said = route.acted
    return f"refused: {said}" if code else ""


def says(route, name):
    """WORD: the receipt says it, or what is asked afterwards. WORD+LAYER: the receipt says it, and health had said that the layer is missing."""
    word, _, layer = name.partition("+")
    if layer:
        return word in route.receipt and layer in route.layers
    return word in route.receipt | route.status


def named(route):
    """An escape that the product tells of is a gap."""
    if route.outcome != "escaped":
        return
    said = [name.partition("+")[0] for name in route.names if says(route, name)]
    if said:
        route.outcome, route.detail = "gap", f"{' '.join(dict.fromkeys(said))} ({route.detail})"


def wait_for_repairs(rows, product):
    """What still goes on after an act may be about to be repaired."""
    end = time.monotonic() + REPAIR_S
    acted = [r for r in rows if r.act_us and product.repairs]
    while time.monotonic() < end and any(max(r.seen()[1], r.done()[1]) > now_us() - ENDED_US for r in acted):
        time.sleep(0.1)


def applies(route, product):
    if product.name == "nothing":
        return True
    if route.measure == "live" and not product.freezes:
        route.decide("-", "does not freeze")
    for flag in route.flags:
        if flag.startswith("only:") and product.name not in flag[5:].split("+"):
            route.decide("-", "no such part")
    return not route.outcome


def batch(rows, product):
    prepare(rows, product)
    prove(rows)
    held = [r for r in rows if not r.outcome]
    product.cgroups = {r.name: product.cgroup(r) for r in held}
    product.hold_all(held)
    held = [r for r in held if not r.outcome]
    for route in held:
        route.before = route.counts()
    time.sleep(0.2)
    note_pids(held, product)
    act(held, product)
    time.sleep(WINDOW_S)
    wait_for_repairs(held, product)
    end_us = now_us()
    product.ask(held)
    for route in held:
        judge(route, product, end_us)
        named(route)
    clean(rows, held, product)
    for route in rows:
        said = sorted((route.receipt | route.status) - {"clock-unsynchronised", "not-preserved"})
        print(route.name, route.outcome, route.detail or "-", " ".join(said), sep="\t", flush=True)


def clean(rows, held, product):
    product.release(held)
    names = [name for r in rows for name in r.with_units + r.units + [r.with_unit]]
    run("systemctl", "kill", "-s", "KILL", *names)
    run("systemctl", "stop", *names, timeout=20)
    for route in rows:
        if os.path.exists(f"{HERE}/acts/{route.act}.undo"):
            run("sh", f"{HERE}/acts/{route.act}.undo", env=dict(os.environ, UNIT=route.unit, N=str(route.number), NAME=route.name))
    for name in names:
        for path in (f"{UNITS}/{name}", f"{UNITS}/{name}.d"):
            run("rm", "-rf", path)
    run("systemctl", "daemon-reload")
    run("systemctl", "reset-failed", *names)


def main():
    product = PRODUCTS[sys.argv[1]]()
    product.name, product.cgroups = sys.argv[1], {}
    everything = routes()
    rows = [r for r in everything if not sys.argv[2:] or r.name in sys.argv[2:]]
    world = World(everything)
    try:
        asked = [r for r in rows if applies(r, product)]
        for route in rows:
            if route not in asked:
                print(route.name, route.outcome, route.detail, "", sep="\t", flush=True)
        together = [r for r in asked if "alone" not in r.flags]
        for first in range(0, len(together), BATCH):
            batch(together[first:first + BATCH], product)
        for route in asked:
            if "alone" in route.flags:
                batch([route], product)
    finally:
        world.close()


if __name__ == "__main__":
    main()
