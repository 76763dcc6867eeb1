# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the figures of the client share: it runs on another computer, 10 ms away from the gate in each direction."""
import contextlib
import pathlib
import statistics

import rpc_bench
import link

HOME, GATE = "10.99.1.2", "10.99.1.1"
DELAY = 0.01


@contextlib.contextmanager
def far():
    """The network namespace home, with a Link to this one. The gate's host key is known there."""
    known, key = pathlib.Path("/root/.ssh/known_hosts"), pathlib.Path("/etc/ssh/ssh_host_ed25519_key.pub").read_text()
    before = known.read_text()
    known.write_text(f"{before}{GATE} {' '.join(key.split()[:2])}\n")
    try:
        with link.namespace("home"), link.Link((None, GATE, "to-home"), ("home", HOME, "to-gate"), delay=DELAY) as way:
            yield way
    finally:
        known.write_text(before)


def at_home(*words):
    return [*link.inside("home"), *words]


def tell_ratio(figures, above, below, asked):
    """Of the medians, and the median of each pair that was measured together."""
    pairs = sorted(a / b for a, b in zip(figures[above], figures[below]))
    medians = statistics.median(figures[above]) / statistics.median(figures[below])
    print(f"{above} / {below}: of medians {medians:.2f}, median of pairs {statistics.median(pairs):.2f} "
          f"({pairs[0]:.2f} to {pairs[-1]:.2f}); asked for: {asked}; "
          f"load {rpc_bench.load()}")
