#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many `virsh event --all --loop` at once, each through an ssh login of its own, while machines are suspended and resumed as
fast as libvirtd does it: does each hear of every event of the user's machines, and of no other's, and what memory does it
take? Run inside `tests/sandbox --up`."""
import collections
import os
import pathlib
import re
import subprocess
import sys
import time

import libvirt

import rpc_bench
from rpc_bench import pss, uri, vgtest

LISTENERS = int(os.environ.get("LISTENERS", "100"))
ROUNDS = int(os.environ.get("ROUNDS", "200"))
MINE, OTHER = ["cards2", "nolisten"], ["secret"]
OURS = ("virtgate-rpc", "virtgate-shell", "virtgated")
LIFECYCLE = re.compile(rb"event 'lifecycle' for domain '(.*)': (Suspended|Resumed)")


def listen(number):
    with open(f"/tmp/events-{number}", "ab") as output:
        return subprocess.Popen(["virsh", "-q", "-c", uri("alice"), "event", "--all", "--loop"], stdin=subprocess.DEVNULL,
                                stdout=output, stderr=subprocess.STDOUT)


def heard(number):
    return collections.Counter(LIFECYCLE.findall(pathlib.Path(f"/tmp/events-{number}").read_bytes()))


def start_listeners():
    """Only an event that was heard shows that a listener is ready: so machines are suspended until each has heard one."""
    listeners = []
    with libvirt.open("qemu:///system") as host:
        while len(listeners) < LISTENERS:
            listeners += [listen(len(listeners) + n) for n in range(min(10, LISTENERS - len(listeners)))]
            end = time.monotonic() + 60
            while not all(heard(n) for n in range(len(listeners))):
                if time.monotonic() > end:
                    sys.exit(f"not all of {len(listeners)} listeners hear something: "
                             f"{pathlib.Path(f'/tmp/events-{len(listeners) - 1}').read_bytes()[:500]!r}")
                toggle(host, MINE[0])
                time.sleep(0.1)
    return listeners


def toggle(host, name):
    domain = host.lookupByName(name)
    domain.suspend()
    domain.resume()


def memory():
    return {name: sum(values) for name, values in pss(*OURS).items()}


def peak():
    """KiB, of the filter that ever took the most."""
    return max(int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))
               for pid in vgtest.processes("virtgate-rpc"))


def main():
    vgtest.ACL.write_text(vgtest.ACL.read_text() + "\n[gate]\nmax-sessions = 1000\n")
    vgtest.reload_gate()
    listeners = start_listeners()
    time.sleep(2)
    for n in range(LISTENERS):
        pathlib.Path(f"/tmp/events-{n}").write_bytes(b"")
    before = memory()
    start = time.monotonic()
    during = []
    with libvirt.open("qemu:///system") as host:
        for turn in range(ROUNDS):
            for name in MINE + OTHER:
                toggle(host, name)
            if turn % (ROUNDS // 4) == ROUNDS // 8:
                during.append(sum(memory().values()))
    took = time.monotonic() - start
    want = collections.Counter({(name.encode(), kind): ROUNDS for name in MINE for kind in (b"Suspended", b"Resumed")})
    try:
        vgtest.wait_until(lambda: all(heard(n) == want for n in range(LISTENERS)), 60)
    except AssertionError:
        pass
    right = sum(heard(n) == want for n in range(LISTENERS))
    time.sleep(2)
    after = memory()
    sent = sum(want.values())
    print(f"{LISTENERS} listeners, {ROUNDS} rounds of suspend and resume of {len(MINE)} machines of the user's and "
          f"{len(OTHER)} of another in {took:.1f} s; load {rpc_bench.load()}")
    print(f"listeners that heard each of the {sent} events once and none of another's machine: {right} of {LISTENERS}; "
          f"alive: {sum(one.poll() is None for one in listeners)}")
    print(f"memory of all our processes, PSS: {sum(before.values())} KiB before ({before}), "
          f"{max(during)} KiB at most while events came, {sum(after.values())} KiB after ({after}); "
          f"the largest a filter ever was, RSS: {peak()} KiB")
    for one in listeners:
        one.kill()
    sys.exit(right != LISTENERS)


main()
