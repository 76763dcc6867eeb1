"""The serial console through the gate: what is typed comes back, leaving, terminals, one user at a time, floods."""
import fcntl
import os
import pathlib
import re
import signal
import socket
import subprocess
import termios
import time

import pytest

import vgtest
from vgtest import Terminal, ask_greeting, extra_vm, free, greeting, ssh_open, wait_until

LEAVE = b"\x1d"
PROMPT = rb"virtgate> $"
IN_USE = b"virtgate: the serial console of 'cards2' is in use; try again later\n"
CONSOLE = "c0ffee00-0000-4000-8000-00000000000{}"


@pytest.fixture(autouse=True)
def free_afterwards():
    """A session that was killed lets go of its console a moment later."""
    yield
    free()


def echo(stream, text):
    stream.write(text)
    assert stream.read_until(text) == text


# --- greeting and echo --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("vm", ["cards2", "nolisten", "sockvm", "spicevm"])
def test_without_terminal(vm):
    """Bytes as they are: nothing is added, nothing leaves."""
    with ssh_open("alice", "console", vm) as p:
        ask_greeting(p.talk, vm)
        # No escapes without a terminal: a program that talks to the guest must be able to send every byte.
        echo(p.talk, b"\x1d\x00\x03\x04\x11\x13\x7f~")
        p.talk.write(b"~.\r~.\r~~")
        assert p.talk.read_until(b"~~") == b"~.\r\n~.\r\n~~"
        assert p.hang_up() == 0
        assert p.stderr.read() == b""


@pytest.mark.parametrize("command", [["console", "cards2"], ["console", "cards2", "serial0"],
                                     ["console", f"uuid:{CONSOLE.format(1)}"],
                                     ["console", f"uuid:{CONSOLE.format(1)}", "serial0"]])
def test_with_terminal(command):
    with ssh_open("alice", *command, tty=True) as p:
        p.talk.read_until(rb"virtgate: connected; leave with Ctrl-] or, at the beginning of a line, ~\.\r+\n")
        ask_greeting(p.talk, "cards2")
        # None of them acts on the terminal that is between: raw is raw.
        echo(p.talk, b"\x03\x04\x11\x13\x1a\x1c\x7f\x16\x12")
        p.talk.write(b"a\rb")
        assert p.talk.read_until(b"b") == b"a\r\nb"
        p.talk.write(LEAVE)
        assert p.result().rc == 0


def test_all_bytes():
    """The guest sends them back one by one; '?', 'F' and CR are its own commands, the last three bytes the gate's."""
    every = bytes(set(range(256)) - set(b"?F\r~\x1d\n"))
    with ssh_open("alice", "console", "cards2") as p:
        ask_greeting(p.talk, "cards2")
        for at in range(0, len(every), 16):     # the guest's port holds 16 bytes
            p.talk.write(every[at:at + 16])
            assert p.talk.read(len(every[at:at + 16])) == every[at:at + 16]


def test_records():
    mark = vgtest.log_mark()
    with ssh_open("alice", "console", "cards2", tty=True) as p:
        ask_greeting(p.talk, "cards2")
        echo(p.talk, b"hello")
        p.talk.write(LEAVE)
        assert p.result().rc == 0
    start, = vgtest.records(mark, "start .*right=serial")
    end, = vgtest.records(mark, f"end session={start['session']}")
    same = {"user": "alice", "vm": "cards2", "uuid": CONSOLE.format(1), "right": "serial"}
    assert same.items() <= start.items() and same.items() <= end.items()
    assert start["command"] == "console cards2" and start["result"] == "opened"
    assert int(end["bytes_to_user"]) >= len(greeting("cards2")) + 5 and int(end["bytes_from_user"]) >= 6
    assert end["reason"] == "client ended"


# --- leaving ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("keys", [
    [LEAVE], [b"abc\x1d"], [b"~."], [b"~", b"."], [b"abc\r~."], [b"abc\r", b"~", b"."], [b"abc\n~", b"."],
    [b"x~.\r~x\r~~.\r", b"~", b"."], [b"~~.", b"\r", b"~."],
], ids=repr)
def test_leave(keys):
    with Terminal("alice", "console cards2") as terminal:
        ask_greeting(terminal.talk, "cards2")
        terminal.talk.write(b"\r")
        terminal.talk.read_until(b"\r\n")
        before = terminal.settings()
        assert terminal.is_raw()
        for piece in keys[:-1]:
            terminal.talk.write(piece)
            taken(terminal)
            assert terminal.process.poll() is None
        assert terminal.settings() == before
        terminal.talk.write(keys[-1])
        assert terminal.wait() == 0
        assert terminal.settings() == terminal.before


