# SPDX-License-Identifier: LGPL-2.1-or-later
"""tests/lib/link.py itself: what is measured and tried over such a cable is worth as much as the cable."""
import contextlib
import itertools
import os
import shutil
import socket
import time

import pytest

import link
import vgtest


def missing():
    if os.environ.get("VIRTGATE_SANDBOX") != "1":
        return "needs tests/sandbox"
    if not os.path.exists(link.TUN):
        return f"needs {link.TUN}"
    return next((f"needs {name}" for name in ("ip", "nsenter") if not shutil.which(name)), None)


WHY = missing()
pytestmark = pytest.mark.skipif(bool(WHY), reason=str(WHY))

NETWORKS = itertools.count(1)
PORT = 7000
SIZE = 1000     # of a packet's data
LAST = b"last"


@pytest.fixture
def cable():
    """One for each test, with addresses of its own: nothing that another has left under way, or sends again, comes into it."""
    network = f"10.98.{next(NETWORKS)}"
    with link.namespace("link-test"), \
            link.Link((None, f"{network}.1", "link-there"), ("link-test", f"{network}.2", "link-here")) as made:
        yield made


def addresses(cable):
    return [address for _, address, _ in cable.ends]


@pytest.fixture
def ends(cable):
    """(Here, there): sockets that send packets of their own."""
    def bound(address):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, PORT))
        made.settimeout(20)
        return made
    one, two = addresses(cable)
    with contextlib.closing(bound(one)) as here, contextlib.closing(link.call_in("link-test", bound, two)) as there:
        here.connect((two, PORT))
        there.connect((one, PORT))
        yield here, there


def send(cable, socket_, numbers):
    """One after the other, so that none is dropped for want of room on the way."""
    for n in numbers:
        before = sum(cable.counts().values())
        socket_.send(f"{n}".encode())
        vgtest.wait_until(lambda: sum(cable.counts().values()) > before, what="the packet")


def received(cable, sender, receiver):
    """The numbers of those that have come through."""
    with cable.being():
        sender.send(LAST)
        return [int(data) for data in iter(lambda: receiver.recv(100), LAST)]


def test_round_trip(cable):
    """Of a connection that is made, which is one: never less than there and back, and now and then hardly more."""
    here = addresses(cable)[0], PORT

    def round_trip():
        begin = time.monotonic()
        with link.call_in("link-test", socket.create_connection, here, 20):
            took = time.monotonic() - begin
            listener.accept()[0].close()
        return took

    def is_near():
        took = round_trip()
        assert took >= 0.02
        return took <= 0.03
    with socket.create_server(here) as listener:
        with cable.being(delay=0.01):
            vgtest.wait_until(is_near, 60, "a round trip of 20 to 30 ms")
        with cable.being(delay=0.1):
            assert round_trip() >= 0.2


def test_both_directions_take_time(cable, ends):
    for sender, receiver in (ends, ends[::-1]):
        with cable.being(delay=0.05):
            begin = time.monotonic()
            sender.send(b"x")
            assert receiver.recv(10) == b"x"
            assert time.monotonic() - begin >= 0.05


def test_loss_is_the_same_in_every_run(cable, ends):
    for sender, receiver in (ends, ends[::-1]):
        came = []
        for _ in range(2):
            with cable.being(loss=0.1):
                send(cable, sender, range(100))
            came.append(received(cable, sender, receiver))
        assert came[0] == came[1]
        assert 0 < 100 - len(came[0]) < 30


def test_narrow_cable(cable, ends):
    """What there is no room for is dropped; what comes through takes its time."""
    here, there = ends
    dropped = cable.counts()["dropped"]
    with cable.being(rate=8 * SIZE * 100):      # 10 ms each, somewhat less than a hundred a second
        begin = time.monotonic()
        here.send(b"x" * SIZE)
        here.send(b"y" * SIZE)
        assert there.recv(2 * SIZE) == b"x" * SIZE and there.recv(2 * SIZE) == b"y" * SIZE
        assert time.monotonic() - begin >= 0.02

        def is_full():
            for _ in range(100):
                here.send(b"z" * SIZE)
            return cable.counts()["dropped"] > dropped
        vgtest.wait_until(is_full, what="a packet without room")


def test_silence(cable, ends):
    for sender, receiver in (ends, ends[::-1]):
        with cable.being(silent=True):
            send(cable, sender, range(10))
        assert received(cable, sender, receiver) == []


def test_silence_takes_what_is_under_way(cable, ends):
    here, there = ends
    with cable.being(delay=1000):
        here.send(b"1")
        vgtest.wait_until(lambda: cable.counts()["under way"] == 1, what="the packet")
        cable.set(silent=True)
        assert cable.counts()["under way"] == 0
    assert received(cable, here, there) == []


def test_silence_after_some_packets(cable, ends):
    here, there = ends
    with cable.being(last=3):
        send(cable, here, range(10))
    assert received(cable, here, there) == [0, 1, 2]
