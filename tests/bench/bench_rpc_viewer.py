#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the start of a stock virt-viewer to the guest's picture on the screen, with and without the gate. The X server keeps its
screen in a file, in which a line of the guest's text is looked for. Run inside `tests/sandbox --up`."""
import mmap
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import rpc_bench
from rpc_bench import in_turn, ratio, tell, uri, vgtest

RUNS = int(os.environ.get("RUNS", "20"))
SECONDS = 30
SEARCHED = 1024 * 4 * 100   # bytes of the screen: its first 100 lines; the viewer's window is in the upper left corner
DISPLAY, FOLDER = ":77", "/tmp/bench-screen"
KINDS = [("gate, virt-viewer cards2", uri("alice")), ("no gate, virt-viewer cards2", uri("carol"))]
GATE, PLAIN = (name for name, _ in KINDS)


def text_line():
    """What matches one line of pixels of the guest's text on the X server's screen: the one with the most changes. Of the
    four bytes of a pixel the last has no meaning."""
    rows = vgtest.screenshot("cards2")
    row = max(rows, key=lambda row: sum(a != b for a, b in zip(row, row[3:]))).rstrip(b"\0")
    return re.compile(b".".join(re.escape(row[n:n + 3][::-1]) for n in range(0, len(row) - 2, 3)), re.DOTALL)


def start_screen():
    os.makedirs(FOLDER)
    server = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1024x768x24", "-fbdir", FOLDER], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    file = pathlib.Path(FOLDER, "Xvfb_screen0")
    vgtest.wait_until(lambda: pathlib.Path(f"/tmp/.X11-unix/X{DISPLAY[1:]}").exists() and file.stat().st_size > 0, 10, "Xvfb")
    with file.open("rb") as screen:
        return server, mmap.mmap(screen.fileno(), 0, prot=mmap.PROT_READ)


def is_shown(screen, line):
    return line.search(screen, 0, SEARCHED) is not None


def first_frame(connect, screen, line):
    if is_shown(screen, line):
        sys.exit("the screen shows the guest before the viewer is started")
    start = time.perf_counter()
    viewer = subprocess.Popen(["virt-viewer", "-c", connect, "cards2"], env=dict(os.environ, DISPLAY=DISPLAY),
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True)
    while not is_shown(screen, line):
        if time.perf_counter() - start > SECONDS:
            sys.exit(f"{connect}: no picture within {SECONDS} s")
        time.sleep(0.002)
    took = (time.perf_counter() - start) * 1000
    os.killpg(viewer.pid, signal.SIGTERM)   # with its ssh
    viewer.wait()
    vgtest.wait_until(lambda: not is_shown(screen, line), 10, "the end of the viewer's window")
    return took


def main():
    rpc_bench.let_carol_in()
    line = text_line()
    server, screen = start_screen()
    try:
        # Who begins changes: a pair, and the same pair the other way round.
        figures = in_turn(KINDS + KINDS[::-1], RUNS // 2, lambda connect: first_frame(connect, screen, line), pause=0.5)
    finally:
        server.terminate()
        server.wait()
    print(f"virt-viewer's start to the guest's picture; {RUNS} of each in turn, each with ssh logins of its own; "
          f"load {rpc_bench.load()}")
    tell(figures)
    print(f"{GATE}: {ratio(figures, GATE, PLAIN):.2f} of the time without a gate (median of pairs)")


main()