def taken(terminal):
    """Until virtgate-shell has read what was typed, so that the next write is another read of its."""
    waiting = bytearray(4)
    wait_until(lambda: fcntl.ioctl(terminal.slave, termios.FIONREAD, waiting) == 0 and not any(waiting), what="a read")


@pytest.mark.parametrize("text", [b"a~.", b"~x.", b"~~.", b"~\r.", b"\r~~."], ids=repr)
def test_no_escape(text):
    """What only looks like one is typed to the guest ("~~" is "~")."""
    shown = text.replace(b"~~", b"~").replace(b"\r", b"\r\n")
    with Terminal("alice", "console cards2") as terminal:
        ask_greeting(terminal.talk, "cards2")
        terminal.talk.write(b"\r")
        terminal.talk.read_until(b"\r\n")
        terminal.talk.write(text + b"!")
        assert terminal.talk.read_until(b"!") == shown + b"!"
        assert terminal.process.poll() is None


@pytest.mark.parametrize("keys", [[LEAVE], [b"~."], [b"~", b"."]], ids=repr)
def test_leave_during_flood(keys):
    with ssh_open("alice", "console", "nolisten") as p:
        ask_greeting(p.talk, "nolisten")
        p.talk.write(b"F")
        p.talk.read_until(b"xyz\r\n")
        assert p.hang_up() == 0
    free()
    try:
        # Any byte that the guest got would end its flood.
        with Terminal("alice", "console nolisten") as terminal:
            for piece in keys:
                terminal.talk.read_until(b"xyz\r\n")
                terminal.talk.read(5000)
                terminal.talk.write(piece)
            wait_until(lambda: terminal.unread() is not None and terminal.process.poll() is not None, what="the end")
            assert terminal.process.returncode == 0
            assert terminal.settings() == terminal.before
    finally:
        free()
        with ssh_open("alice", "console", "nolisten") as p:
            ask_greeting(p.talk, "nolisten")
            assert p.hang_up() == 0


# --- the terminal -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_restored_on_signal(number):
    with Terminal("alice", "console cards2") as terminal:
        ask_greeting(terminal.talk, "cards2")
        assert terminal.is_raw()
        terminal.process.send_signal(number)
        terminal.wait()
        assert terminal.settings() == terminal.before


def test_restored_on_destroy():
    with extra_vm("shortlived", ""), vgtest.acl(vgtest.ACL.read_text() + "\n[vm shortlived]\nserial = alice\n"):
        with Terminal("alice", "console shortlived") as terminal:
            ask_greeting(terminal.talk, "shortlived")
            assert terminal.is_raw()
            vgtest.virsh("destroy", "shortlived")
            assert terminal.wait() == 0
            assert terminal.settings() == terminal.before


def test_input_left_over():
    """What a guest's queries made the terminal type is not there for the prompt that comes next: neither what came with the
    escape, nor what nobody had read when the session was cut."""
    typed = b"list\nid\n"
    with Terminal("alice") as terminal:
        terminal.talk.read_until(PROMPT)
        terminal.talk.write(b"console cards2\n")
        ask_greeting(terminal.talk, "cards2")
        terminal.talk.write(LEAVE + typed)
        only_version(terminal)

        terminal.talk.write(b"console cards2\n")
        ask_greeting(terminal.talk, "cards2")
        terminal.process.send_signal(signal.SIGSTOP)
        terminal.talk.write(typed)
        with vgtest.acl("[user alice]\ndisplay = cards2\n"):
            terminal.process.send_signal(signal.SIGCONT)
            only_version(terminal)


def only_version(terminal):
    """A prompt, and nothing that waits to be read as a command."""
    assert terminal.talk.read_until(PROMPT).count(b"virtgate> ") == 1
    terminal.talk.write(b"version\n")
    said = terminal.talk.read_until(PROMPT)
    assert re.fullmatch(rb"version\r\nvirtgate [^\r\n]+\r\nvirtgate> ", said), said


