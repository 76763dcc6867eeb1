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
import tempfile

import pytest

import client
import pam_sshd
import sshd_config as conf
import vgtest
import yes_host
from client import ALICE

SECRET, CARDS2 = (f"c0ffee00-0000-4000-8000-00000000000{n}" for n in (2, 1))
SECRET_PORT = "5904"
# What it found; and, of sysexits.h, why it could not look.
CLOSED, OPEN, UNKNOWN, FAILS = 0, 1, 2, 3
USAGE, UNAVAILABLE, ANOTHER_KEY, NOPERM, CONFIG = 64, 69, 76, 77, 78
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
def changed_sshd(folder, *changes, first=""):
    """A sshd that permits everything but to the gate's members, with these lines of the drop-in changed: ("Keyword value")."""
    text = (conf.DROPINS / conf.OURS).read_text()
    for change in changes:
        text, found = re.subn(rf"(?m)^(\s*){change.split()[0]} .*$", rf"\g<1>{change}", text)
        assert found == 1, change
    drop_in = folder / conf.OURS
    drop_in.write_text(text)
    with pam_sshd.server(f"{first}Include {drop_in}\nX11Forwarding yes\n", program=conf.SSHD) as port:
        yield port


# --- the gate -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module", autouse=True)
def no_libvirtd_of_users():
    """virsh starts one for an ordinary account, where that is let in. It stays for two minutes."""
    yield
    for pid in vgtest.processes("libvirtd") + vgtest.processes("virtqemud"):
        if os.stat(f"/proc/{pid}").st_uid != 0:
            os.kill(pid, signal.SIGKILL)
    vgtest.process(vgtest.LIBVIRTD)


@pytest.fixture(scope="module")
def gate():
    """All of it, at the gate; and the machines whose sessions began meanwhile."""
    mark = vgtest.log_mark()
    probed = probe("alice", *EVERYTHING_OF_SECRET, "--other-path", "/run/libvirt/qemu/secret.sock", "--expect", "cards2")
    vgtest.wait_until(lambda: not vgtest.open_sessions(), what="the end of the sessions")
    started = map(vgtest.fields, vgtest.settled_log(mark, r" virtgated\[\d+\]: start "))
    return probed, {line["vm"] for line in started if "vm" in line}


def test_every_door_of_the_gate_is_closed(gate):
    probed, opened = gate
    assert probed.rc == CLOSED, probed.seen("OPEN", "unknown", "FAILS") or probed.stderr
    assert probed.said["ok"] and probed.are("works") == {"expect"}
    assert "RFB 003" in probed.doors["expect"]["seen"]
    assert probed.are("closed") == set(probed.doors) - {"expect"}
    assert len(probed.doors) > 540 and len([name for name in probed.doors if name.startswith("exec.")]) > 100
    # It opened nothing but what was asked for.
    assert opened <= {"cards2"}, opened


def test_user_without_a_grant():
    probed = probe("mallory", *EVERYTHING_OF_SECRET, "--other-path", "/run/libvirt/qemu/secret.sock")
    assert (probed.rc, probed.are("closed")) == (CLOSED, set(probed.doors)), probed.seen("OPEN", "unknown") or probed.stderr


@pytest.mark.parametrize("sessions", [1, 10])
def test_sessions_that_share_a_login(place, sessions):
    """How many there may be is no door: each is the gate."""
    with changed_sshd(place, f"MaxSessions {sessions}") as port:
        probed = probe("alice", "--only", PROTOCOL, "--other-port", "1", "--other-path", "/nonexistent", "--other-uuid", SECRET,
                       port=port, folder=place)
    assert (probed.rc, probed.are("closed")) == (CLOSED, set(probed.doors)), probed.seen("OPEN", "unknown")
    said = "unknown command 'id'" if sessions > 1 else "open failed"
    assert said in probed.doors["again.session"]["seen"]


