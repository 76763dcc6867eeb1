# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgate probe: every door of the gate is closed; every door of an open sshd is found open; one door opened is one line."""
import contextlib
import fnmatch
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

import client
import pam_sshd
import sshd_config as conf
import vgtest
from client import ALICE

SECRET, CARDS2 = (f"c0ffee00-0000-4000-8000-00000000000{n}" for n in (2, 1))
SECRET_PORT = "5904"
OK, UNAVAILABLE, CONFIG, USAGE, NOPERM, ANOTHER_KEY = 0, 69, 78, 64, 77, 76
EVERYTHING_OF_SECRET = ["--other", "secret", "--other-uuid", SECRET, "--other-port", SECRET_PORT, "--other-runs"]
# Quick ones; the rest of the doors have to do with commands and machines.
PROTOCOL = "!(exec.*|rpc.*|other.*|size.*|pty.*|expect)"


WHY = client.missing("ssh") or pam_sshd.missing() or conf.missing()
pytestmark = pytest.mark.skipif(WHY is not None, reason=str(WHY))


# --- running it ---------------------------------------------------------------------------------------------------

class Probed:
    def __init__(self, done):
        self.rc, self.stderr = done.rc, done.stderr
        self.said = json.loads(done.stdout) if done.stdout.startswith(b"{") else None
        self.doors = {door["id"]: door for door in self.said["doors"]} if self.said else {}
        assert not self.said or len(self.doors) == len(self.said["doors"]), "two doors of one name"

    def are(self, verdict):
        return {name for name, door in self.doors.items() if door["verdict"] == verdict}

    def seen(self, *verdicts):
        """For an assertion that fails."""
        return [f'{door["verdict"]} {door["id"]}: {door["seen"]}' for door in self.doors.values() if door["verdict"] in verdicts]


def probe(user, *options, port=22, folder=None, timeout=280, **more):
    words = ["probe", "--as-json", "--rate", "20", "--timeout", "30", *options]
    if port != 22:
        home = client.Home(folder)
        home.knows(port)
        words += ["-F", home.config]
    return Probed(client.run(*words, f"{user}@{vgtest.HOST}:{port}", timeout=timeout, **more))


@contextlib.contextmanager
def changed_sshd(folder, *changes):
    """A sshd that permits everything but to the gate's members, with these lines of the drop-in changed: ("Keyword value")."""
    text = (conf.DROPINS / conf.OURS).read_text()
    for change in changes:
        text, found = re.subn(rf"(?m)^(\s*){change.split()[0]} .*$", rf"\g<1>{change}", text)
        assert found == 1, change
    drop_in = folder / conf.OURS
    drop_in.write_text(text)
    with pam_sshd.server(f"Include {drop_in}\nX11Forwarding yes\n", program=conf.SSHD) as port:
        yield port


# --- the gate -----------------------------------------------------------------------------------------------------

def test_every_door_of_the_gate_is_closed():
    mark = vgtest.log_mark()
    probed = probe("alice", *EVERYTHING_OF_SECRET, "--other-path", "/run/libvirt/qemu/secret.sock", "--expect", "cards2")
    assert probed.rc == OK, probed.seen("OPEN", "unknown", "FAILS") or probed.stderr
    assert probed.said["ok"] and probed.are("works") == {"expect"}
    assert "RFB 003" in probed.doors["expect"]["seen"]
    assert probed.are("closed") == set(probed.doors) - {"expect"}
    assert len(probed.doors) > 380 and len([name for name in probed.doors if name.startswith("exec.")]) > 100
    # It left nothing open, and opened nothing but what was asked for.
    vgtest.wait_until(lambda: not vgtest.open_sessions(), what="the end of the sessions")
    opened = {line["vm"] for line in map(vgtest.fields, vgtest.settled_log(mark, r" virtgated\[\d+\]: start ")) if "vm" in line}
    assert opened <= {"cards2"}, opened


def test_lines_for_a_person():
    done = client.run("probe", "--only", "@(tcp.v4|global.*|exec.id)", ALICE)
    lines = done.stdout.decode().splitlines()
    assert (done.rc, done.stderr) == (OK, b""), done
    assert [line.split()[:2] for line in lines[:-1]] == [["closed", name] for name in ("tcp.v4", "global.unknown", "exec.id")]
    assert "administratively prohibited" in lines[0] and "unknown command 'id'" in lines[2] and lines[3] == "3 closed"


