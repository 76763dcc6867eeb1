"""When parts fail, stop, or change under a user's hands: each with its line, its exit code and its record."""
import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

import pytest

import vgtest
from vgtest import Rfb, Terminal, ask_greeting, extra_vm, records, ssh, ssh_open, virsh, wait_until

DEAD = "libvirtd on this host does not answer; try again later"
ENDED = b"virtgate: your access to this console has ended\n"
NO_LISTEN = "<graphics type='vnc'><listen type='none'/></graphics>"
CARDS2 = "c0ffee00-0000-4000-8000-000000000001"
TICK = 3.5      # how long it may take until time limits are looked at, on a machine that is busy
REPORT = 1      # how often virtgate-shell says that bytes went


@pytest.fixture(autouse=True)
def all_over():
    yield
    wait_until(vgtest.all_sessions_over, what="the end of all sessions")


def refused(result, status, line):
    assert (result.rc, result.stdout, result.stderr.decode()) == (status, b"", f"virtgate: {line}\n")


def granted(rules):
    return vgtest.acl(vgtest.ACL.read_text() + "\n" + rules)


@contextlib.contextmanager
def stopped(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def qemu_of(vm):
    return int(pathlib.Path(f"/run/libvirt/qemu/{vm}.pid").read_text())


@contextlib.contextmanager
def displayed(vm, user="alice"):
    """A live display: its ssh, its viewer, and where the log was before it."""
    mark = vgtest.log_mark()
    with ssh_open(user, "display", vm) as p:
        viewer = Rfb(p.talk)
        yield p, viewer, mark


@contextlib.contextmanager
def on_console(vm, user="alice"):
    mark = vgtest.log_mark()
    with ssh_open(user, "console", vm) as p:
        ask_greeting(p.talk, vm)
        yield p, mark


def viewers_of(vm):
    """How many viewers QEMU itself has."""
    answer = json.loads(virsh("qemu-monitor-command", vm, '{"execute": "query-vnc-servers"}'))
    return sum(len(server["clients"]) for server in answer["return"])


# --- libvirtd -----------------------------------------------------------------------------------------------------

def test_libvirtd_stopped(logins):
    alice = logins("alice")
    with vgtest.without_libvirtd():
        for command in ("display cards2", "console cards2", "info cards2", "list", "list --json", f"display uuid:{CARDS2}",
                        "nc 127.0.0.1 5903"):
            mark = vgtest.log_mark()
            began = time.monotonic()
            refused(alice.run(command), 69, DEAD)
            assert time.monotonic() - began < 5
            record, = records(mark, "refused ")
            assert record["status"] == "69" and record["reason"].startswith("libvirtd: "), record
        # What no rule allows is refused as ever: nobody learns more by it.
        refused(alice.run("display secret"), 77, "no console for you on 'secret'")
        refused(logins("mallory").run("display cards2"), 77, "no console for you on 'cards2'")
    assert alice.run("list").rc == 0
    with displayed("cards2") as (_, viewer, _):
        assert not vgtest.is_blank(viewer.picture())


def test_display_outlives_libvirtd():
    """A display is a connection to QEMU: libvirtd may restart. It can still be cut."""
    with displayed("nolisten") as (p, viewer, mark):
        with vgtest.without_libvirtd():
            assert not vgtest.is_blank(viewer.picture())
        assert not vgtest.is_blank(viewer.picture())
        with vgtest.acl("[user bob]\nserial = cards2\n"):
            assert p.result().rc == 77


def test_console_ends_with_libvirtd():
    """A serial stream goes through libvirtd."""
    with on_console("cards2") as (p, mark):
        with vgtest.without_libvirtd():
            assert p.result().rc == 0
            record, = records(mark, "end ")
            assert record["reason"] == "stream ended"
    with on_console("cards2"):
        pass


# --- the VM -------------------------------------------------------------------------------------------------------

def test_shut_off(logins):
    with extra_vm("sleeper", NO_LISTEN), granted("[vm sleeper]\ndisplay = alice\nserial = alice\n"):
        virsh("destroy", "sleeper")
        for command in ("display sleeper", "console sleeper", "display sleeper 7"):
            mark = vgtest.log_mark()
            refused(logins("alice").run(command), 69, "'sleeper' is not running (shut off)")
            record, = records(mark, "refused ")
            assert (record["vm"], record["status"]) == ("sleeper", "69") and record["rule"].startswith("virtgate.ini:")
        virsh("start", "sleeper")
        assert logins("alice").run("info", "sleeper").rc == 0
        with displayed("sleeper"):
            pass


def test_paused():
    """Its screen can be looked at."""
    virsh("suspend", "nolisten")
    try:
        with displayed("nolisten") as (_, viewer, _):
            assert not vgtest.is_blank(viewer.picture())
    finally:
        virsh("resume", "nolisten")


def test_destroyed_during_a_display():
    with extra_vm("mayfly", NO_LISTEN), granted("[vm mayfly]\ndisplay = alice\n"):
        with displayed("mayfly") as (p, _, mark):
            virsh("destroy", "mayfly")
            began = time.monotonic()
            result = p.result()
            assert (result.rc, result.stderr) == (0, b"") and time.monotonic() - began < 2
        end, = records(mark, "end ")
        assert (end["vm"], end["reason"]) == ("mayfly", "stream ended")


def test_destroyed_during_a_console():
    with extra_vm("mayfly", NO_LISTEN), granted("[vm mayfly]\nserial = alice\n"):
        with on_console("mayfly") as (p, mark):
            virsh("destroy", "mayfly")
            began = time.monotonic()
            result = p.result()
            assert (result.rc, result.stderr) == (0, b"") and time.monotonic() - began < 2
        end, = records(mark, "end ")
        assert (end["vm"], end["reason"]) == ("mayfly", "stream ended")
        virsh("start", "mayfly")
        with on_console("mayfly"):
            pass


A, B = "aaaaaaaa-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b"


def test_made_anew_under_the_name(logins):
    """The grant by name follows the name, the grant by uuid the uuid."""
    with granted(f"[vm phoenix]\ndisplay = alice\n[vm uuid:{A}]\ndisplay = mallory\n"):
        with extra_vm("phoenix", NO_LISTEN, A):
            for user, command in [("alice", "display phoenix"), ("alice", f"display uuid:{A}"),
                                  ("mallory", "display phoenix")]:
                with ssh_open(user, command) as p:
                    assert Rfb(p.talk).name == "QEMU (phoenix)"
        with extra_vm("phoenix", NO_LISTEN, B):
            with ssh_open("alice", "display", "phoenix") as p:
                assert Rfb(p.talk).name == "QEMU (phoenix)"
            for command in ("display phoenix", f"display uuid:{A}", f"display uuid:{B}"):
                assert logins("mallory").run(command).rc == 77
            refused(logins("alice").run(f"display uuid:{A}"), 77, f"no console for you on 'uuid:{A}'")
        with extra_vm("eagle", NO_LISTEN, A):
            with ssh_open("mallory", "display", "eagle") as p:
                assert Rfb(p.talk).name == "QEMU (eagle)"
            for command in ("display eagle", "display phoenix", f"display uuid:{A}"):
                assert logins("alice").run(command).rc == 77


def test_renamed_between_list_and_open(logins):
    with extra_vm("before", NO_LISTEN, start=False) as uuid, granted("[vm before]\ndisplay = alice\n"):
        alice = logins("alice")
        assert b"before" in alice.run("list").stdout
        virsh("domrename", "before", "after")
        try:
            virsh("start", "after")
            assert b"before" not in alice.run("list").stdout and b"after" not in alice.run("list").stdout
            for asked in ("before", "after", f"uuid:{uuid}"):
                refused(alice.run("display", asked), 77, f"no console for you on '{asked}'")
        finally:
            virsh("destroy", "after")
            virsh("domrename", "after", "before")


PORT = 5917


@pytest.mark.parametrize("commands", [["console phoenix", f"console uuid:{B}"],
                                      ["display phoenix", f"display uuid:{B}", f"nc 127.0.0.1 {PORT}",
                                       f"nc -U /run/virtgate/display/{B}/0"]], ids=["console", "display"])
def test_race_of_names(commands):
    """Two VMs swap names again and again; phoenix is alice's by name, and B only ever runs as 'hidden', on the same port.
    What she gets says itself who it is: the guest's greeting, the screen's name."""
    graphics = f"<graphics type='vnc' port='{PORT}' autoport='no' listen='127.0.0.1'/>"
    over, errors, swaps = threading.Event(), [], 0

    def swap():
        nonlocal swaps
        try:
            while not over.is_set():
                virsh("destroy", A)
                virsh("domrename", "phoenix", "parked")
                virsh("domrename", "hidden", "phoenix")     # B bears the name, and does not run
                time.sleep(random.uniform(0, 0.05))
                virsh("domrename", "phoenix", "hidden")
                virsh("start", B)
                time.sleep(random.uniform(0, 0.2))
                virsh("destroy", B)
                virsh("domrename", "parked", "phoenix")
                virsh("start", A)
                time.sleep(random.uniform(0, 1))
                swaps += 1
        except AssertionError as error:
            errors.append(error)

    opened = asked = 0
    with extra_vm("hidden", graphics, B, start=False), extra_vm("phoenix", graphics, A), \
            granted("[vm phoenix]\ndisplay = alice\nserial = alice\n"):
        vgtest.cast("vm_wait", "phoenix")
        thread = threading.Thread(target=swap)
        thread.start()
        try:
            end = time.monotonic() + 10
            # On a busy machine longer, until there was something to see.
            while not errors and (time.monotonic() < end or swaps < 3 or opened < 3) and time.monotonic() < end + 50:
                asked += 1
                opened += one_of_the_race(commands[asked % len(commands)])
        finally:
            over.set()
            thread.join()
        assert not errors, errors
    assert swaps >= 3 and opened >= 3 and asked >= 100, (swaps, opened, asked)


def one_of_the_race(command):
    """Whether it opened; never onto the other VM."""
    process = vgtest.shell("alice", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           bufsize=0)
    stream = vgtest.Stream(process.stdout.fileno(), process.stdin.fileno(), deadline=1)
    try:
        with contextlib.suppress(EOFError, TimeoutError, BrokenPipeError):
            if command.startswith("console"):
                for _ in range(4):
                    stream.write(b"?")
                    with contextlib.suppress(TimeoutError):
                        stream.deadline = 0.25
                        said = stream.read_until(rb"guest (\w+) ready")
                        assert b"hidden" not in said, "the serial console of the other VM"
                        return True
                return False
            assert Rfb(stream).name == "QEMU (phoenix)", "the screen of the other VM"
            return True
        return False
    finally:
        process.stdin.close()
        stream.deadline = 5
        assert b"hidden" not in stream.read_rest()
        said = process.stderr.read()
        assert process.wait(timeout=20) in (0, 69, 75, 77), said
        process.stdout.close()
        process.stderr.close()


def test_hanging():
    """One QEMU hangs: the other VMs open as ever. libvirtd hangs: nothing opens. Both are refused in time, with a line."""
    def begin(command):
        return vgtest.shell("alice", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    mark = vgtest.log_mark()
    with stopped(qemu_of("nolisten")):
        began = time.monotonic()
        hanging = [begin("display nolisten")]
        for vm in ("cards2", "sockvm"):
            for command in (f"display {vm}", "list"):
                one = time.monotonic()
                with begin(command) as p:
                    assert p.stdout.read(4) in (b"RFB ", b"NAME")
                    assert time.monotonic() - one < 2
                    p.stdin.close()
            with on_console(vm):
                pass
        with stopped(vgtest.process(vgtest.LIBVIRTD)):
            hanging += map(begin, ("display cards2", "list"))
            for p in hanging:
                out, said = p.communicate(timeout=45)
                assert (p.returncode, out, said.decode()) == (69, b"", f"virtgate: {DEAD}\n")
            assert 10 < time.monotonic() - began < 45
    found = records(mark, "refused ", 3)
    assert all((record["status"], record["reason"]) == ("69", "libvirtd did not answer in time") for record in found)
    assert {record["command"] for record in found} == {"display nolisten", "display cards2", "list"}
    with displayed("nolisten") as (_, viewer, _):
        assert not vgtest.is_blank(viewer.picture())


# --- virtgated ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_gate_down(logins, number):
    """With its socket gone or left behind."""
    with vgtest.without_gate(number):
        for command in ("list", "display cards2", "console cards2", "display secret"):
            refused(logins("alice").run(command), 69, "the gate on this host is not running; tell its administrator")
        refused(logins("alice").run("bogus"), 64, "unknown command 'bogus'; try help")
        assert logins("alice").run("help").rc == 0
        assert vgtest.processes("virtgate-session") == []
    assert logins("alice").run("list").rc == 0


def test_gate_killed_during_a_display():
    with displayed("nolisten") as (p, viewer, _):
        assert viewers_of("nolisten") == 1
        with vgtest.without_gate(signal.SIGKILL):
            result = p.result()
            assert (result.rc, result.stderr) == (69, b"virtgate: the gate on this host went away; the session is over\n")
            wait_until(lambda: viewers_of("nolisten") == 0, what="the end of the display at QEMU")


def test_gate_killed_during_a_console():
    with Terminal("alice", "console cards2") as terminal:
        ask_greeting(terminal.talk, "cards2")
        with vgtest.without_gate(signal.SIGKILL):
            assert terminal.wait() == 69
            assert terminal.settings() == terminal.before
            assert b"virtgate: the gate on this host went away; the session is over\n" \
                in terminal.unread().replace(b"\r\n", b"\n")
            wait_until(lambda: not vgtest.processes("virtgate-session"), what="the end of the session processes")
    with on_console("cards2"):
        pass


def test_session_process_killed():
    with on_console("cards2") as (p, mark):
        killed = set(vgtest.processes("virtgate-session"))
        for pid in killed:                      # those that wait for a job, too: they are replaced
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not killed & set(vgtest.processes("virtgate-session")), what="their end")
        result = p.result()
        assert (result.rc, result.stderr) == (70, b"virtgate: something went wrong on this host; its log says more\n")
    record, = records(mark, "end ")
    assert record["reason"] == "the session process died"
    with on_console("cards2"):
        pass


def test_refusal_that_nobody_waits_for():
    """One who asks and goes does not keep what was decided out of the log."""
    mark = vgtest.log_mark()
    gate, libvirtd = vgtest.process("virtgated"), vgtest.process(vgtest.LIBVIRTD)
    with granted("[vm nothing-such]\ndisplay = mallory\n"):
        with stopped(libvirtd):
            p = vgtest.shell("mallory", "display nothing-such", stdin=subprocess.DEVNULL)
            # The one that has the job waits for libvirtd; another was started in its place.
            wait_until(lambda: len(vgtest.processes("virtgate-session")) == vgtest.SPARES + 1, what="a job")
            with stopped(gate):
                p.kill()
                p.wait()
                os.kill(libvirtd, signal.SIGCONT)
                wait_until(lambda: len(vgtest.processes("virtgate-session")) == vgtest.SPARES, what="the answer")
        record, = records(mark, "refused ")
        assert (record["user"], record["status"], record["command"]) == ("mallory", "77", "display nothing-such")


# --- the ACL ------------------------------------------------------------------------------------------------------

def test_broken_acl():
    """At reload the old one stays in force, for who comes and for who is there."""
    before = vgtest.ACL.read_text()
    with displayed("cards2") as (p, viewer, _), on_console("nolisten") as (q, _):
        try:
            for text, line in [("[user alice\n", 1), (before + "[user alice]\n", len(before.splitlines()) + 1),
                               (before + "bogus = 1\n", len(before.splitlines()) + 1), ("\xff\xfe", 1),
                               ("[user alice]\ndisplay = " + "x" * 100000 + "\n", 2)]:
                mark = vgtest.log_mark()
                vgtest.ACL.write_text(text, encoding="latin-1")
                assert "the one that was loaded before stays in force" in vgtest.reload_gate()
                assert vgtest.log_since(mark, rf"authpriv\.err virtgated\[\d+\]: {vgtest.ACL}:{line}: ")
            vgtest.ACL.write_text(before)
            vgtest.ACL.chmod(0o666)
            assert "stays in force" in vgtest.reload_gate()
            vgtest.ACL.chmod(0o640)
            vgtest.ACL.rename(vgtest.ACL.with_suffix(".away"))
            assert "stays in force" in vgtest.reload_gate()
            assert ssh("alice", "list").stdout.count(b"\n") == 5
            assert not vgtest.is_blank(viewer.picture()) and p.poll() is q.poll() is None
        finally:
            away = vgtest.ACL.with_suffix(".away")
            if away.exists():
                away.rename(vgtest.ACL)
            vgtest.ACL.write_text(before)
            vgtest.ACL.chmod(0o640)
            assert "rules in force" in vgtest.reload_gate()


@pytest.mark.parametrize("rules,reason", [
    ("[user bob]\nserial = cards2\n", "revoked"),
    ("[user alice]\ndisplay = nolisten\nserial = cards2\ndeny = cards2, nolisten\n", "denied"),
    ("[user alice]\nserial = nolisten\ndisplay = cards2\n", "revoked"),         # the other right on each
    ("[user alice]\ndisplay = nolisten\nserial = cards2\nhours = {yesterday} 00:00-24:00\n", "outside hours"),
    ("[user alice]\ndisplay = nolisten\nserial = cards2\nuntil = 2020-01-01\n", "grant expired"),
], ids=["removed", "denied", "another-right", "hours", "until"])
def test_revoked(rules, reason):
    yesterday = time.strftime("%a", time.localtime(time.time() - 86400))
    with displayed("nolisten") as (p, _, mark), Terminal("alice", "console cards2") as terminal, \
            displayed("sockvm") as (_, other, _):
        ask_greeting(terminal.talk, "cards2")
        assert viewers_of("nolisten") == 1
        began = time.monotonic()
        with vgtest.acl(rules.format(yesterday=yesterday) + "[vm sockvm]\ndisplay = alice\n"):
            assert terminal.wait() == 77
            assert ENDED in terminal.unread().replace(b"\r\n", b"\n")
            assert terminal.settings() == terminal.before
            result = p.result()
            assert (result.rc, result.stderr) == (77, ENDED)
            assert time.monotonic() - began < 2
            for vm, right in (("nolisten", "display"), ("cards2", "serial")):
                end, = records(mark, f"end .*vm={vm} ")
                assert (end["user"], end["right"], end["reason"]) == ("alice", right, reason)
            wait_until(lambda: viewers_of("nolisten") == 0, 2, "the end of the display at QEMU")
            # Nor can it be opened again; what is still allowed was not disturbed.
            assert ssh("alice", "display", "nolisten").rc == 77
            assert not vgtest.is_blank(other.picture())
        with on_console("cards2"):
            pass


def test_revoked_group():
    """By a group of the directory that the user left: known at the next look at live sessions, or the next open."""
    assert vgtest.run("groupadd", "vm-nolisten").rc == 0
    try:
        assert vgtest.run("gpasswd", "-a", "mallory", "vm-nolisten").rc == 0
        with vgtest.acl("[vm *]\ndisplay = @vm-%v\n"):
            with displayed("nolisten", "mallory"):
                pass
            assert vgtest.run("gpasswd", "-d", "mallory", "vm-nolisten").rc == 0
            assert ssh("mallory", "display", "nolisten").rc == 77
    finally:
        vgtest.run("groupdel", "vm-nolisten")


def ends_by_itself(p, within):
    """Its result, and after how long."""
    began = time.monotonic()
    p.talk.deadline = within
    result = p.result()
    return result, time.monotonic() - began


@pytest.mark.parametrize("kind", ["display", "console"])
def test_max_time(kind):
    """Busy or not."""
    with vgtest.acl("[gate]\nmax-time = 3s\n" + vgtest.ACL.read_text()):
        with (displayed if kind == "display" else on_console)("cards2") as opened:
            p, mark = opened[0], opened[-1]
            result, seconds = ends_by_itself(p, 10)
            assert (result.rc, result.stderr) == (77, b"virtgate: the session has reached its time limit\n")
            assert seconds < 3 + TICK
        end, = records(mark, "end ")
        assert end["reason"] == "max-time" and 3000 <= int(end["duration_ms"]) < 3000 + TICK * 1000


def test_until_and_hours_during_a_session():
    """The clock goes on during a session. Hours end with a minute: the wait for it is the test's length at worst."""
    now = time.localtime(time.time())
    if now.tm_hour == 23 and now.tm_min >= 58:
        pytest.skip("needs a minute that ends before midnight")
    with displayed("cards2") as (p, viewer, mark):
        left = 60 - time.localtime().tm_sec
        if left > 20:
            # The end of hours a minute ago is the same for a session that was opened before: only the moment is not tested.
            hours, wait = f"00:00-{now.tm_hour:02d}:{now.tm_min:02d}", 0
        else:
            later = time.localtime(time.time() + 60)
            hours, wait = f"00:00-{later.tm_hour:02d}:{later.tm_min:02d}", left
        if hours.endswith("-00:00"):
            pytest.skip("needs a time of day after 00:00")
        with vgtest.acl(f"[user alice]\ndisplay = cards2\nhours = Mon-Sun {hours}\n"):
            if wait > 1:
                assert p.poll() is None and not vgtest.is_blank(viewer.picture())
            result, seconds = ends_by_itself(p, wait + 10)
            assert (result.rc, result.stderr) == (77, ENDED) and seconds < wait + TICK
    end, = records(mark, "end ")
    assert end["reason"] == "outside hours"


def test_max_sessions(logins):
    with vgtest.acl("[gate]\nmax-sessions = 2\n" + vgtest.ACL.read_text()):
        mark = vgtest.log_mark()
        with displayed("cards2") as (p, _, _), on_console("cards2"):
            for command in ("display nolisten", "console nolisten", "display cards2"):
                refused(logins("alice").run(command), 75,
                        "you have 2 sessions open, which is the limit; close one and try again")
            assert logins("alice").run("list").rc == 0
            assert all((record["status"], record["reason"]) == ("75", "max-sessions")
                       for record in records(mark, "refused ", 3))
            # Another user's are counted for themselves; one that ended makes room.
            refused(logins("bob").run("console cards2"), 75, "the serial console of 'cards2' is in use; try again later")
            assert p.hang_up() == 0
            wait_until(lambda: len(vgtest.open_sessions()) == 1, what="the end of the display")
            with displayed("nolisten"):
                pass


# --- idle ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["display", "console"])
def test_idle(kind):
    with vgtest.acl("[gate]\nidle = 3s\n" + vgtest.ACL.read_text()):
        with (displayed if kind == "display" else on_console)("cards2") as opened:
            p, mark = opened[0], opened[-1]
            result, seconds = ends_by_itself(p, 15)
            assert (result.rc, result.stderr) == (77, b"virtgate: the session was idle for too long\n")
            assert seconds < REPORT + 3 + TICK
        end, = records(mark, "end ")
        assert end["reason"] == "idle"


@pytest.mark.parametrize("kind", ["display", "console"])
def test_not_idle(kind):
    """Whoever types, or looks at what changes, is not idle."""
    with vgtest.acl("[gate]\nidle = 3s\n" + vgtest.ACL.read_text()):
        with (displayed if kind == "display" else on_console)("cards2") as opened:
            p, viewer = opened[0], opened[1]
            end = time.monotonic() + 6
            while time.monotonic() < end:
                if kind == "display":
                    viewer.picture()
                else:
                    p.talk.write(b"x")
                    assert p.talk.read(1) == b"x"
                time.sleep(0.3)                     # a person's pace
            assert p.poll() is None