def test_window_size():
    with Terminal("alice", "console cards2") as terminal:
        ask_greeting(terminal.talk, "cards2")
        for n in range(50):
            terminal.resize(n % 7, n * 1000 % 65536)
            echo(terminal.talk, b"%d!" % n)
        before = terminal.settings()
        assert terminal.is_raw() and terminal.process.poll() is None and before == terminal.settings()
        terminal.talk.write(LEAVE)
        assert terminal.wait() == 0
        assert terminal.settings() == terminal.before


def test_stdin_ends():
    """EOF on standard input: over at once, and the console is free."""
    with ssh_open("alice", "console", "cards2") as p:
        ask_greeting(p.talk, "cards2")
        began = time.monotonic()
        assert p.hang_up() == 0
        assert time.monotonic() - began < 2
    with ssh_open("bob", "console", "cards2") as p:
        ask_greeting(p.talk, "cards2")
        assert p.hang_up() == 0


def test_client_killed():
    """The user's ssh dies without a word; the console is free for the next."""
    with ssh_open("alice", "console", "cards2", tty=True) as p:
        ask_greeting(p.talk, "cards2")
        p.kill()
    free()
    with ssh_open("bob", "console", "cards2") as p:
        ask_greeting(p.talk, "cards2")


def test_libvirtd_is_taken_leave_of():
    """What breaks off while the guest talks can stop libvirtd for good (virt_console_end); its log tells which it was."""
    before = len(vgtest.LIBVIRT_LOG.read_bytes())
    try:
        for n in range(5):
            with vgtest.shell("alice", "console cards2", stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as p:
                stream = vgtest.Stream(p.stdout.fileno(), p.stdin.fileno())
                if n == 0:
                    ask_greeting(stream, "cards2")
                    stream.write(b"F")
                stream.read_until(b"xyz\r\n")
                p.kill()
            free()
    finally:
        with ssh_open("alice", "console", "cards2") as p:
            ask_greeting(p.talk, "cards2")
            assert p.hang_up() == 0
    free()
    # The log would tell: it does of one that breaks off here.
    with socket.socket(socket.AF_UNIX) as breaks_off:
        breaks_off.connect(vgtest.LIBVIRT_SOCKET)
    vgtest.wait_until(lambda: b"End of file while reading data" in vgtest.LIBVIRT_LOG.read_bytes()[before:])
    told = vgtest.LIBVIRT_LOG.read_bytes()[before:]
    assert b"Connection reset" not in told and b"Broken pipe" not in told


# --- one user at a time -------------------------------------------------------------------------------------------

def test_in_use(logins):
    mark = vgtest.log_mark()
    with ssh_open("alice", "console", "cards2", tty=True) as alice:
        ask_greeting(alice.talk, "cards2")
        for device in ([], ["serial0"]):
            assert logins("bob").run("console", "cards2", *device) == (75, b"", IN_USE)
        # Nor a second time by the same user.
        assert logins("alice").run("console", "cards2") == (75, b"", IN_USE)
        echo(alice.talk, b"still here")
        assert alice.poll() is None
    refused = vgtest.records(mark, "refused ", 3)
    assert [(line["user"], line["status"], line["reason"]) for line in refused] \
        == [(user, "75", "held by another session") for user in ("bob", "bob", "alice")]


def test_takeover_without_the_right(logins):
    line = b"virtgate: you may not take over the serial console of 'cards2'\n"
    with ssh_open("alice", "console", "cards2", tty=True) as alice:
        ask_greeting(alice.talk, "cards2")
        assert logins("bob").run("console", "--takeover", "cards2") == (77, b"", line)
        echo(alice.talk, b"still here")
    # Nor when nobody holds it.
    free()
    assert logins("bob").run("console", "--takeover", "cards2") == (77, b"", line)
    # The right without serial opens nothing.
    with vgtest.acl("[user bob]\ntakeover = cards2\n"):
        line = b"virtgate: no console for you on 'cards2'\n"
        assert logins("bob").run("console", "--takeover", "cards2") == (77, b"", line)


def test_takeover():
    mark = vgtest.log_mark()
    with Terminal("alice", "console cards2") as alice:
        ask_greeting(alice.talk, "cards2")
        with vgtest.acl(vgtest.ACL.read_text() + "takeover = cards2\n"):    # the last section is bob's
            with ssh_open("bob", "console", "--takeover", "cards2") as bob:
                ask_greeting(bob.talk, "cards2")
                assert alice.wait() == 0
                assert alice.settings() == alice.before
                echo(bob.talk, b"mine")
                assert bob.hang_up() == 0
    end, = vgtest.records(mark, "end .*user=alice")
    assert end["reason"] == "stream ended"


# --- devices ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("device,status,line", [
    *((device, 77, f"'cards2' has no serial console {device}") for device in ("serial1", "console0", "console1", "channel0",
                                                                              "SERIAL0", "serial", "serial00", "ide0-0-0")),
    *((device, 64, f"console: expected a device's alias such as serial0, not '{device}'")
      for device in ("../x", "org.qemu.guest_agent.0", "/dev/ttyS0", "-serial0", "serial0/", ".", "x" * 64)),
], ids=lambda value: str(value)[:25])
def test_device_refused(logins, device, status, line):
    result = logins("alice").run("console", "cards2", device)
    assert (result.rc, result.stdout) == (status, b"")
    assert result.stderr.decode() == f"virtgate: {line}\n" if len(device) < 60 else b"xxx" in result.stderr


