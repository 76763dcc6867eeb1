# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the figures share that end with a picture: an X server that keeps its screen in a file, in which a line of the guest's
text is looked for. Whatever viewer shows it, and by whatever way, it is the same line on the same screen."""
import mmap
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from rpc_bench import vgtest

SECONDS = 30
SEARCHED = 1024 * 4 * 100   # bytes of the screen: its first 100 lines; the viewer's window is in the upper left corner
DISPLAY, FOLDER = ":77", "/tmp/bench-screen"


def text_line(vm):
    """What matches one line of pixels of the guest's text on the X server's screen: the one with the most changes. Of the
    four bytes of a pixel the last has no meaning."""
    rows = vgtest.screenshot(vm)
    row = max(rows, key=lambda row: sum(a != b for a, b in zip(row, row[3:]))).rstrip(b"\0")
    return re.compile(b".".join(re.escape(row[n:n + 3][::-1]) for n in range(0, len(row) - 2, 3)), re.DOTALL)


class Screen:
    """For the length of the block."""

    def __enter__(self):
        os.makedirs(FOLDER)
        self.server = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1024x768x24", "-fbdir", FOLDER],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        file = pathlib.Path(FOLDER, "Xvfb_screen0")
        vgtest.wait_until(lambda: pathlib.Path(f"/tmp/.X11-unix/X{DISPLAY[1:]}").exists() and file.exists() and
                          file.stat().st_size > 0, 10, "Xvfb")
        with file.open("rb") as screen:
            self.pixels = mmap.mmap(screen.fileno(), 0, prot=mmap.PROT_READ)
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()

    def shows(self, line):
        return line.search(self.pixels, 0, SEARCHED) is not None

    def first_frame(self, command, line):
        """Milliseconds from the program's start until the line is there. The program is ended then, with all that it started."""
        if self.shows(line):
            sys.exit("the screen shows the guest before the viewer is started")
        start = time.perf_counter()
        viewer = subprocess.Popen(command, env=dict(os.environ, DISPLAY=DISPLAY), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while not self.shows(line):
            if time.perf_counter() - start > SECONDS:
                sys.exit(f"{command}: no picture within {SECONDS} s")
            time.sleep(0.002)
        took = (time.perf_counter() - start) * 1000
        os.killpg(viewer.pid, signal.SIGTERM)
        viewer.wait()
        vgtest.wait_until(lambda: not self.shows(line), 10, "the end of the viewer's window")
        return took