def test_sshd_that_counts_logins(place):
    """It is never one of many that have not logged in yet, and never one that gave up."""
    strict = "MaxStartups 3:100:3\n" + ("PerSourcePenalties yes\n" if "PerSourcePenalties" in pam_sshd.OPEN else "")
    with changed_sshd(place, first=strict) as port:
        probed = probe("alice", "--rate", "5", "--only", "@(again.*|tun.*|channel.*|exec.[a-e]*)", port=port, folder=place)
    assert (probed.rc, probed.are("closed")) == (CLOSED, set(probed.doors)), probed.seen("OPEN", "unknown")


def test_lines_for_a_person():
    done = client.run("probe", "--only", "@(tcp.v4|global.*|exec.id)", ALICE)
    lines = done.stdout.decode().splitlines()
    assert (done.rc, done.stderr) == (CLOSED, b""), done
    assert [line.split()[:2] for line in lines[:-1]] == [["closed", name] for name in ("tcp.v4", "global.unknown", "exec.id")]
    assert "administratively prohibited" in lines[0] and "unknown command 'id'" in lines[2] and lines[3] == "3 closed"


def test_permissive_for_everybody_else(place):
    """The drop-in stands before a configuration that permits all."""
    with changed_sshd(place) as port:
        probed = probe("alice", "--only", PROTOCOL, port=port, folder=place)
    # Who the other machine is was not told.
    assert probed.rc == UNKNOWN and probed.are("OPEN") == set(), probed.seen("OPEN")
    assert probed.are("unknown") == {"tcp.other-machine", "tcp.other-machine-v6", "socket.display", "socket.other-machine"}
    assert all("not tried" in probed.doors[name]["seen"] for name in probed.are("unknown"))


# --- an open sshd: each probe can fail ----------------------------------------------------------------------------

# Not even an open sshd opens these, as they say by themselves.
NEVER = ["tcp.port-65558", "tcp.port-minus-1", "tcp.nul", "socket.abstract", "socket.nul", "listen.port-65558",
         "x11.xauth-command", "x11.odd-cookie", "agent.rfc", "env.nul", "tun.both", "pty.modes-cut", "pty.term-nul",
         "subsystem.none", "subsystem.path", "subsystem.program", "subsystem.internal", "subsystem.newline", "subsystem.long",
         "again.exec*", "again.shell", "again.pty", "again.env", "again.subsystem", "again.x11", "again.agent", "channel.*",
         "request.unknown", "request.none", "request.case", "request.suffix", "request.long", "request.exit-status",
         "request.signal-early", "request.signal-info", "request.break-early", "global.unknown", "size.131059", "size.200000",
         "size.packet", "nul.exec-first", "nul.exec-within", "nul.subsystem"]
# Nor these in a sandbox without systemd, Docker and, with it, IPv6; and they are not streams, or not for this account.
NOT_HERE = ["socket.virt*", "socket.libvirt*", "socket.systemd", "socket.journal", "socket.docker", "socket.broker*",
            "socket.display", "socket.at-sign", "listen.socket-run", "listen.v6*", "tcp.v6-*"]


@pytest.fixture(scope="module")
def open_sshd():
    """Everything is permitted, carol is an ordinary account that may use libvirt, and there is a subsystem more."""
    subprocess.run(["gpasswd", "-a", "carol", "libvirt"], check=True, capture_output=True)
    with pam_sshd.server("X11Forwarding yes\nSubsystem netconf /bin/cat\n", program=conf.SSHD) as port:
        yield port
    subprocess.run(["gpasswd", "-d", "carol", "libvirt"], check=True, capture_output=True)
    for left in pathlib.Path("/tmp").glob("virtgate-probe-*"):
        left.unlink()


def state_of(vm):
    return vgtest.virsh("list", "--all"), *(vgtest.virsh(what, vm) for what in ("domid", "domstate", "dumpxml"))


@pytest.fixture(scope="module")
def opened(open_sshd, tmp_path_factory):
    """All of it, at the open one; and the other machine's state before and after."""
    before = state_of("secret")
    # Any socket that is everybody's stands for a display's.
    probed = probe("carol", "--against-open-sshd", *EVERYTHING_OF_SECRET, "--other-path", "/run/dbus/system_bus_socket",
                   port=open_sshd, folder=tmp_path_factory.mktemp("open"))
    return probed, before, state_of("secret")