def test_several_devices(logins):
    """A second serial port and a virtio console are consoles; the guest agent's channel is not, by any of its names."""
    devices = ("<serial type='pty'><target port='1'/></serial>"
               "<console type='pty'><target type='virtio' port='1'/></console>"
               "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>")
    with extra_vm("manyports", devices), vgtest.acl(vgtest.ACL.read_text() + "\n[vm manyports]\nserial = alice\n"):
        names = {element.tag: element.find("alias").get("name")
                 for element in vgtest.domain_xml("manyports").find("devices") if element.tag in ("console", "channel")}
        assert names["channel"].startswith("channel")
        info = logins("alice").run("info", "manyports").stdout.decode()
        assert [line.split()[1] for line in info.splitlines() if line.startswith("console ")] \
            == ["serial0", "serial1", names["console"]]
        with ssh_open("alice", "console", "manyports", "serial0") as p:
            ask_greeting(p.talk, "manyports")
            for device in ("serial1", names["console"]):
                with logins("alice").open("console", "manyports", device) as other:
                    assert other.hang_up() == 0
            refused = logins("alice").run("console", "manyports", names["channel"])
            assert refused == (77, b"", f"virtgate: 'manyports' has no serial console {names['channel']}\n".encode())


def test_no_console(logins):
    """A VM without any."""
    xml = vgtest.cast("vm_xml", "mute", "", CONSOLE.format(9))
    xml = "\n".join(line for line in xml.splitlines() if "<serial" not in line and "<console" not in line)
    path = pathlib.Path("/tmp/mute.xml")
    path.write_text(re.sub(r"<disk.*</disk>", "", xml, flags=re.S))
    vgtest.virsh("create", path)
    try:
        with vgtest.acl(vgtest.ACL.read_text() + "\n[vm mute]\nserial = alice\n"):
            assert logins("alice").run("console", "mute") == (77, b"", b"virtgate: 'mute' has no serial console\n")
    finally:
        vgtest.remove_domain("mute")
        path.unlink()


# --- floods -------------------------------------------------------------------------------------------------------

def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def test_flood_that_nobody_reads():
    """The guest's output waits at libvirtd, not in our processes, and the console works on. Without ssh: the megabytes that
    it takes before it stops would hide what we take."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with vgtest.shell("alice", "console cards2", stdin=subprocess.PIPE, stdout=writer, bufsize=0) as p:
        os.close(writer)
        stream = vgtest.Stream(reader, p.stdin.fileno(), 60)
        try:
            ask_greeting(stream, "cards2")
            stream.write(b"F")
            stream.read_until(b"xyz\r\n")
            samples = []
            end = time.monotonic() + 6
            while time.monotonic() < end:       # the time is what is tested: that many seconds' worth of flood
                samples.append(max(memory(pid) for name in ("virtgate-session", "virtgate-shell", "virtgated")
                                   for pid in vgtest.processes(name)))
                time.sleep(0.05)
            assert max(samples) < 64 * 1024
            assert samples[-1] - samples[len(samples) // 3] < 256       # it stands still; the flood is 100 KB a second
            stream.write(b"\0and on")
            rest = stream.read_until(b"and on")
            lines = rest.split(b"\r\n")
            assert set(lines[:-2]) == {b"abcdefghijklmnopqrstuvwxyz"}     # nothing is lost
            assert 50000 < len(rest) < 500000                           # what was held
            p.stdin.close()
            assert p.wait(timeout=20) == 0
        finally:
            p.kill()
            os.close(reader)
