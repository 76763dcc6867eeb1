#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the start of a stock virt-viewer to the guest's picture on the screen, with and without the gate. Run inside
`tests/sandbox --up`."""
import os

import rpc_bench
import screen_bench
from rpc_bench import in_turn, ratio, tell, uri

RUNS = int(os.environ.get("RUNS", "20"))
KINDS = [("gate, virt-viewer cards2", uri("alice")), ("no gate, virt-viewer cards2", uri("carol"))]
GATE, PLAIN = (name for name, _ in KINDS)


def main():
    rpc_bench.let_carol_in()
    line = screen_bench.text_line("cards2")
    with screen_bench.Screen() as screen:
        # Who begins changes: a pair, and the same pair the other way round.
        figures = in_turn(KINDS + KINDS[::-1], RUNS // 2,
                          lambda connect: screen.first_frame(["virt-viewer", "-c", connect, "cards2"], line), pause=0.5)
    print(f"virt-viewer's start to the guest's picture; {RUNS} of each in turn, each with ssh logins of its own; "
          f"load {rpc_bench.load()}")
    tell(figures)
    print(f"{GATE}: {ratio(figures, GATE, PLAIN):.2f} of the time without a gate (median of pairs)")


main()