@pytest.fixture(scope="module")
def granted(tmp_path_factory):
    """All of it, at a host that says yes to everything."""
    with yes_host.host() as port:
        return probe("alice", *EVERYTHING_OF_SECRET, "--other-path", "/x", port=port, folder=tmp_path_factory.mktemp("yes"))


def test_every_door_of_an_open_sshd_is_open(opened):
    probed, before, after = opened
    assert probed.rc == CLOSED, probed.seen("closed", "unknown", "FAILS") or probed.stderr
    not_applicable = probed.are("n/a")
    assert not {name for name in not_applicable if not any(fnmatch.fnmatch(name, pattern) for pattern in NEVER + NOT_HERE)}
    assert probed.are("OPEN") == set(probed.doors) - not_applicable
    libvirt = "socket.virtqemud" if vgtest.LIBVIRTD == "virtqemud" else "socket.libvirt"
    assert {"socket.dbus", "socket.dots", libvirt, "tun.ethernet", "agent.openssh", "x11", "subsystem.sftp",
            "listen.socket", "shell.keys", "again.session", "rpc.destroy", "rpc.monitor-command",
            "nul.exec-last"} <= probed.are("OPEN")
    # The machine whose destruction it asked for runs as before.
    assert after == before


def test_what_no_sshd_opens_can_be_seen_open(granted):
    """The doors that an open sshd leaves closed."""
    assert granted.rc == OPEN
    doors = {name for name in granted.doors if any(fnmatch.fnmatch(name, pattern) for pattern in NEVER + NOT_HERE)}
    assert len(doors) > 60 and doors <= granted.are("OPEN"), granted.seen("closed", "unknown") or granted.stderr


def test_no_door_is_without_both_proofs(gate, opened, granted):
    """Each was seen closed at the gate, and open where something real was open."""
    assert set(opened[0].doors) == set(granted.doors) == set(gate[0].doors) - {"expect"}
    assert gate[0].are("closed") == opened[0].are("OPEN") | granted.are("OPEN")


def test_ordinary_account(open_sshd, place):
    """Whoever names one that is not under the gate is told so, door for door."""
    home = client.Home(place)
    home.knows(open_sshd)
    done = client.run("probe", "--rate", "20", "--timeout", "30", "-F", home.config, "--only", "!(rpc.*|size.*)",
                      f"carol@{vgtest.HOST}:{open_sshd}", timeout=280)
    lines = done.stdout.decode().splitlines()
    assert (done.rc, done.stderr) == (OPEN, b"")
    found = {line.split()[1]: line.split()[0] for line in lines[:-1]}
    assert {name for name in found if fnmatch.fnmatch(name, "exec.*")} <= {name for name in found if found[name] == "OPEN"}
    assert {"tcp.v4": "OPEN", "shell": "OPEN", "channel.none": "closed", "other.display": "unknown"}.items() <= found.items()
    assert re.fullmatch(r"\d+ closed, \d{3} OPEN, \d+ unknown", lines[-1])


def test_account_that_nobody_may_use(open_sshd, place):
    """It says a word, and that is not the gate's."""
    with pam_sshd.login_shell("carol", "/usr/sbin/nologin"):
        probed = probe("carol", "--only", "@(exec.id|shell)", port=open_sshd, folder=place)
    assert (probed.rc, probed.are("OPEN"), probed.are("unknown")) == (OPEN, {"exec.id"}, {"shell"}), probed.said


def test_the_gate_is_no_open_host():
    probed = probe("alice", "--against-open-sshd", "--only", "@(tcp.v4|exec.id|channel.none)")
    assert (probed.rc, probed.are("closed"), probed.are("n/a")) == (OPEN, {"tcp.v4", "exec.id"}, {"channel.none"})


# --- one door -----------------------------------------------------------------------------------------------------

