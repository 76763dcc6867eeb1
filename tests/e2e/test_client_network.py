# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgate over a real way: another computer, a jump host between it and the gate, a slow and lossy link, a host that goes.

  home -- (10.99.1.0/24) -- jump -- (10.99.2.0/24) -- the gate

Three network namespaces. home's only way is the jump host's sshd, which forwards no packets; the gate's knows nothing of home."""
import contextlib
import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

import pytest

import client
import pam_sshd
import vgtest
from vgtest import ask_greeting


def missing():
    return client.missing("ip", "tc", "nft", "nsenter") or pam_sshd.missing()


WHY = missing()
pytestmark = pytest.mark.skipif(bool(WHY), reason=str(WHY))

JUMP_FOR_HOME, HOME = "10.99.1.1", "10.99.1.2"
GATE, JUMP_FOR_GATE = "10.99.2.1", "10.99.2.2"
EX_UNAVAILABLE, EX_PROTOCOL = 69, 76
NETNS = pathlib.Path("/run/netns")


# --- the network ----------------------------------------------------------------------------------------------------------

def do(*words, where=None):
    inside = ["nsenter", f"--net={NETNS / where}"] if where else []
    subprocess.run([*inside, *map(str, words)], check=True, capture_output=True, timeout=20)


def link(stack, one, one_address, two, two_address):
    """A cable from the namespace one to two (None: the gate's), its ends called by who is at the other."""
    do("ip", "link", "add", f"to-{two}", "type", "veth", "peer", "name", f"to-{one or 'gate'}", "netns", two, where=one)
    if not one:
        stack.callback(do, "ip", "link", "delete", f"to-{two}")
    for here, there, address in ((one, two, one_address), (two, one or "gate", two_address)):
        do("ip", "address", "add", f"{address}/24", "dev", f"to-{there}", where=here)
        do("ip", "link", "set", f"to-{there}", "up", where=here)


@pytest.fixture(scope="module")
def network():
    with contextlib.ExitStack() as stack:
        for name in ("home", "jump"):
            do("ip", "netns", "add", name)
            stack.callback(do, "ip", "netns", "delete", name)
            do("ip", "link", "set", "lo", "up", where=name)
        link(stack, None, GATE, "jump", JUMP_FOR_GATE)
        link(stack, "home", HOME, "jump", JUMP_FOR_HOME)
        yield


