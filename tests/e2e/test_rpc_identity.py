"""Who is asked about: the uuid decides, by the name that it has now. Names come and go while connections are open."""
import contextlib
import itertools
import os
import pathlib
import signal
import struct
import threading

import pytest

import vgtest
from rpc import (CARDS2, MINE, NO_DOMAIN, NOBODY, REPLY, SECRET, Raw, complaint, console, domain, listener, live, said, text)
from vgtest import extra_vm, wait_until

A, B = "aaaaaaaa-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b"


@pytest.fixture(autouse=True)
def all_over():
    yield
    wait_until(lambda: not live() and not vgtest.open_sessions(), what="the end of all connections")


def granted(rules):
    return vgtest.acl(vgtest.ACL.read_text() + "\n" + rules)


def listed(raw):
    """The names that CONNECT_LIST_ALL_DOMAINS gives."""
    code, payload = raw.call(273, struct.pack(">ii", 1, 0))
    assert code == 0
    found, at = [], 4
    for _ in range(struct.unpack(">I", payload[:4])[0]):
        size = struct.unpack(">I", payload[at:at + 4])[0]
        found.append(payload[at + 4:at + 4 + size].decode())
        at += 4 + (size + 3 & ~3) + 20
    return sorted(found)


def test_two_users_at_once():
    """Each sees their own, also where the calls alternate and the machine is the same."""
    with granted("[vm secret]\nserial = bob\n"), Raw("alice", sshd=False) as alice, Raw("bob", sshd=False) as bob:
        for _ in range(20):
            assert listed(alice) == MINE and listed(bob) == ["cards2", "secret"]
            assert alice.call(16, domain("secret", CARDS2))[0] == bob.call(16, domain("", CARDS2))[0] == 0
            assert alice.call(16, domain("cards2", SECRET))[0] == NO_DOMAIN and bob.call(16, domain("cards2", SECRET))[0] == 0
            assert alice.call(23, text("secret"))[0] == NO_DOMAIN and bob.call(23, text("nolisten"))[0] == NO_DOMAIN
            assert b"<graphics" in alice.call(14, domain("x", CARDS2) + b"\0" * 4)[1]
            assert b"<graphics" not in bob.call(14, domain("x", CARDS2) + b"\0" * 4)[1]


def test_name_and_uuid_disagree():
    """Each name with each uuid, for calls of each kind: it is as if the name had not been said."""
    calls = [(16, b""), (14, b"\0" * 4), (212, b"\0" * 4), (19, b""), (12, b""), (33, b""), (211, b"\0" * 8), (226, b"\0" * 8 + b"\0\0\0\1\0\0\0\36\0\0\0\0"),
             (201, b"\0\0\0\1" + text("serial9") + b"\0" * 4), (187, b"\0" * 4), (64, text("hda"))]
    with extra_vm("mill", "") as uuid, granted("[vm mill]\nserial = alice\n"), Raw("alice", sshd=False) as raw:
        for (procedure, tail), name in itertools.product(calls, ("mill", "secret", "nosuch", "", "cards2", "../x", "x" * 300)):
            own = raw.call(procedure, domain(name, uuid) + tail)
            other = raw.call(procedure, domain(name, SECRET) + tail)
            none = raw.call(procedure, domain(name, NOBODY) + tail)
            assert own[0] != NO_DOMAIN and b"secret" not in own[1]
            assert other[0] == none[0] == NO_DOMAIN
            assert other[1].replace(SECRET.encode(), NOBODY.encode()) == none[1]
        assert vgtest.virsh("domstate", uuid) == vgtest.virsh("domstate", "secret") == "running"


def renamed(uuid, name):
    vgtest.virsh("domrename", uuid, name)


def test_rename_while_connected():
    """From a name that is alice's to one that is not, and back: the next call, list and event know, without waiting."""
    with extra_vm("mill", "", start=False) as uuid, granted("[vm mill]\npower = alice\n"):
        with listener("alice") as events, Raw("alice", sshd=False) as raw, Raw("bob", sshd=False) as bob:
            assert b"mill" in events.talk.read_until(rb"ready .*\n")
            for _ in range(2):
                assert raw.call(16, domain("x", uuid))[0] == 0 and raw.call(23, text("mill"))[0] == 0
                assert listed(raw) == sorted([*MINE, "mill"])
                renamed(uuid, "hidden")
                assert raw.call(9, domain("mill", uuid))[0] == NO_DOMAIN
                assert raw.call(24, bytes.fromhex(uuid.replace("-", "")))[0] == NO_DOMAIN
                assert raw.call(23, text("mill"))[0] == raw.call(23, text("hidden"))[0] == NO_DOMAIN
                assert listed(raw) == MINE and listed(bob) == ["cards2"]
                vgtest.virsh("start", "hidden")
                vgtest.virsh("destroy", "hidden")
                renamed(uuid, "mill")
            assert raw.call(9, domain("hidden", uuid))[0] == 0
            vgtest.virsh("destroy", "mill")
            renamed(uuid, "hidden")
            vgtest.virsh("start", "hidden")
            vgtest.virsh("suspend", "cards2")
            vgtest.virsh("resume", "cards2")
            assert complaint("alice", "start", "hidden").replace("hidden", "X") == complaint("alice", "start", "nosuch").replace("nosuch", "X")
            heard = events.talk.read_until(rb"cards2 4\r?\n")
            assert b"hidden" not in heard and heard.count(b"mill") >= 4
            assert vgtest.virsh("domstate", uuid) == "running"
            vgtest.virsh("destroy", uuid)
            renamed(uuid, "mill")