FORWARDING = "DisableForwarding no"
ONE_DOOR = {
    "tcp": ([FORWARDING, "AllowTcpForwarding local", "PermitOpen any"], "tcp.*", "again.tcp"),
    "listen": ([FORWARDING, "AllowTcpForwarding remote", "PermitListen any"], "listen.*"),
    # sshd asks for permission to connect to ports before it connects to a socket, and likewise for listening.
    "socket": ([FORWARDING, "AllowStreamLocalForwarding local", "AllowTcpForwarding local", "PermitOpen any"],
               "tcp.*", "socket.*", "again.tcp"),
    "listen-socket": ([FORWARDING, "AllowStreamLocalForwarding remote", "AllowTcpForwarding remote", "PermitListen any"],
                      "listen.*"),
    "agent": ([FORWARDING, "AllowAgentForwarding yes"], "agent.*"),
    "x11": ([FORWARDING, "X11Forwarding yes"], "x11*"),
    "tun": ([FORWARDING, "PermitTunnel yes"], "tun.*"),
    "env": (["AcceptEnv LANG"], "env.lang"),
}
# Those that must be among them; the others of the family may not be there to be opened.
SURELY = {"tcp": {"tcp.v4", "tcp.name", "tcp.port-1", "tcp.vnc-last", "again.tcp"},
          "listen": {"listen.any-port", "listen.name", "listen.everywhere"},
          "socket": {"socket.dbus"}, "listen-socket": {"listen.socket", "listen.socket-dots"}, "agent": {"agent.openssh"},
          "x11": {"x11", "x11.single"}, "tun": {"tun.point-to-point", "tun.ethernet"},
          "env": {"env.lang"}}


@pytest.mark.parametrize("name", ONE_DOOR)
def test_one_door(place, name):
    changes, *patterns = ONE_DOOR[name]
    # A port at which nobody listens: that sshd has tried is enough.
    with changed_sshd(place, *changes) as port:
        probed = probe("alice", "--only", PROTOCOL, "--other-port", "1", "--other-path", "/nonexistent", "--other-uuid", SECRET,
                       port=port, folder=place)
    opened = probed.are("OPEN")
    assert probed.rc == OPEN and SURELY[name] <= opened, probed.seen("OPEN", "unknown")
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
    assert (probed.rc, probed.are("OPEN")) == (OPEN, opened), probed.seen("OPEN", "unknown")


def test_machine_that_is_the_users():
    """What would be another's is alice's own: each of these doors opens, and closes behind it."""
    port = vgtest.domain_xml("cards2").find("devices/graphics").get("port")
    probed = probe("alice", "--only", "@(rpc.*|other.*)", "--other", "cards2", "--other-uuid", CARDS2, "--other-port", port,
                   "--other-runs", "--other-path", "/nonexistent")
    assert probed.rc == OPEN
    assert {"rpc.lookup-by-name", "rpc.lookup-by-uuid", "rpc.list-all-domains", "rpc.get-xml", "rpc.get-info", "rpc.screenshot",
            "rpc.send-key", "rpc.start", "other.list", "other.list-json", "other.info", "other.info-uuid", "other.display",
            "other.display-uuid", "other.console", "other.console-uuid", "other.port", "other.port-stock",
            "other.path-gate"} <= probed.are("OPEN"), probed.seen("closed", "unknown")
    assert "RFB" in probed.doors["other.display"]["seen"] and "RFB" in probed.doors["other.port"]["seen"]
    # What nobody may call, and what was not the machine's.
    assert {"rpc.undefine", "rpc.monitor-command", "rpc.rename", "other.console-takeover", "other.path"} <= probed.are("closed")
    assert probed.are("unknown") == set(), probed.seen("unknown")
    vgtest.wait_until(lambda: not vgtest.open_sessions(), what="the end of the sessions")


