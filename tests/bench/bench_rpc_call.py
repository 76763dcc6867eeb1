#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the gate adds to one call on a connection that is open: the time of `domain.info()` through the gate and without it,
by the same ssh. Run inside `tests/sandbox --up`."""
import os
import statistics
import time

import libvirt

import rpc_bench
from rpc_bench import uri

CALLS = int(os.environ.get("CALLS", "5000"))
CALL = {"info": lambda domain: domain.info(), "XMLDesc": lambda domain: domain.XMLDesc()}


def once(call, domain):
    start = time.perf_counter_ns()
    call(domain)
    return (time.perf_counter_ns() - start) / 1000


def measure(call, domains, calls):
    for domain in domains * 50:
        call(domain)
    # In turn, and who begins changes: neither is always the one that comes after the other's.
    figures = {domain: [] for domain in domains}
    for turn in range(calls):
        for domain in domains if turn % 2 else domains[::-1]:
            figures[domain].append(once(call, domain))
    return [figures[domain] for domain in domains]


def tell(name, plain, gate):
    for who, values in (("no gate", plain), ("gate", gate)):
        values.sort()
        print(f"{name:8s} {who:8s} median {statistics.median(values):7.1f} us  best of 10: {values[len(values) // 10]:7.1f} "
              f"99 %: {values[len(values) * 99 // 100]:8.1f}")
    print(f"{name:8s} the gate adds {statistics.median(gate) - statistics.median(plain):.1f} us (medians), "
          f"{gate[len(gate) // 10] - plain[len(plain) // 10]:.1f} us (fastest tenth)")


def main():
    rpc_bench.let_carol_in()
    open_ones = [libvirt.open(connect) for connect in (uri("carol"), uri("carol", "?mode=legacy"), uri("alice"))]
    helper, nc, gate = (connection.lookupByName("cards2") for connection in open_ones)
    for name, call in CALL.items():
        for way, plain in (("virt-ssh-helper", helper), ("nc", nc)):
            print(f"{name}, against {way}; {CALLS} calls each in turn; load {rpc_bench.load()}")
            tell(name, *measure(call, [plain, gate], CALLS))
    for connection in open_ones:
        connection.close()


main()