def test_permissive_for_everybody_else(place):
    """The drop-in stands before a configuration that permits all."""
    with changed_sshd(place) as port:
        probed = probe("alice", "--only", PROTOCOL, port=port, folder=place)
    # Who the other machine is was not told.
    assert probed.rc == UNAVAILABLE and probed.are("OPEN") == set(), probed.seen("OPEN")
    assert probed.are("unknown") == {"tcp.other-machine", "tcp.other-machine-v6", "socket.display", "socket.other-machine"}
    assert all("not tried" in probed.doors[name]["seen"] for name in probed.are("unknown"))


# --- an open sshd: each probe can fail ----------------------------------------------------------------------------

# Not even an open sshd opens these, as they say by themselves.
NEVER = ["tcp.port-65558", "tcp.port-minus-1", "tcp.nul", "socket.abstract", "socket.nul", "listen.port-65558",
         "x11.xauth-command", "x11.odd-cookie", "agent.rfc", "env.nul", "subsystem.none", "subsystem.path", "subsystem.program",
         "subsystem.internal", "subsystem.newline", "subsystem.long", "again.exec", "again.shell", "again.pty", "again.env",
         "again.subsystem", "again.x11", "again.agent", "channel.*", "request.unknown", "request.none", "request.case",
         "request.suffix", "request.exit-status", "request.signal-early", "global.unknown", "size.131059", "size.200000",
         "size.packet", "nul.exec-first", "nul.exec-within", "nul.subsystem"]
# Nor these in a sandbox without systemd, Docker and, with it, IPv6; and they are not streams, or not for this account.
NOT_HERE = ["socket.virtqemud*", "socket.libvirt*", "socket.virtlogd", "socket.systemd", "socket.journal", "socket.docker",
            "socket.broker", "socket.display", "socket.at-sign", "listen.socket-run", "listen.v6*"]


@pytest.fixture
def open_sshd():
    """Everything is permitted, carol is an ordinary account that may use libvirt, and there is a subsystem more."""
    subprocess.run(["gpasswd", "-a", "carol", "libvirt"], check=True, capture_output=True)
    with pam_sshd.server("X11Forwarding yes\nSubsystem netconf /bin/cat\n", program=conf.SSHD) as port:
        yield port
    subprocess.run(["gpasswd", "-d", "carol", "libvirt"], check=True, capture_output=True)
    for left in pathlib.Path("/tmp").glob("virtgate-probe-*"):
        left.unlink()


def test_every_door_of_an_open_sshd_is_open(open_sshd, place):
    before = vgtest.virsh("list", "--all"), vgtest.virsh("domid", "secret")
    # Any socket that is everybody's stands for a display's.
    probed = probe("carol", "--against-open-sshd", *EVERYTHING_OF_SECRET, "--other-path", "/run/dbus/system_bus_socket",
                   port=open_sshd, folder=place)
    assert probed.rc == OK, probed.seen("closed", "unknown", "FAILS") or probed.stderr
    not_applicable = probed.are("n/a")
    assert not [name for name in not_applicable if not any(fnmatch.fnmatch(name, pattern) for pattern in NEVER + NOT_HERE)]
    assert probed.are("OPEN") == set(probed.doors) - not_applicable
    libvirt = "socket.virtqemud" if vgtest.LIBVIRTD == "virtqemud" else "socket.libvirt"
    assert {"socket.dbus", "socket.dots", libvirt, "tun.ethernet", "agent.openssh", "x11", "subsystem.sftp",
            "listen.socket", "shell.keys", "again.session", "rpc.destroy", "rpc.monitor-command",
            "nul.exec-last"} <= probed.are("OPEN")
    # The machine whose destruction it asked for runs as before.
    assert (vgtest.virsh("list", "--all"), vgtest.virsh("domid", "secret")) == before


def test_an_open_host_is_no_gate(open_sshd, place):
    """Without --against-open-sshd the same is the opposite."""
    probed = probe("carol", "--only", "@(tcp.v4|exec.id|channel.none)", port=open_sshd, folder=place)
    assert (probed.rc, probed.are("OPEN"), probed.are("closed")) == (CONFIG, {"tcp.v4", "exec.id"}, {"channel.none"})


def test_the_gate_is_no_open_host():
    probed = probe("alice", "--against-open-sshd", "--only", "@(tcp.v4|exec.id|channel.none)")
    assert (probed.rc, probed.are("closed"), probed.are("n/a")) == (CONFIG, {"tcp.v4", "exec.id"}, {"channel.none"})