def test_user_to_whom_everything_is_granted():
    """Then nothing is another's, which is told; and even so no machine is changed, nor opened further than to show it."""
    before = state_of("secret")
    with vgtest.acl("[user bob]\ndisplay = *\nserial = *\npower = *\ntakeover = *\n"):
        probed = probe("bob", "--only", "@(rpc.*|other.*)", *EVERYTHING_OF_SECRET, "--other-path", "/nonexistent")
        vgtest.wait_until(lambda: not vgtest.open_sessions(), what="the end of the sessions")
    assert (probed.rc, probed.are("unknown")) == (OPEN, set()), probed.seen("unknown")
    assert {"rpc.get-xml", "rpc.start", "rpc.resume", "rpc.send-key", "rpc.watch", "other.display",
            "other.console"} <= probed.are("OPEN")
    assert {"rpc.destroy", "rpc.monitor-command", "rpc.attach-device"} <= probed.are("closed")
    assert state_of("secret") == before


def test_spice():
    """Says nothing before it is spoken to."""
    probed = probe("alice", "--only", "other.display", "--other", "spicevm")
    assert (probed.rc, probed.are("OPEN")) == (OPEN, {"other.display"}) and "REDQ" in probed.doors["other.display"]["seen"]


def test_second_lock_alone(place):
    """A sshd that permits everything, its users being confined by PAM: sshd would, and its process may not. Why there is no
    tun device cannot be told from outside; with one that root made for alice there would be."""
    with pam_sshd.pam(pam_sshd.stack()), pam_sshd.server("X11Forwarding yes\n") as port:
        probed = probe("alice", "--only", "@(tcp.*|socket.*|listen.*|tun.*|shell|exec.id)", "--other-port", SECRET_PORT,
                       "--other-path", "/run/dbus/system_bus_socket", "--other-uuid", SECRET, port=port, folder=place)
    tun = {"tun.point-to-point", "tun.ethernet", "tun.first", "tun.first-ethernet"}
    assert (probed.are("OPEN"), probed.are("closed")) == (tun, set(probed.doors) - tun), probed.seen("OPEN", "unknown")
    assert "its process may not" in probed.doors["tcp.v4"]["seen"]


@pytest.mark.skipif(not os.path.exists(pam_sshd.TUN), reason=f"needs {pam_sshd.TUN}")
def test_tun_device_that_was_made_for_the_account(place):
    with pam_sshd.own_device("alice", "tun0"), pam_sshd.own_device("alice", "tap0"), \
            changed_sshd(place, FORWARDING, "PermitTunnel yes") as port:
        probed = probe("alice", "--only", "tun.*", port=port, folder=place)
    assert (probed.rc, probed.are("closed")) == (OPEN, {"tun.both"}), probed.seen("closed", "unknown")
    assert {probed.doors[name]["seen"] for name in ("tun.first", "tun.first-ethernet")} == {"the channel was opened"}


# --- what it cannot tell ------------------------------------------------------------------------------------------

# Doors that want logins of their own, one a second: time enough for what shall happen behind the first.
LONG = ["--rate", "1", "--only", "@(tun.*|again.*|exec.*)"]


def test_host_that_goes_away_in_the_middle(place):
    """What is known by then stays known; the rest is not waited for, door after door."""
    home = client.Home(place)
    with contextlib.ExitStack() as until:
        port = until.enter_context(changed_sshd(place))
        home.knows(port)
        command = ["virtgate", "probe", *LONG, "-F", str(home.config), f"alice@{vgtest.HOST}:{port}"]
        with vgtest.Opened(command) as running:
            first = running.stdout.readline()
            until.close()
            client.cut_off("alice")     # if it is between two logins, there is none, and will be none
            done = running.result()
    lines = done.stdout.decode().splitlines()
    assert first.startswith(b"closed   tun.point-to-point ") and done.rc == UNKNOWN and "OPEN" not in lines[-1], done
    assert lines[-2].split()[0] == "unknown" and "not tried: port" in lines[-2] and "refuses connections" in lines[-2], lines[-2]


def test_host_that_says_nothing_more(place):
    """Each answer that does not come is waited for as long as was said."""
    doors = {"listen.name", "tcp.v4", "exec.id", "global.unknown", "shell", "channel.none"}
    with yes_host.host("silent") as port:
        probed = probe("alice", "--timeout", "1", "--only", f"@({'|'.join(doors)})", port=port, folder=place)
    assert (probed.rc, probed.are("unknown")) == (UNKNOWN, doors), probed.said or probed.stderr