def test_made_anew_under_the_name():
    """The name is granted, not what bore it: whoever bears it now is alice's, the old uuid is nobody's; and the other way round."""
    with granted(f"[vm mill]\npower = alice\n[vm uuid:{A}]\nserial = bob\n"), Raw("alice", sshd=False) as alice, Raw("bob", sshd=False) as bob:
        with extra_vm("mill", "", A, start=False):
            assert alice.call(16, domain("mill", A))[0] == bob.call(16, domain("mill", A))[0] == 0
        for raw in (alice, bob):
            assert raw.call(16, domain("mill", A))[0] == NO_DOMAIN
        with extra_vm("mill", "", B, start=False):
            assert alice.call(16, domain("mill", A))[0] == bob.call(16, domain("mill", A))[0] == NO_DOMAIN
            assert alice.call(16, domain("mill", B))[0] == 0 and bob.call(16, domain("mill", B))[0] == NO_DOMAIN
            assert alice.call(23, text("mill"))[0] == 0 and bob.call(23, text("mill"))[0] == NO_DOMAIN
        with extra_vm("eagle", "", A, start=False):
            assert alice.call(16, domain("mill", A))[0] == NO_DOMAIN and bob.call(16, domain("mill", A))[0] == 0
            assert listed(alice) == MINE and listed(bob) == ["cards2", "eagle"]


def test_vanishes_during_a_call():
    """libvirtd waits for a QEMU that hangs, and then is gone: the call ends with an error, and the connection goes on."""
    with extra_vm("mill", "") as uuid, granted("[vm mill]\ndisplay = alice\nserial = alice\n"), Raw("alice", sshd=False) as raw:
        pid = int(pathlib.Path("/run/libvirt/qemu/mill.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        raw.send(64, domain("mill", uuid) + text("hda"))
        waiting = raw.serial
        raw.send(16, domain("cards2", CARDS2))
        assert raw.receive()[2:4] == (raw.serial, 0)            # the others are served meanwhile
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: vgtest.virsh("domstate", uuid) == "shut off", what="the end of the machine")
        procedure, kind, serial, status, payload = raw.receive()
        assert (procedure, kind, serial, status) == (64, REPLY, waiting, 1) and b"secret" not in payload
        assert raw.call(64, domain("mill", uuid) + text("hda"))[0] not in (0, NO_DOMAIN)
        assert raw.call(16, domain("mill", uuid))[0] == 0
        vgtest.virsh("undefine", uuid)
        gone, none = raw.call(16, domain("mill", uuid)), raw.call(16, domain("mill", NOBODY))
        assert gone[1].replace(uuid.encode(), NOBODY.encode()) == none[1]


def test_vanishes_with_its_console():
    with extra_vm("mill", ""), granted("[vm mill]\nserial = alice\n"):
        with console("alice", "mill") as p:
            vgtest.ask_greeting(p.talk, "mill")
            vgtest.virsh("destroy", "mill")
            p.talk.read_rest()
            assert p.wait(timeout=10) in (0, 1)


def test_race_of_names():
    """Two machines swap names as fast as they can, and alice asks as fast as she can. What she is told of B never comes under
    the name that is hers at that moment of libvirtd's, and nothing ever has the name of what is not hers."""
    over, errors, swaps = threading.Event(), [], 0

    def swap():
        nonlocal swaps
        with contextlib.suppress(AssertionError):
            while not over.is_set():
                for which, name in ((A, "parked"), (B, "mill"), (B, "hidden"), (A, "mill")):
                    renamed(which, name)
                swaps += 1

    with extra_vm("hidden", "", B, start=False), extra_vm("mill", "", A, start=False), granted("[vm mill]\nserial = alice\n"):
        thread = threading.Thread(target=swap)
        with Raw("alice", sshd=False) as raw:
            thread.start()
            try:
                for n in range(1500):
                    which = (A, B)[n % 2]
                    found = listed(raw)
                    assert set(found) <= {*MINE, "mill"}, found
                    code, payload = raw.call(24, bytes.fromhex(which.replace("-", "")))
                    assert code == NO_DOMAIN or (code == 0 and payload.startswith(text("mill"))), payload
                    code, payload = raw.call(14, domain("mill", which) + b"\0" * 4)
                    assert code == NO_DOMAIN or (code == 0 and b"<name>mill</name>" in payload), payload
                    if swaps >= 10 and n > 300:
                        break
            finally:
                over.set()
                thread.join()
        assert swaps >= 3
    assert said("alice", "domstate", "cards2") == "running"