@pytest.fixture
def yes_sshd(place):
    """A host that grants whatever is asked for (yes_sshd.c)."""
    program = pam_sshd.compile_c(pathlib.Path(__file__).with_name("yes_sshd.c"), place / "yes_sshd", "-lssh")
    with socket.socket() as free:
        free.bind((vgtest.HOST, 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([program, str(port), "/etc/ssh/ssh_host_ed25519_key"], start_new_session=True)
    try:
        vgtest.wait_until(lambda: pam_sshd.reachable(port), what="yes_sshd")
        yield port
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


# What libssh's own server does not let through to be granted.
NOT_EVEN_LIBSSH = {"size.*", "again.agent", "request.exit-status", "request.signal-early", "global.unknown"}


def test_what_no_sshd_opens_can_be_seen_open(yes_sshd, place):
    """The doors that an open sshd leaves closed."""
    names = [name for name in NEVER + ["socket.*"] if not any(fnmatch.fnmatch(name, no) for no in NOT_EVEN_LIBSSH)]
    probed = probe("alice", "--only", f"@({'|'.join(names)})", "--other-uuid", SECRET, "--other-path", "/x", port=yes_sshd,
                   folder=place)
    assert probed.rc == CONFIG and len(probed.doors) > 50
    assert probed.are("OPEN") == set(probed.doors), probed.seen("closed", "unknown") or probed.stderr


# --- one door -----------------------------------------------------------------------------------------------------

FORWARDING = "DisableForwarding no"
ONE_DOOR = {
    "tcp": ([FORWARDING, "AllowTcpForwarding local", "PermitOpen any"], "tcp.*"),
    "listen": ([FORWARDING, "AllowTcpForwarding remote", "PermitListen any"], "listen.*"),
    # sshd asks for permission to connect to ports before it connects to a socket, and likewise for listening.
    "socket": ([FORWARDING, "AllowStreamLocalForwarding local", "AllowTcpForwarding local", "PermitOpen any"],
               "tcp.*", "socket.*"),
    "listen-socket": ([FORWARDING, "AllowStreamLocalForwarding remote", "AllowTcpForwarding remote", "PermitListen any"],
                      "listen.*"),
    "agent": ([FORWARDING, "AllowAgentForwarding yes"], "agent.*"),
    "x11": ([FORWARDING, "X11Forwarding yes"], "x11*"),
    "tun": ([FORWARDING, "PermitTunnel yes"], "tun.*"),
    "env": (["AcceptEnv LANG"], "env.lang"),
    "sessions": (["MaxSessions 20"], "again.session"),
}
# Those that must be among them; the others of the family may not be there to be opened.
SURELY = {"tcp": {"tcp.v4", "tcp.name", "tcp.port-1", "tcp.vnc-last"},
          "listen": {"listen.any-port", "listen.name", "listen.everywhere"},
          "socket": {"socket.dbus"}, "listen-socket": {"listen.socket", "listen.socket-dots"}, "agent": {"agent.openssh"},
          "x11": {"x11", "x11.single"}, "tun": {"tun.point-to-point", "tun.ethernet"},
          "env": {"env.lang"}, "sessions": {"again.session"}}


@pytest.mark.parametrize("name", ONE_DOOR)
def test_one_door(place, name):
    changes, *patterns = ONE_DOOR[name]
    # A port at which nobody listens: that sshd has tried is enough.
    with changed_sshd(place, *changes) as port:
        probed = probe("alice", "--only", PROTOCOL, "--other-port", "1", "--other-path", "/nonexistent", "--other-uuid", SECRET,
                       port=port, folder=place)
    opened = probed.are("OPEN")
    assert probed.rc == CONFIG and SURELY[name] <= opened, probed.seen("OPEN", "unknown")
    assert not [door for door in opened if not any(fnmatch.fnmatch(door, pattern) for pattern in patterns)], opened
    assert probed.are("closed") == set(probed.doors) - opened, probed.seen("unknown")
    for left in pathlib.Path("/tmp").glob("virtgate-probe-*"):
        left.unlink()


def test_shell(place):
    """The forced command gone, and the login shell a shell."""
    with pam_sshd.login_shell("alice", "/bin/bash"), changed_sshd(place, "ForceCommand none") as port:
        probed = probe("alice", "--only", "@(shell*|exec.id|exec.virsh|size.4096|nul.exec-last|pty.plain|subsystem.*|tcp.*|x11)",
                       "--other-port", "1", port=port, folder=place)
    opened = {"shell", "shell.tty", "shell.keys", "shell.empty", "shell.empty-tty", "exec.id", "exec.virsh", "size.4096",
              "nul.exec-last", "pty.plain", "subsystem.sftp"}
    assert (probed.rc, probed.are("OPEN")) == (CONFIG, opened), probed.seen("OPEN", "unknown")


def test_machine_that_is_the_users():
    """What would be another's is alice's own: each of these doors opens, and closes behind it."""
    port = vgtest.domain_xml("cards2").find("devices/graphics").get("port")
    probed = probe("alice", "--only", "@(rpc.*|other.*)", "--other", "cards2", "--other-uuid", CARDS2, "--other-port", port,
                   "--other-runs", "--other-path", "/nonexistent")
    assert probed.rc == CONFIG
    assert {"rpc.lookup-by-name", "rpc.lookup-by-uuid", "rpc.list-all-domains", "rpc.get-xml", "rpc.get-info", "rpc.screenshot",
            "rpc.send-key", "rpc.start", "other.list", "other.list-json", "other.info", "other.info-uuid", "other.display",
            "other.display-uuid", "other.console", "other.console-uuid", "other.port", "other.port-stock",
            "other.path-gate"} <= probed.are("OPEN"), probed.seen("closed", "unknown")
    assert "RFB" in probed.doors["other.display"]["seen"] and "RFB" in probed.doors["other.port"]["seen"]
    # What nobody may call, and what was not the machine's.
    assert {"rpc.undefine", "rpc.monitor-command", "rpc.rename", "other.console-takeover", "other.path"} <= probed.are("closed")
    assert probed.are("unknown") == set(), probed.seen("unknown")
    vgtest.wait_until(lambda: not vgtest.open_sessions(), what="the end of the sessions")


def test_spice():
    """Says nothing before it is spoken to."""
    probed = probe("alice", "--only", "other.display", "--other", "spicevm")
    assert (probed.rc, probed.are("OPEN")) == (CONFIG, {"other.display"}) and "REDQ" in probed.doors["other.display"]["seen"]


def test_second_lock_alone(place):
    """A sshd that permits everything, its users being confined by PAM: sshd would, and its process may not. Why there is no
    tun device cannot be told from outside; with one that root made for alice there would be."""
    with pam_sshd.pam(pam_sshd.stack()), pam_sshd.server("X11Forwarding yes\n") as port:
        probed = probe("alice", "--only", "@(tcp.*|socket.*|listen.*|tun.*|shell|exec.id)", "--other-port", SECRET_PORT,
                       "--other-path", "/run/dbus/system_bus_socket", "--other-uuid", SECRET, port=port, folder=place)
    tun = {"tun.point-to-point", "tun.ethernet"}
    assert (probed.are("OPEN"), probed.are("closed")) == (tun, set(probed.doors) - tun), probed.seen("OPEN", "unknown")
    assert "its process may not" in probed.doors["tcp.v4"]["seen"]


# --- what it cannot tell ------------------------------------------------------------------------------------------

def test_expected_console_that_is_not_granted():
    probed = probe("alice", "--only", "expect", "--expect", "secret")
    assert (probed.rc, probed.are("FAILS")) == (CONFIG, {"expect"})
    assert "no console for you" in probed.doors["expect"]["seen"]


def test_expected_console_without_a_display():
    probed = probe("bob", "--only", "expect", "--expect", "cards2")
    assert (probed.rc, probed.are("works")) == (OK, {"expect"}), probed.seen("FAILS")


def test_not_told_is_not_closed():
    probed = probe("alice", "--only", "@(other.display|rpc.get-info|rpc.start|other.path)", "--other", "secret",
                   "--other-uuid", SECRET)
    assert probed.rc == UNAVAILABLE
    assert probed.are("closed") == {"other.display", "rpc.get-info"} and probed.are("unknown") == {"rpc.start", "other.path"}


RAW = {"tcp.nul", "agent.openssh", "channel.none", "tun.ethernet", "nul.exec-last"}


def test_without_ssh_what_libssh_cannot_send_is_unknown(place):
    """And what it can is tried all the same."""
    probed = probe("alice", "--only", f"@(tcp.v4|{'|'.join(RAW)})", program=shutil.which("virtgate"), env={"PATH": str(place)})
    assert (probed.rc, probed.are("closed"), probed.are("unknown")) == (UNAVAILABLE, {"tcp.v4"}, RAW)
    assert all("libssh cannot send it" in probed.doors[name]["seen"] for name in RAW)


def test_ssh_and_libssh_log_in_by_the_same_key_and_configuration(place):
    """Both by a key that is in no usual place, and by a name that only this configuration knows."""
    home = client.Home(place)
    key = home.key("key")
    home.knows(22)
    home.settings(f"Host gate\nHostName {vgtest.HOST}\nUser bob\nIdentitiesOnly yes\nIdentityFile /nonexistent\n")
    doors = ["probe", "--as-json", "--only", f"@(tcp.v4|{'|'.join(RAW)})", "-F", home.config, "gate"]
    without = client.run(*doors)
    with client.authorized("bob", key):
        probed = Probed(client.run(*doors, "--identity", key))
    assert (without.rc, without.stdout) == (NOPERM, b"") and b"permission denied" in without.stderr, without
    assert (probed.rc, probed.are("closed")) == (OK, RAW | {"tcp.v4"}), probed.seen("unknown", "OPEN") or probed.stderr


def test_another_program_in_the_place_of_ssh(place):
    """It passes on what libssh cannot send, and is asked for nothing else."""
    script = place / "other-ssh"
    script.write_text(f'#!/bin/sh\necho "$@" >> {place}/asked\nexec ssh "$@"\n')
    script.chmod(0o755)
    probed = probe("alice", "--only", "@(tcp.v4|channel.none)", "--ssh", f"{script} -oServerAliveInterval=7")
    assert (probed.rc, probed.are("closed")) == (OK, {"tcp.v4", "channel.none"}), probed.seen("unknown")
    asked = (place / "asked").read_text().splitlines()
    assert len(asked) == 1, asked
    assert asked[0].startswith("-oServerAliveInterval=7 ") and asked[0].endswith(f"-l alice -p 22 -- {vgtest.HOST}")


@pytest.mark.parametrize("words", [[], ["a", "b"], ["-x", "a"], ["a:0"], ["--other-port", "x", "a"], ["--timeout", "0", "a"],
                                   ["--rate", "101", "a"], ["-oProxyCommand=id"], ["--", "-a"], ["--json", "a"]])
def test_usage(words):
    done = client.run("probe", *words)
    assert (done.rc, done.stdout) == (USAGE, b"") and done.stderr.startswith(b"virtgate: "), done


def test_no_login_is_no_verdict(place):
    """An account that does not know this key."""
    with contextlib.ExitStack() as undo:
        keys = pathlib.Path("/home/mallory/.ssh/authorized_keys")
        undo.callback(keys.rename(keys.with_suffix(".away")).rename, keys)
        done = client.run("probe", f"mallory@{vgtest.HOST}")
    assert (done.rc, done.stdout) == (NOPERM, b"") and b"permission denied" in done.stderr, done


def test_another_hosts_key(place):
    """What another host answers says nothing of this one."""
    home = client.Home(place)
    home.knows(22, home.key("key").with_suffix(".pub").read_text())
    for words in (b"THE HOST'S KEY IS NOT THE ONE IT HAD", b"not known"):
        done = client.run("probe", "-F", home.config, ALICE)
        assert (done.rc, done.stdout) == (ANOTHER_KEY, b"") and words in done.stderr, done
        home.known_hosts.write_text("")


def test_time_is_bounded():
    probed = probe("alice", "--max-time", "1")
    assert probed.rc == UNAVAILABLE and "the time is up" in probed.doors["exec.bom"]["seen"]


def left_behind():
    return set(pathlib.Path("/tmp").glob("virtgate-probe-*")), set(vgtest.processes("ssh"))


def test_it_leaves_no_process_and_no_folder():
    before = left_behind()
    assert probe("alice", "--only", "@(channel.none|nul.exec-first|tun.ethernet)").rc == OK
    assert left_behind() == before


def test_interrupted():
    before = left_behind()
    with vgtest.Opened(["virtgate", "probe", "--only", "@(channel.none|exec.*)", ALICE]) as running:
        assert b"channel.none" in running.stdout.readline()
        running.terminate()
        done = running.result()
    assert done.rc == UNAVAILABLE and b"not tried: interrupted" in done.stdout
    assert left_behind() == before