def test_host_that_does_not_tell_why_there_is_no_tunnel(place):
    """It might open one if there were a device."""
    with yes_host.host("no") as port:
        probed = probe("alice", "--only", "@(tun.ethernet|socket.dbus|channel.unknown)", port=port, folder=place)
    assert (probed.rc, probed.are("unknown")) == (UNKNOWN, {"tun.ethernet"}), probed.said or probed.stderr


def test_connection_that_is_lost_once(place):
    """It was the network; the door is open."""
    with yes_host.host("ends", "yes") as port:
        probed = probe("alice", "--only", "tcp.v4", port=port, folder=place)
    assert (probed.rc, probed.are("OPEN")) == (OPEN, {"tcp.v4"}), probed.said or probed.stderr


def test_login_that_is_turned_away_once(place):
    """As a busy sshd does. The second door wants a login of its own."""
    with yes_host.host("yes", "away", "yes") as port:
        probed = probe("alice", "--only", "@(tcp.v4|global.unknown)", port=port, folder=place)
    assert (probed.rc, probed.are("OPEN")) == (OPEN, {"tcp.v4", "global.unknown"}), probed.said or probed.stderr


def test_host_that_ends_every_connection(place):
    """That is no refusal of anything."""
    doors = {"tcp.v4", "exec.id", "x11", "channel.none"}
    with yes_host.host("ends") as port:
        probed = probe("alice", "--only", f"@({'|'.join(doors)})", port=port, folder=place)
    assert (probed.rc, probed.are("unknown")) == (UNKNOWN, doors), probed.said or probed.stderr
    assert "ends every connection" in probed.doors["tcp.v4"]["seen"]


def test_expected_console_that_is_not_granted():
    probed = probe("alice", "--only", "expect", "--expect", "secret")
    assert (probed.rc, probed.are("FAILS")) == (FAILS, {"expect"})
    assert "no console for you" in probed.doors["expect"]["seen"]


def test_expected_console_without_a_display():
    probed = probe("bob", "--only", "expect", "--expect", "cards2")
    assert (probed.rc, probed.are("works")) == (CLOSED, {"expect"}), probed.seen("FAILS")


def test_not_told_is_not_closed():
    probed = probe("alice", "--only", "@(other.display|rpc.get-info|rpc.start|other.path)", "--other", "secret",
                   "--other-uuid", SECRET)
    assert probed.rc == UNKNOWN
    assert probed.are("closed") == {"other.display", "rpc.get-info"} and probed.are("unknown") == {"rpc.start", "other.path"}


RAW = {"tcp.nul", "agent.openssh", "channel.none", "tun.ethernet", "nul.exec-last"}


def test_without_ssh_what_libssh_cannot_send_is_unknown(place):
    """And what it can is tried all the same."""
    probed = probe("alice", "--only", f"@(tcp.v4|{'|'.join(RAW)})", program=shutil.which("virtgate"), env={"PATH": str(place)})
    assert (probed.rc, probed.are("closed"), probed.are("unknown")) == (UNKNOWN, {"tcp.v4"}, RAW)
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
    assert (probed.rc, probed.are("closed")) == (CLOSED, RAW | {"tcp.v4"}), probed.seen("unknown", "OPEN") or probed.stderr


