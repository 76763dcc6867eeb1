"""Libvirt connections when parts fail, stop, or are flooded: how each ends, what it costs, and that nobody else is concerned."""
import contextlib
import os
import pathlib
import re
import select
import signal
import struct
import time

import pytest

import vgtest
from rpc import (CALL, CARDS2, DENIED, NO_DOMAIN, NOLISTEN, REMOTE, REPLY, SECRET, Raw, domain, live, memory_of,
                 serving, text)
from vgtest import extra_vm, records, wait_until

SPARE_FILTERS = 2    # that wait for a job (FILTERS_AHEAD in broker.c)
PSS = 12000     # KiB that a filter may take, the libraries' share included


@pytest.fixture(autouse=True)
def nothing_left():
    """After each test: no filter, no session, no descriptor of virtgated's that was not there."""
    wait_until(lambda: not live() and not vgtest.open_sessions(), what="the end of all connections")
    gate = vgtest.process("virtgated")
    assert vgtest.ssh("alice", "list").rc == 0      # what virtgated opens on first use is open
    before = settled_descriptors(gate)
    yield
    wait_until(lambda: not live() and not vgtest.open_sessions(), what="the end of all connections")
    if gate == vgtest.process("virtgated"):
        wait_until(lambda: settled_descriptors(gate) == before, what=f"{before} descriptors of virtgated's")


def settled_descriptors(gate):
    """Once all processes that wait for a job are there, and nothing has changed for a while: a connection that ends is not
    counted."""
    seen = []

    def settled():
        here = len(vgtest.processes("virtgate-session")), len(vgtest.processes("virtgate-rpc")), len(os.listdir(f"/proc/{gate}/fd"))
        seen.append(here)
        time.sleep(0.05)
        return here[:2] == (vgtest.SPARES, SPARE_FILTERS) and seen[-8:] == [here] * 8

    wait_until(settled, what="the spare processes")
    return seen[-1][2]


def message(procedure, payload=b"", serial=0, kind=CALL):
    return struct.pack(">7I", 28 + len(payload), REMOTE, 1, procedure, kind, serial, 0) + payload


def end_of(mark, user="alice"):
    """Of exactly one start and one end of the user's."""
    wait_until(lambda: vgtest.log_since(mark, f" end .*user={user} "), what="the end in the log")
    starts, ends = ([vgtest.fields(line) for line in vgtest.settled_log(mark, rf"virtgated\[\d+\]: {kind} .*user={user} ")]
                    for kind in ("start", "end"))
    (start,), (end,) = starts, ends
    assert start["session"] == end["session"]
    return end["reason"]


# --- libvirtd --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_libvirtd_restarted(number):
    """All connections end, each with its line and record; a display goes on; the next connection is as ever."""
    mark = vgtest.log_mark()
    with vgtest.ssh_open("alice", "display", "cards2") as display:
        viewer = vgtest.Rfb(display.talk)
        with Raw("bob") as raw, Raw("alice") as terminal:
            assert terminal.call(201, domain("x", NOLISTEN) + b"\0" * 8)[0] == 0
            raw.talk.write(message(16, domain("cards2", CARDS2), 77)[:40])       # it is in the middle of saying something
            with vgtest.without_libvirtd(number):
                for one in (raw, terminal):
                    result = one.process.result()
                    assert (result.rc, result.stderr) == (69, b"virtgate: libvirtd on this host ended the connection; try again\n")
        assert not vgtest.is_blank(viewer.picture())
    ends = records(mark, "end ", 3)
    assert [end["reason"] for end in ends if "vm" not in end] == ["libvirtd ended the connection"] * 2
    with Raw("bob") as raw:
        assert raw.call(16, domain("cards2", CARDS2))[0] == 0


def test_libvirtd_hangs():
    """It is stopped while calls wait: the client waits, and can go; what it asked is answered when libvirtd goes on."""
    mark = vgtest.log_mark()
    libvirtd = vgtest.process(vgtest.LIBVIRTD)
    with Raw("alice") as raw, Raw("bob") as other:
        os.kill(libvirtd, signal.SIGSTOP)
        try:
            raw.talk.write(b"".join(message(16, domain("cards2", CARDS2), n) for n in range(100, 400)))
            other.send(16, domain("cards2", CARDS2))
            time.sleep(0.5)
            assert not select.select([raw.talk.reader, other.talk.reader], [], [], 0)[0]
            assert all(memory_of(pid) < PSS for pid in live())
            raw.process.hang_up()
            assert end_of(mark) == "client ended"
        finally:
            os.kill(libvirtd, signal.SIGCONT)
        assert other.receive()[1:4] == (REPLY, other.serial, 0)


