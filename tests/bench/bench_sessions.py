#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many display sessions at once, each through its own ssh login: are all alive, what memory do they take, and how long
does one more take to open? Started by bench_sessions.sh."""
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import vgtest  # noqa: E402

RUNS = 30
CONTROL = "/tmp/bench-alice"


def pss_kib():
    """Proportional memory of each of our processes: {name: [KiB]}."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text().strip()
            if name.startswith("virtgate"):
                lines = (folder / "smaps_rollup").read_text().splitlines()
                found.setdefault(name, []).append(int(next(x for x in lines if x.startswith("Pss:")).split()[1]))
        except (OSError, StopIteration):
            continue
    return found


def total(found, *names):
    return sum(sum(values) for name, values in found.items() if name in names)


def first_byte(vm):
    start = time.perf_counter()
    with subprocess.Popen(["ssh", "-S", CONTROL, "alice@127.0.0.1", "display", vm], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as ssh:
        head = os.read(ssh.stdout.fileno(), 12)
        took = (time.perf_counter() - start) * 1000
        ssh.terminate()
    if not head.startswith(b"RFB"):
        sys.exit(f"{vm}: no RFB banner but {head!r}")
    return took


def latency():
    figures = []
    for run in range(RUNS + 3):
        figures.append(first_byte(f"bench{run % 10}"))
        time.sleep(0.2)
    return statistics.median(figures[3:])


def open_sessions(count):
    sessions = []
    while len(sessions) < count:
        batch = [vgtest.ssh_open("alice", "display", f"bench{(len(sessions) + n) % 10}")
                 for n in range(min(10, count - len(sessions)))]
        sessions += [(ssh, vgtest.Rfb(ssh.talk)) for ssh in batch]
    return sessions


def main():
    count = int(sys.argv[1])
    subprocess.run(["ssh", "-S", CONTROL, "-fNM", "alice@127.0.0.1"], check=True)
    first = open_sessions(1)
    time.sleep(1)
    before, alone = pss_kib(), latency()
    sessions = first + open_sessions(count - 1)
    time.sleep(2)
    after, together = pss_kib(), latency()
    alive = sum(1 for _, rfb in sessions if rfb.picture())
    ours = ("virtgate-shell", "virtgated")
    grown = total(after, *ours) - total(before, *ours)
    print(f"sessions alive, each with a whole picture: {alive} of {count}")
    print(f"memory per idle display session, all our processes, PSS: {grown / (count - 1):.0f} KiB "
          f"(virtgated {total(before, 'virtgated')} -> {total(after, 'virtgated')} KiB, "
          f"virtgate-shell {total(after, 'virtgate-shell') / len(after['virtgate-shell']):.0f} KiB each)")
    print(f"session processes that wait for a job: {len(after.get('virtgate-sessio', []))}, "
          f"{total(after, 'virtgate-sessio')} KiB together, however many sessions there are")
    print(f"exec to first byte: {alone:.2f} ms beside 1 session, {together:.2f} ms beside {count}: "
          f"{together / alone:.2f}x")
    for ssh, _ in sessions:
        ssh.kill()
    subprocess.run(["ssh", "-S", CONTROL, "-O", "exit", "alice@127.0.0.1"], stderr=subprocess.DEVNULL, check=False)
    sys.exit(alive != count)


main()
