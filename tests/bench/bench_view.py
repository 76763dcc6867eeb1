#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the start of a program to the guest's picture on the screen, through the gate, from a computer 20 ms away: `virtgate view`
and a stock virt-viewer, by VNC and by SPICE. Each makes its own logins. Run inside `tests/sandbox --up`."""
import os
import sys
import pathlib

import screen_bench
from rpc_bench import in_turn, tell

sys.path.append(str(pathlib.Path(__file__).parents[1] / "e2e"))
import client  # noqa: E402
import far_bench  # noqa: E402
from far_bench import GATE, at_home  # noqa: E402

RUNS = int(os.environ.get("RUNS", "10"))
VMS = os.environ.get("VMS", "cards2 spicevm").split()
SESSIONS = os.environ.get("SESSIONS", "10 1").split()
ASKED = {"cards2": "1.0", "spicevm": "0.5"}


def compare(screen, vm):
    line = screen_bench.text_line(vm)
    kinds = [(f"virtgate view {vm}", ["virtgate", "view", f"alice@{GATE}", vm]),
             (f"virt-viewer {vm}", ["virt-viewer", "-c", f"qemu+ssh://alice@{GATE}/system", vm])]
    # Who begins changes: a pair, and the same pair the other way round.
    figures = in_turn(kinds + kinds[::-1], (RUNS + 1) // 2, lambda words: screen.first_frame(at_home(*words), line),
                      pause=0.5, unmeasured=1)
    tell(figures)
    far_bench.tell_ratio(figures, kinds[0][0], kinds[1][0], ASKED[vm])


def main():
    with far_bench.far(), screen_bench.Screen() as screen:
        for sessions in SESSIONS:
            with client.settings_for_gate(f"MaxSessions {sessions}"):
                print(f"start to the guest's picture, {2000 * far_bench.DELAY:.0f} ms from the gate, MaxSessions {sessions}; "
                      f"{RUNS} of each in turn")
                for vm in VMS:
                    compare(screen, vm)


main()