def move_to(name):
    """For preexec_fn, or a thread."""
    def move():
        fd = os.open(NETNS / name, os.O_RDONLY | os.O_CLOEXEC)
        if ctypes.CDLL(None, use_errno=True).setns(fd, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(fd)
    return move


@pytest.fixture(scope="module")
def jump(network):
    """The jump host's sshd, on which carol has an account; its port."""
    with pam_sshd.pam(pam_sshd.stack(auth=None, account=None, session=None)), \
            pam_sshd.server(f"ListenAddress {JUMP_FOR_HOME}\n", prepare=move_to("jump"), host=JUMP_FOR_GATE) as port:
        yield port


def key_of(path="/etc/ssh/ssh_host_ed25519_key.pub"):
    return " ".join(pathlib.Path(path).read_text().split()[:2])


@pytest.fixture
def home(jump, tmp_path):
    """The configuration at home. For ProxyJump libssh runs ssh(1) without it, which knows the jump host by root's own
    known_hosts."""
    made = client.Home(tmp_path)
    recipe = client.recipe("ProxyJump").replace("host1", "gate").replace("host.example.com", GATE)
    made.settings(recipe.replace("alice@jump.example.com:22", f"carol@{JUMP_FOR_HOME}:{jump}") +
                  f"Host direct\nHostName {GATE}\nUser alice\nConnectTimeout 2\n")
    made.knows(22, host=GATE)
    made.knows(jump, host=JUMP_FOR_HOME)
    with client.appended("/root/.ssh/known_hosts", f"[{JUMP_FOR_HOME}]:{jump} {key_of()}\n"):
        yield made
    vgtest.free()


def words(home, *more):
    return ["nsenter", f"--net={NETNS / 'home'}", "virtgate", *map(str, more), "-F", str(home.config)]


def run(home, *more, **options):
    program, *rest = words(home, *more)
    return client.run(*rest, program=program, **options)


@contextlib.contextmanager
def poor_link():
    """From home to the jump host and back: 8 Mbit/s with a queue that is often full, and every 25th packet is lost. Not by
    netem, which many kernels are built without, and whose losses are others each time."""
    ends = (("home", "to-jump"), ("jump", "to-home"))
    with contextlib.ExitStack() as stack:
        for where, device in ends:
            do("tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", "8mbit", "burst", "16kb", "latency", "100ms",
               where=where)
            stack.callback(do, "tc", "qdisc", "delete", "dev", device, "root", where=where)
            do("nft", f"add table ip poor; add chain ip poor lose {{ type filter hook input priority 0; }}; "
                      f"add rule ip poor lose iifname {device} numgen inc mod 25 0 counter drop", where=where)
            stack.callback(do, "nft", "delete", "table", "ip", "poor", where=where)
        yield
        # It was as poor as it should be.
        for where, _ in ends:
            said = subprocess.run(["nsenter", f"--net={NETNS / where}", "nft", "list", "table", "ip", "poor"], check=True,
                                  capture_output=True, timeout=20).stdout
            assert int(re.search(rb"counter packets (\d+)", said)[1]) > 0, said


# --- the jump host --------------------------------------------------------------------------------------------------------

def test_by_a_jump_host_in_another_network(home):
    result = run(home, "list", "direct")
    assert result.rc == EX_UNAVAILABLE and b"unreachable" in result.stderr, result     # there is no other way
    mark = vgtest.log_mark()
    result = run(home, "list", "gate")
    assert (result.rc, result.stderr) == (0, b"") and b"cards2" in result.stdout, result
    assert len(vgtest.settled_log(mark, f"Accepted publickey for alice from {JUMP_FOR_GATE} ")) == 1


def test_probe_by_a_jump_host(home):
    """Also what libssh cannot send: ssh(1) gets the same configuration."""
    result = run(home, "probe", "--only", "@(tcp.v4|channel.none|exec.id)", "gate")
    assert result.rc == 0 and result.stdout.endswith(b"\n3 closed\n"), result


def test_gate_whose_key_changed_behind_a_jump_host(home):
    """Nothing is sent to it, though the jump host is the right one."""
    home.known_hosts.write_text("")
    home.knows(22, home.key("other").with_suffix(".pub").read_text(), host=GATE)
    for strict in ("ask", "no"):
        mark = vgtest.log_mark()
        result = run(home, "list", "gate")
        assert result.rc == EX_PROTOCOL and b"THE HOST'S KEY IS NOT THE ONE IT HAD" in result.stderr, result
        assert vgtest.settled_log(mark, f"Connection from {JUMP_FOR_GATE} ")
        assert not vgtest.settled_log(mark, "(Accepted|Postponed|Failed|authenticating user).* alice")
        home.config.write_text("StrictHostKeyChecking no\n" + home.config.read_text())


def test_jump_host_whose_key_changed(home, jump):
    """The gate is not reached by way of it."""
    known = pathlib.Path("/root/.ssh/known_hosts")
    other = home.key("other").with_suffix(".pub")
    *others, _ = known.read_text().splitlines()
    known.write_text("\n".join([*others, f"[{JUMP_FOR_HOME}]:{jump} {key_of(other)}\n"]))
    mark = vgtest.log_mark()
    result = run(home, "list", "gate")
    assert result.rc == EX_UNAVAILABLE and result.stdout == b"", result
    assert not vgtest.settled_log(mark, f"Connection from {JUMP_FOR_GATE} ")


# --- a way that goes silent -----------------------------------------------------------------------------------------------

@contextlib.contextmanager
def silence():
    """From here on nothing arrives between home and the jump host, and nobody is told."""
    with contextlib.ExitStack() as stack:
        for where, device in (("home", "to-jump"), ("jump", "to-home")):
            do("nft", f"add table ip silence; add chain ip silence drop_all {{ type filter hook input priority 0; }}; "
                      f"add rule ip silence drop_all iifname {device} drop", where=where)
            stack.callback(do, "nft", "delete", "table", "ip", "silence", where=where)
        yield
        # The jump host would wait for home as long as TCP does.
        client.cut_off("carol")


SILENT = rb"the connection is lost \(the host has not answered for 12 seconds\); try again"


@pytest.fixture
def watchful(home):
    """A home that asks sooner than in a quarter of a minute whether the host is there. Behind a jump host TCP asks nobody: its
    socket is that of another program."""
    home.config.write_text("ServerAliveInterval 4\nServerAliveCountMax 2\n" + home.config.read_text())
    return home


def test_silence_in_a_console(watchful):
    program, *rest = words(watchful, "console", "gate", "cards2")
    with client.terminal(*rest, program=program) as t:
        t.talk.deadline = 60
        ask_greeting(t.talk, "cards2")
        with silence():
            t.talk.read_until(SILENT)
            assert t.wait() == EX_UNAVAILABLE
        assert t.settings() == t.before


def test_silence_in_a_view(watchful):
    """The viewer sees the end; and what comes when the way is there again is a new login."""
    with viewing(watchful, "cards2") as (process, said, port), contextlib.ExitStack() as stack:
        def view():
            viewer = stack.enter_context(connect_at_home(port))
            return vgtest.Rfb(vgtest.Stream(viewer.fileno(), viewer.fileno(), deadline=60))
        said.deadline = 60
        before = view()
        with silence():
            before.stream.read_rest()
            said.read_until(SILENT)
        assert view().picture() == vgtest.screenshot("cards2")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == EX_UNAVAILABLE


def test_silence_in_a_list(watchful):
    """Whoever watches reads it, and sees the machines again when the way is there again."""
    process = subprocess.Popen(words(watchful, "list", "--watch", "gate"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    try:
        out, said = (vgtest.Stream(stream.fileno(), None, deadline=60) for stream in (process.stdout, process.stderr))
        out.read_until(b"cards2 ")
        with silence():
            # As it was silent in a command or between two of them.
            said.read_until(SILENT + rb"|no connection: .*; is it a host with sshd")
        out.read_until(b"cards2 ")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


# --- a slow and lossy link --------------------------------------------------------------------------------------------------

def test_poor_link(home, tmp_path):
    """Everything works as on a good one."""
    with poor_link():
        result = run(home, "list", "gate")
        assert result.rc == 0 and b"cards2" in result.stdout, result
        result = run(home, "view", "gate", "cards2", "--screenshot", tmp_path / "screen.png", timeout=120)
        assert result.rc == 0, result
        assert vgtest.read_png(tmp_path / "screen.png") == vgtest.screenshot("cards2")
        program, *rest = words(home, "console", "gate", "cards2")
        with client.terminal(*rest, program=program) as t:
            ask_greeting(t.talk, "cards2")
            t.talk.write(b"\x1d")
            assert t.wait() == 0


# --- a host that goes -----------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def viewing(home, vm):
    """virtgate view --listen at home; its process, which says on which port."""
    process = subprocess.Popen(words(home, "view", "gate", vm, "--listen", "127.0.0.1:0"), stderr=subprocess.PIPE, bufsize=0,
                               preexec_fn=os.setsid)
    try:
        said = vgtest.Stream(process.stderr.fileno(), None)
        yield process, said, int(re.search(rb":(\d+) ", said.read_until(rb":\d+ is for your viewer"))[1])
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def connect_at_home(port):
    """A socket is of the network namespace in which its thread was when it made it."""
    made = []

    def connect():
        move_to("home")()
        made.append(socket.create_connection((vgtest.HOST, port)))
    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    return made[0]


@pytest.mark.parametrize("whose", ["alice", "carol"])
def test_host_goes_in_the_middle_of_a_view(home, whose):
    """The gate's sshd, or the jump host's: the viewer sees the end at once, and the person reads why. What comes next is a
    new login."""
    with viewing(home, "cards2") as (process, said, port), contextlib.ExitStack() as stack:
        def view():
            viewer = stack.enter_context(connect_at_home(port))
            return vgtest.Rfb(vgtest.Stream(viewer.fileno(), viewer.fileno()))
        before = view()
        assert before.picture() == vgtest.screenshot("cards2")
        client.cut_off(whose)
        before.stream.read_rest()
        said.read_until(rb"virtgate: gate: the connection is lost \(.*\); try again\n")
        assert view().picture() == vgtest.screenshot("cards2")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == EX_UNAVAILABLE
