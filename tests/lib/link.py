# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network namespaces, and a cable between two of them that is as bad as a test wants it: late, narrow, lossy, or silent.

Its two ends are tun devices, and a process of its own carries each packet from one to the other. Not by netem, which many kernels
are built without. Which packets are lost is drawn from a fixed seed: the same ones of each direction in every run.

Needs root, ip(8) and nsenter(1); makes devices and namespaces where it runs, so only inside tests/sandbox."""
import collections
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import random
import select
import struct
import subprocess
import sys
import threading
import time

NETNS = pathlib.Path("/run/netns")
TUN = "/dev/net/tun"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 0x0001, 0x1000
PACKET_MAX = 65536
AT_ONCE = 64            # packets of one direction before the other is looked at
PERFECT = {"delay": 0.0, "loss": 0.0, "rate": None, "silent": False, "last": None}
QUEUE = 0.1             # seconds that a packet waits for a narrow cable; one that would wait longer is dropped


# --- namespaces -------------------------------------------------------------------------------------------------------------

def inside(where):
    """The words before a command that runs in that namespace; none for the one that this process is in."""
    return ["nsenter", f"--net={NETNS / where}"] if where else []


def do(*words, where=None):
    subprocess.run([*inside(where), *map(str, words)], check=True, capture_output=True, timeout=20)


@contextlib.contextmanager
def namespace(name):
    do("ip", "netns", "add", name)
    try:
        do("ip", "link", "set", "lo", "up", where=name)
        yield
    finally:
        do("ip", "netns", "delete", name)


def move_to(name):
    """For preexec_fn, or a thread."""
    def move():
        fd = os.open(NETNS / name, os.O_RDONLY | os.O_CLOEXEC)
        if ctypes.CDLL(None, use_errno=True).setns(fd, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(fd)
    return move


def call_in(name, function, *arguments):
    """What function returns there. A socket, like a tun device, is of the namespace in which its thread was when it made it."""
    answers = []

    def call():
        if name:
            move_to(name)()
        answers.append(function(*arguments))
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return answers[0]


# --- the cable --------------------------------------------------------------------------------------------------------------

def open_tun(device):
    fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    return fd


class Link:
    """A cable for the length of the block, between two ends: (namespace or None for this one, address, device). It carries IPv4.
    Its properties, which may be changed at any time: delay in seconds, of each direction; loss, a probability; rate in bits a
    second; silent: nothing comes through, in neither direction, and nobody is told; last: it is silent after so many more
    packets. A change of loss begins its sequence anew."""

    def __init__(self, one, two, **properties):
        self.ends = one, two
        self.properties = {**PERFECT, **properties}
        self.process = None

    def set(self, **properties):
        """In force when this returns."""
        return self._ask(properties)

    @contextlib.contextmanager
    def being(self, **properties):
        """Like that for the length of the block, then as in the beginning."""
        self.set(**properties)
        try:
            yield
        finally:
            self.set(**self.properties)

    def counts(self):
        """Packets so far, of both directions: carried, lost, dropped (no room), silenced; and those under way."""
        return self._ask({})

    def _ask(self, properties):
        self.process.stdin.write(json.dumps(properties).encode() + b"\n")
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        fds = []
        try:
            for where, address, device in self.ends:
                fds.append(call_in(where, open_tun, device))
                do("ip", "address", "add", f"{address}/24", "dev", device, where=where)
                do("ip", "link", "set", device, "up", where=where)
            self.process = subprocess.Popen([sys.executable, "-IS", __file__, *map(str, fds)], pass_fds=fds, bufsize=0,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        finally:
            for fd in fds:
                os.close(fd)
        self.set(**self.properties)
        return self

    def __exit__(self, *_):
        """The devices go with the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


# --- its process ------------------------------------------------------------------------------------------------------------

class Direction:
    def __init__(self, source, sink, counts):
        self.source, self.sink, self.counts = source, sink, counts
        self.under_way = collections.deque()    # (when it arrives, packet); all take equally long, so in this order
        self.free = 0.0                         # when the cable has taken what was put on it before

    def take(self, properties, chance):
        for _ in range(AT_ONCE):
            try:
                packet = os.read(self.source, PACKET_MAX)
            except BlockingIOError:
                return
            if packet[0] >> 4 != 4:     # the kernel's own talk about IPv6, of which nobody knows how much there will be
                continue
            now = time.monotonic()
            begin = max(now, self.free) if properties["rate"] else now
            if properties["silent"] or properties["last"] == 0:
                self.counts["silenced"] += 1
            elif begin - now > QUEUE:
                self.counts["dropped"] += 1
            elif properties["loss"] and chance.random() < properties["loss"]:
                self.counts["lost"] += 1
            else:
                self.free = begin + (len(packet) * 8 / properties["rate"] if properties["rate"] else 0)
                self.under_way.append((self.free + properties["delay"], packet))
                if properties["last"] is not None:
                    properties["last"] -= 1

    def deliver(self):
        while self.under_way and self.under_way[0][0] <= time.monotonic():
            packet = self.under_way.popleft()[1]
            with contextlib.suppress(OSError):  # of a device that is down
                os.write(self.sink, packet)
                self.counts["carried"] += 1


def carry(one, two):
    properties = dict(PERFECT)
    counts = dict.fromkeys(("carried", "lost", "dropped", "silenced"), 0)
    directions = Direction(one, two, counts), Direction(two, one, counts)
    chances = {}

    def begin_anew():
        chances.update({direction: random.Random(f"{n}") for n, direction in enumerate(directions)})

    def change():
        line = sys.stdin.buffer.readline()
        wanted = json.loads(line) if line else {}
        properties.update(wanted)
        if "loss" in wanted:
            begin_anew()
        if properties["silent"]:
            for direction in directions:        # also what is under way
                counts["silenced"] += len(direction.under_way)
                direction.under_way.clear()
        if line:
            print(json.dumps({**counts, "under way": sum(len(direction.under_way) for direction in directions)}), flush=True)
        return bool(line)

    begin_anew()
    while True:
        next_ones = [direction.under_way[0][0] for direction in directions if direction.under_way]
        left = max(0.0, min(next_ones) - time.monotonic()) if next_ones else None
        ready = select.select([0, one, two], [], [], left)[0]       # in microseconds; poll(2) takes milliseconds
        if 0 in ready and not change():
            return
        for direction in directions:
            if direction.source in ready:
                direction.take(properties, chances[direction])
            direction.deliver()


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)     # a cable does not wait for a busy processor
    carry(*map(int, sys.argv[1:]))