def test_configuration_of_the_user(place):
    """What it has for other logins is neither done nor in the way; nor would a host that grants it be asked for it."""
    home = client.Home(place)
    home.knows(22)
    # The host offers no such key: ssh(1) would take this note out.
    home.knows(22, home.key("old").with_suffix(".pub").read_text())
    with socket.socket() as free:
        free.bind((vgtest.HOST, 0))
        port = free.getsockname()[1]
    home.settings(f"""
ControlMaster auto
ControlPath {place}/control
ControlPersist 60
LocalForward {port} {vgtest.HOST}:22
RemoteForward 0 {vgtest.HOST}:22
DynamicForward {port}
ExitOnForwardFailure yes
PermitLocalCommand yes
LocalCommand touch {place}/done
RemoteCommand id
RequestTTY force
ForwardAgent yes
ForwardX11 yes
Tunnel yes
SendEnv *
SetEnv LANG=C
ForkAfterAuthentication yes
StdinNull yes
UpdateHostKeys yes
LogLevel QUIET
""")
    known, before = home.known_hosts.read_text(), left_behind()
    probed = Probed(client.run("probe", "--as-json", "--timeout", "30", "-F", home.config, "--only",
                               f"@(tcp.v4|listen.socket|x11|again.*|exec.id|tun.*|{'|'.join(RAW)})", ALICE))
    assert (probed.rc, probed.are("closed")) == (CLOSED, set(probed.doors)), probed.seen("unknown", "OPEN") or probed.stderr
    assert left_behind() == before and home.known_hosts.read_text() == known
    assert not pam_sshd.reachable(port) and not {"control", "done"} & {path.name for path in place.iterdir()}
    asked = []
    with yes_host.host(asked=asked) as granting:
        home.knows(granting)
        client.run("probe", "--timeout", "30", "-F", home.config, "--only", "@(tcp.v4|channel.unknown)",
                   f"{ALICE}:{granting}")
    assert asked == ["direct-tcpip", "nobody@virtgate.invalid"]


def test_another_program_in_the_place_of_ssh(place):
    """It passes on what libssh cannot send, and is asked for nothing else."""
    script = place / "other-ssh"
    script.write_text(f'#!/bin/sh\necho "$@" >> {place}/asked\nexec ssh "$@"\n')
    script.chmod(0o755)
    probed = probe("alice", "--only", "@(tcp.v4|channel.none)", "--ssh", f"{script} -oServerAliveInterval=7")
    assert (probed.rc, probed.are("closed")) == (CLOSED, {"tcp.v4", "channel.none"}), probed.seen("unknown")
    asked = (place / "asked").read_text().splitlines()
    assert len(asked) == 1, asked
    assert asked[0].startswith("-oServerAliveInterval=7 ") and asked[0].endswith(f"-l alice -p 22 -- {vgtest.HOST}")


@pytest.mark.parametrize("words", [[], ["a", "b"], ["-x", "a"], ["a:0"], ["--other-port", "x", "a"], ["--timeout", "0", "a"],
                                   ["--rate", "101", "a"], ["-oProxyCommand=id"], ["--", "-a"], ["--json", "a"],
                                   ["--only", "tcp.v5", "a"], ["--other", "two words", "a"], ["--other", f"uuid:{SECRET}", "a"],
                                   ["--other-uuid", "secret", "a"], ["--other-path", "vnc.sock", "a"],
                                   ["--other-path", "/a b", "a"], ["--expect", "a;b", "a"]])
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


def test_what_kept_it_from_looking(place):
    """None of these is taken for a finding."""
    home = client.Home(place)
    home.settings("RevokedHostKeys /etc/hosts\n")
    for words, status in ((["-F", home.config, ALICE], CONFIG), ([f"{ALICE}:1"], UNAVAILABLE)):
        done = client.run("probe", *words)
        assert (done.rc, done.stdout) == (status, b"") and done.stderr.startswith(b"virtgate: "), done


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
    assert probed.rc == UNKNOWN and "the time is up" in probed.doors["exec.bom"]["seen"]


def left_behind():
    return set(pathlib.Path("/tmp").glob("virtgate-probe-*")), set(vgtest.processes("ssh"))


def test_it_leaves_no_process_and_no_folder():
    before = left_behind()
    assert probe("alice", "--only", "@(channel.none|nul.exec-first|tun.ethernet)").rc == CLOSED
    assert left_behind() == before


def test_interrupted():
    before = left_behind()
    with vgtest.Opened(["virtgate", "probe", *LONG, ALICE]) as running:
        assert b"tun.point-to-point" in running.stdout.readline()
        running.terminate()
        done = running.result()
    assert done.rc == UNKNOWN and b"not tried: interrupted" in done.stdout
    assert left_behind() == before