# --- the client's side -----------------------------------------------------------------------------------------------

def test_processes_killed():
    """ssh, the user's shell and the filter itself, each by SIGKILL with calls on their way."""
    flood = b"".join(message(16, domain("cards2", CARDS2), n) for n in range(100, 200))
    with Raw("bob") as witness:
        for victim, reason in (("ssh", "client ended"), ("virtgate-shell", "client ended"), ("virtgate-rpc", "the filter died")):
            mark = vgtest.log_mark()
            others = {*live(), *vgtest.processes("virtgate-shell")}
            with Raw("alice") as raw:
                raw.talk.write(flood)
                if victim == "ssh":
                    raw.process.kill()
                else:
                    (pid,) = {*(live() if victim == "virtgate-rpc" else vgtest.processes(victim))} - others
                    os.kill(pid, signal.SIGKILL)
                if victim == "virtgate-rpc":
                    result = raw.process.result()
                    assert (result.rc, result.stderr) == (70, b"virtgate: something went wrong on this host; its log says more\n")
                assert end_of(mark) == reason
            assert witness.call(16, domain("cards2", CARDS2))[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_gate_ends(number):
    mark = vgtest.log_mark()
    with Raw("alice") as raw:
        pid = serving()
        with vgtest.without_gate(number):
            result = raw.process.result()
            assert result.rc == 69 and re.fullmatch(rb"virtgate: the gate on this host [^\n]+\n", result.stderr), result
            wait_until(lambda: pid not in vgtest.processes("virtgate-rpc"), what="the end of the filter")
    if number == signal.SIGTERM:
        assert end_of(mark) == "virtgated stops"


def test_a_filter_that_hangs():
    """Its end does not depend on it: a reload that takes grants away, and the client's end."""
    for act, reason in ((lambda raw: vgtest.set_acl(vgtest.ACL.read_text() + "\n[vm nolisten]\ntakeover = alice\n"), "grants changed"),
                        (lambda raw: raw.process.kill(), "client ended")):
        mark = vgtest.log_mark()
        with vgtest.acl(vgtest.ACL.read_text()), Raw("alice") as raw:
            pid = serving()
            os.kill(pid, signal.SIGSTOP)
            act(raw)
            if reason == "grants changed":
                assert raw.process.result().rc == 77
            wait_until(lambda: pid not in vgtest.processes("virtgate-rpc"), what="the end of the filter")
            assert end_of(mark) == reason


# --- silence ---------------------------------------------------------------------------------------------------------

HALVES = [b"\0", b"\0\0\0\x3c", message(16, b"x" * 32, 9)[:20], message(16, b"x" * 32, 9)[:28], message(16, b"x" * 32, 9)[:59],
          struct.pack(">I", 4 << 20) + message(16, serial=9)[4:]]


def test_half_a_message_then_silence():
    """It holds one of the user's own sessions and no memory, as a connection that says nothing. `idle` ends it, if it is set:
    what libvirtd sends meanwhile counts, and here is nothing."""
    with vgtest.acl("[gate]\nidle = 3s\n" + vgtest.ACL.read_text()), contextlib.ExitStack() as stack:
        mark = vgtest.log_mark()
        raws = [stack.enter_context(Raw("alice", sshd=False)) for _ in HALVES]
        for raw, half in zip(raws, HALVES):
            raw.talk.write(half)
        wait_until(lambda: len(live()) == len(HALVES), what="all filters")
        time.sleep(0.3)
        assert all(memory_of(pid) < PSS for pid in live())
        busy = stack.enter_context(Raw("bob"))
        while any(raw.process.poll() is None for raw in raws):
            assert busy.call(16, domain("cards2", CARDS2))[0] == 0        # who asks is not idle
            time.sleep(0.2)
        for raw in raws:
            result = raw.process.result()
            assert (result.rc, result.stderr) == (77, b"virtgate: the session was idle for too long\n")
        ends = records(mark, "end ", len(HALVES))
        assert {(end["user"], end["reason"]) for end in ends} == {("alice", "idle")}
        assert all(3000 <= int(end["duration_ms"]) < 12000 for end in ends)


def test_max_time_and_a_large_half():
    """All but the last byte of the largest message: held, until max-time ends it."""
    with vgtest.acl("[gate]\nmax-time = 3s\n" + vgtest.ACL.read_text()):
        mark = vgtest.log_mark()
        with Raw("alice", sshd=False) as raw:
            raw.talk.write((struct.pack(">I", 4 << 20) + message(23, serial=9)[4:]).ljust((4 << 20) - 1, b"x"))
            pid = serving()
            assert memory_of(pid) < PSS + (9 << 10)
            result = raw.process.result()
            assert (result.rc, result.stderr) == (77, b"virtgate: the session has reached its time limit\n")
        assert end_of(mark) == "max-time"


def test_slots_of_ones_own():
    """Who fills all sessions with half messages keeps nobody else out, and has them back when they end."""
    with vgtest.acl("[gate]\nmax-sessions = 3\n" + vgtest.ACL.read_text()), contextlib.ExitStack() as stack:
        raws = [stack.enter_context(Raw("alice", sshd=False)) for _ in range(3)]
        for raw in raws:
            raw.talk.write(b"\0\0\0")
        result = vgtest.ssh("alice", "virt-ssh-helper qemu:///system")
        assert (result.rc, result.stderr) == (75, b"virtgate: you have 3 sessions open, which is the limit; close one and try again\n")
        with Raw("bob") as other:
            assert other.call(16, domain("cards2", CARDS2))[0] == 0
        raws[0].process.hang_up()
        wait_until(lambda: len(live()) == 2, what="the end of one")
        with Raw("alice", sshd=False) as again:
            assert again.call(16, domain("cards2", CARDS2))[0] == 0


# --- floods ----------------------------------------------------------------------------------------------------------

def test_ten_thousand_calls():
    """In flight at once, of every kind: each has its own answer, under its own serial; memory is bounded all the while."""
    kinds = [(16, domain("x", CARDS2), 0), (16, domain("x", SECRET), NO_DOMAIN), (11, text("<domain/>"), DENIED), (212, domain("", NOLISTEN) + b"\0" * 4, 0),
             (23, text("cards2"), 0), (23, text("secret"), NO_DOMAIN), (66, b"", 0), (16, b"xyz", 39), (283, b"\0\0\0\1\0\0\0\0", 0)]
    calls = {serial: kinds[serial * 7 % len(kinds)] for serial in range(1000, 11000)}
    flood = b"".join(message(procedure, payload, serial) for serial, (procedure, payload, _) in calls.items())
    vgtest.restart_gate()       # of a user's refusals it writes some hundred; the tests that count them come with a fresh one
    mark = vgtest.log_mark()
    with Raw("alice", sshd=False) as raw, Raw("bob") as other:
        pids = live()
        data, sent, seen, most, slowest = bytearray(), 0, set(), 0, 0
        end = time.monotonic() + 60
        while calls.keys() - seen:
            assert time.monotonic() < end, f"{len(seen)} of {len(calls)}"
            readable, writable, _ = select.select([raw.talk.reader], [raw.talk.writer] if sent < len(flood) else [], [], 10)
            if writable:
                sent += os.write(raw.talk.writer, flood[sent:sent + 4096])
            if readable:
                data += os.read(raw.talk.reader, 1 << 16)
            while len(data) >= 28 and len(data) >= (size := struct.unpack(">I", data[:4])[0]):
                _, program, _, procedure, kind, serial, status = struct.unpack(">7I", data[:28])
                expected, _, code = calls[serial]
                got = struct.unpack(">I", data[28:32])[0] if status else 0
                assert (program, procedure, kind, got) == (REMOTE, expected, REPLY, code) and serial not in seen
                seen.add(serial)
                if len(seen) % 1000 == 0:
                    most = max(most, *map(memory_of, pids))
                    began = time.monotonic()
                    assert other.call(16, domain("cards2", CARDS2))[0] == 0
                    slowest = max(slowest, time.monotonic() - began)
                del data[:size]
        assert most < PSS and slowest < 2
        assert raw.call(16, domain("cards2", CARDS2))[0] == 0
    assert end_of(mark) == "client ended"
    assert 50 < len(vgtest.log_since(mark, "refused .*user=alice")) < 2000
    vgtest.restart_gate()


def test_who_does_not_read_is_not_read():
    """Calls without end, and no look at an answer: the client waits, the filter does not grow, and it can be cut."""
    one = message(14, domain("x", CARDS2) + b"\0" * 4)
    mark = vgtest.log_mark()
    with vgtest.acl(vgtest.ACL.read_text()), Raw("alice", sshd=False) as raw, Raw("bob") as other:
        raw.talk.deadline = 2
        serial, sent = 1000, 0
        with pytest.raises(TimeoutError):
            while True:
                raw.talk.write(b"".join(one[:20] + struct.pack(">I", serial + n) + one[24:] for n in range(64)))
                serial += 64
                sent += 64 * len(one)
                assert sent < 8 << 20
        assert all(memory_of(pid) < PSS for pid in live())
        assert other.call(16, domain("cards2", CARDS2))[0] == 0
        vgtest.set_acl(vgtest.ACL.read_text() + "\n[vm nolisten]\ntakeover = alice\n")
        assert end_of(mark) == "grants changed"


def test_a_machine_vanishes_in_a_flood():
    """Started, stopped and undefined while it is asked about: answers or errors, none of them of somebody else."""
    with vgtest.acl(vgtest.ACL.read_text() + "\n[vm mill]\ndisplay = alice\n"), extra_vm("mill", "") as uuid, Raw("alice") as raw:
        payloads = [(16, domain("mill", uuid)), (14, domain("mill", uuid) + b"\0" * 4), (64, domain("mill", uuid) + text("hda")),
                    (344, struct.pack(">III", 0, 0, 0)), (273, struct.pack(">ii", 1, 0))]
        for step in ("destroy", "undefine"):
            for n in range(40):
                raw.send(*payloads[n % len(payloads)])
            vgtest.virsh(step, uuid)
            for n in range(40):
                raw.send(*payloads[n % len(payloads)])
            codes = set()
            for _ in range(80):
                _, kind, _, status, payload = raw.receive()
                assert kind == REPLY and b"secret" not in payload
                codes.add(struct.unpack(">I", payload[:4])[0] if status else 0)
            assert codes <= {0, NO_DOMAIN, 55, 1, 38}, codes
        assert raw.call(16, domain("mill", uuid))[0] == NO_DOMAIN


# --- what the kernel says of it --------------------------------------------------------------------------------------

LIMITS = {"Max file size": "0", "Max core file size": "0", "Max processes": "0", "Max open files": "3", "Max locked memory": "0",
          "Max msgqueue size": "0", "Max address space": str(512 << 20)}


def test_live_filter_is_confined():
    with Raw("alice") as raw:
        pid = serving()
        proc = pathlib.Path(f"/proc/{pid}")
        status = dict(re.findall(r"(?m)^(\w+):\s+(.*)$", (proc / "status").read_text()))
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert {status[field] for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split()
        assert sorted(os.readlink(fd).split(":")[0] for fd in (proc / "fd").iterdir()) == ["/dev/null"] * 3 + ["socket"] * 3
        limits = dict(re.findall(r"(?m)^(Max .*?)  +(\S+) ", (proc / "limits").read_text()))
        assert {name: limits[name] for name in LIMITS} == LIMITS
        hard = dict(re.findall(r"(?m)^(Max .*?)  +\S+ +(\S+)", (proc / "limits").read_text()))
        assert {name: hard[name] for name in LIMITS} == LIMITS
        assert (proc / "environ").read_bytes() == b"LANG=C\0"
        # Not dumpable: closed to its own account, as which another filter or session process runs.
        assert (proc / "mem").stat().st_uid == 0
        as_gate = ["setpriv", "--reuid=virtgate", "--regid=virtgate", "--init-groups"]
        for path in ("mem", "environ", "fd", "maps", "auxv"):
            result = vgtest.run(*as_gate, "ls" if path == "fd" else "cat", f"{proc}/{path}/" if path == "fd" else f"{proc}/{path}")
            assert result.rc != 0 and b"Permission denied" in result.stderr, path
        result = vgtest.run(*as_gate, "strace", "-p", str(pid))
        assert result.rc != 0 and b"Operation not permitted" in result.stderr
        assert raw.call(16, domain("cards2", CARDS2))[0] == 0


def test_a_forbidden_call_ends_the_connection():
    """What whoever took the filter over would do first. The kernel ends it; the user has a line, the log the end."""
    mark = vgtest.log_mark()
    with Raw("alice") as raw:
        pid = serving()
        os.kill(pid, signal.SIGSYS)     # as the kernel does it
        result = raw.process.result()
        assert (result.rc, result.stderr) == (70, b"virtgate: something went wrong on this host; its log says more\n")
    assert end_of(mark) == "the filter died"
