#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`virtgate list` of 20 hosts and of one. The hosts are sshds at ports of their own in front of one gate, so all of them together
have this machine's processors, where 20 hosts have their own. Hence also from so far away that processors matter little. Run
inside `tests/sandbox --up`."""
import contextlib
import os
import pathlib
import resource
import subprocess
import sys
import time

from rpc_bench import in_turn, tell, vgtest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "e2e"))
import client  # noqa: E402
import far_bench  # noqa: E402
import link  # noqa: E402
from far_bench import GATE  # noqa: E402

RUNS = int(os.environ.get("RUNS", "15"))
HOSTS = int(os.environ.get("HOSTS", "20"))
PORTS = range(2201, 2201 + HOSTS)
ASKED = "2"


@contextlib.contextmanager
def servers():
    """With the configuration that the machine's own has."""
    mark = vgtest.log_mark()
    running = [subprocess.Popen(["/usr/sbin/sshd", "-D", "-o", f"Port={port}", "-o", "PidFile=none"]) for port in PORTS]
    try:
        for port in PORTS:
            vgtest.wait_for_log(mark, f"Server listening on 0.0.0.0 port {port}", 60)
        yield
    finally:
        for process in running:
            process.terminate()
            process.wait()


def listing(where, host, config, n):
    words = [f"alice@{host}:{port}" for port in PORTS[:n]]
    vgtest.free()
    start = time.perf_counter()
    done = subprocess.run([*link.inside(where), "virtgate", "list", "-F", config, *words], stdin=subprocess.DEVNULL,
                          capture_output=True)
    took = (time.perf_counter() - start) * 1000
    if done.returncode != 0 or done.stdout.count(b"cards2") != n:
        sys.exit(f"list of {n}: {done}")
    return took


def processor_time(function, *arguments):
    """What the programs that it starts and waits for take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    function(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    home = client.Home("/tmp")
    with far_bench.far() as way, servers():
        for host in (GATE, vgtest.HOST):
            for port in PORTS:
                home.knows(port, host=host)
        for where, host, ms in (("home", GATE, 20), ("home", GATE, 100), (None, vgtest.HOST, 0)):
            way.set(delay=ms / 2000)
            name = f"{ms} ms away" if ms else "on loopback"
            kinds = [(f"{n} host{'s' if n > 1 else ''} {name}", where, host, home.config, n) for n in (HOSTS, 1)]
            print(f"virtgate list; {RUNS} of each in turn")
            figures = in_turn(kinds, RUNS, listing, pause=0.2)
            tell(figures)
            print(f"processor time of virtgate list of {HOSTS}: {1000 * processor_time(listing, *kinds[0][1:]):.0f} ms")
            far_bench.tell_ratio(figures, kinds[0][0], kinds[1][0], ASKED)


main()
