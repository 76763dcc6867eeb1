#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a connection to libvirt that does nothing takes of memory: of the filter process and of all our processes. Run inside
`tests/sandbox --up`."""
import os
import pathlib
import re
import statistics
import time

import libvirt

from rpc_bench import pss, smaps, uri, vgtest

COUNT = int(os.environ.get("COUNT", "15"))
KEYS = ("Rss", "Pss", "Private_Dirty", "Private_Clean", "Shared_Clean")


def live():
    """The filters that serve somebody: only these have their system calls filtered."""
    return [pid for pid in vgtest.processes("virtgate-rpc")
            if re.search(r"Seccomp:\s+2", pathlib.Path(f"/proc/{pid}/status").read_text())]


def tell(what):
    time.sleep(1)
    found = [smaps(pid, *KEYS) for pid in live()]
    print(f"{what}: KiB of a filter: "
          + ", ".join(f"{key} {statistics.median(kib[key] for kib in found):.0f}" for key in KEYS)
          + f"; the largest Pss {max(kib['Pss'] for kib in found)}")


def use(connection):
    """What virt-manager does and more."""
    connection.getCapabilities()
    connection.getDomainCapabilities()
    for domain in connection.listAllDomains():
        for _ in range(20):
            domain.XMLDesc()
            domain.info()
    connection.getAllDomainStats()


def main():
    open_ones = [libvirt.open(uri("alice"))]
    open_ones[0].listAllDomains()
    tell("1 connection, one list")
    before = pss("virtgate-rpc", "virtgate-shell", "virtgated")
    while len(open_ones) < COUNT:
        open_ones.append(libvirt.open(uri("alice")))
        open_ones[-1].listAllDomains()
    tell(f"{COUNT} connections, one list each")
    after = pss("virtgate-rpc", "virtgate-shell", "virtgated")
    for name in before:
        print(f"{name}: {len(before[name])} processes, {sum(before[name])} KiB -> {len(after[name])}, {sum(after[name])} KiB")
    print("per connection, all our processes: "
          f"{(sum(map(sum, after.values())) - sum(map(sum, before.values()))) / (COUNT - 1):.0f} KiB")
    for connection in open_ones:
        use(connection)
    tell(f"{COUNT} connections, after use (capabilities, XML, statistics)")
    for connection in open_ones:
        connection.close()


main()
