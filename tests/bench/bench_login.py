#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An ssh login of a gate user, and of an ordinary account, with pam_virtgate.so and without: the same sshd, in turn.

Run inside `tests/sandbox --up`. From the start of ssh to its end; the command is the shortest there is."""
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / folder) for folder in ("e2e", "lib")]
import pam_sshd  # noqa: E402

RUNS = int(os.environ.get("RUNS", "30"))
STACKS = {"with": pam_sshd.stack("hide"), "without": pam_sshd.stack(auth=None, account=None, session=None)}
LOGINS = [("alice", "version"), ("carol", "true")]


def login(way, user, command):
    start = time.perf_counter()
    done = subprocess.run(way.command(user, command, options=("-T",)), stdin=subprocess.DEVNULL, capture_output=True)
    took = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{command!r} as {user}: {done}")
    return 1000 * took


def main():
    figures = {(user, kind): [] for user, _ in LOGINS for kind in STACKS}
    with pam_sshd.server() as port:
        way = pam_sshd.Way(port)
        for run in range(RUNS + 3):
            for user, command in LOGINS:
                for kind, stack in STACKS.items():
                    with pam_sshd.pam(stack):
                        ms = login(way, user, command)
                    if run >= 3:
                        figures[user, kind].append(ms)
    for (user, kind), values in figures.items():
        print(f"{user:5s} {kind:7s} the module: median {statistics.median(values):6.1f} ms  min {min(values):6.1f}"
              f"  max {max(values):6.1f}")
    for user, _ in LOGINS:
        pairs = [a / b for a, b in zip(figures[user, "with"], figures[user, "without"])]
        print(f"{user}: with / without: median of pairs {statistics.median(pairs):.3f}, of medians "
              f"{statistics.median(figures[user, 'with']) / statistics.median(figures[user, 'without']):.3f}")


main()
