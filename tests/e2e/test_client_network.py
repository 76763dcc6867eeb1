# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgate over a real way: another computer, a jump host between it and the gate, a slow and lossy link, a host that goes.

  home -- (10.99.1.0/24) -- jump -- (10.99.2.0/24) -- the gate -- (10.99.3.0/24) -- away

Four network namespaces. home's only way is the jump host's sshd, which forwards no packets; the gate's knows nothing of home.
The cables of home and away are as bad as a test wants them (tests/lib/link.py)."""
import collections
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

import client
import pam_sshd
import vgtest
from link import Link, call_in, do, inside, move_to, namespace
from vgtest import ask_greeting


def missing():
    return client.missing("ip", "nsenter") or pam_sshd.missing()


WHY = missing()
pytestmark = pytest.mark.skipif(bool(WHY), reason=str(WHY))

JUMP_FOR_HOME, HOME = "10.99.1.1", "10.99.1.2"
GATE, JUMP_FOR_GATE = "10.99.2.1", "10.99.2.2"
GATE_FOR_AWAY, AWAY = "10.99.3.1", "10.99.3.2"
EX_UNAVAILABLE, EX_PROTOCOL = 69, 76


# --- the network ----------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def cable(one, one_address, two, two_address):
    """A good one between two namespaces (None: the gate's), its ends called by who is at the other."""
    do("ip", "link", "add", f"to-{two}", "type", "veth", "peer", "name", f"to-{one or 'gate'}", "netns", two, where=one)
    try:
        for here, there, address in ((one, two, one_address), (two, one or "gate", two_address)):
            do("ip", "address", "add", f"{address}/24", "dev", f"to-{there}", where=here)
            do("ip", "link", "set", f"to-{there}", "up", where=here)
        yield
    finally:
        do("ip", "link", "delete", f"to-{two}", where=one)


# Where virtgate runs, what it calls the gate, and the cable that may be a bad one.
Way = collections.namedtuple("Way", "where host link")


@pytest.fixture(scope="module")
def network():
    """The ways to the gate, by their names."""
    with contextlib.ExitStack() as stack:
        for name in ("home", "jump", "away"):
            stack.enter_context(namespace(name))
        stack.enter_context(cable(None, GATE, "jump", JUMP_FOR_GATE))
        to_jump = stack.enter_context(Link(("home", HOME, "to-jump"), ("jump", JUMP_FOR_HOME, "to-home")))
        to_gate = stack.enter_context(Link(("away", AWAY, "to-gate"), (None, GATE_FOR_AWAY, "to-away")))
        yield {"by jump host": Way("home", "gate", to_jump), "straight": Way("away", "straight", to_gate)}


@pytest.fixture(params=["by jump host", "straight"])
def way(request, network, home):
    """Each of them; whatever has become of it, and of who used it, afterwards it is as it was."""
    way = network[request.param]
    with way.link.being():
        yield way
    for user in ("carol", "alice"):     # on the other side nobody knows that they have gone
        client.cut_off(user)


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
                  f"Host direct\nHostName {GATE}\nUser alice\nConnectTimeout 2\n"
                  f"Host straight\nHostName {GATE_FOR_AWAY}\nUser alice\n"
                  f"Host *\nConnectTimeout 5\nServerAliveInterval 2\n")
    for address in (GATE, GATE_FOR_AWAY):
        made.knows(22, host=address)
    made.knows(jump, host=JUMP_FOR_HOME)
    with client.appended("/root/.ssh/known_hosts", f"[{JUMP_FOR_HOME}]:{jump} {key_of()}\n"):
        yield made
    vgtest.free()


def words(home, *more, where="home"):
    return [*inside(where), "virtgate", *map(str, more), "-F", str(home.config)]


def run(home, *more, where="home", **options):
    program, *rest = words(home, *more, where=where)
    return client.run(*rest, program=program, **options)


def on_terminal(home, *more, where):
    program, *rest = words(home, *more, where=where)
    return client.terminal(*rest, program=program)


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


# --- a slow and lossy link --------------------------------------------------------------------------------------------------

def test_poor_link(home, way, tmp_path):
    """40 ms, 8 Mbit/s, and one packet of 33 is lost: everything works as on a good one."""
    before = way.link.counts()["lost"]
    with way.link.being(delay=0.02, loss=0.03, rate=8e6):
        result = run(home, "list", way.host, where=way.where)
        assert result.rc == 0 and b"cards2" in result.stdout, result
        result = run(home, "view", way.host, "cards2", "--screenshot", tmp_path / "screen.png", where=way.where, timeout=120)
        assert result.rc == 0, result
        assert vgtest.read_png(tmp_path / "screen.png") == vgtest.screenshot("cards2")
        with on_terminal(home, "console", way.host, "cards2", where=way.where) as t:
            ask_greeting(t.talk, "cards2")
            t.talk.write(b"\x1d")
            assert t.wait() == 0
    assert way.link.counts()["lost"] > before


# --- a host that goes -----------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def viewing(home, vm, host="gate", where="home"):
    """virtgate view --listen; its process, what it says, and where it listens."""
    process = subprocess.Popen(words(home, "view", host, vm, "--listen", "127.0.0.1:0", where=where), stderr=subprocess.PIPE,
                               bufsize=0, preexec_fn=os.setsid)
    try:
        said = vgtest.Stream(process.stderr.fileno(), None, deadline=60)
        yield process, said, int(re.search(rb":(\d+) ", said.read_until(rb":\d+ is for your viewer, until Ctrl-C\n"))[1])
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def connect_in(stack, where, port):
    """A viewer that has seen nothing yet."""
    viewer = stack.enter_context(call_in(where, socket.create_connection, (vgtest.HOST, port)))
    return vgtest.Rfb(vgtest.Stream(viewer.fileno(), viewer.fileno(), deadline=60))


@pytest.mark.parametrize("whose", ["alice", "carol"])
def test_host_goes_in_the_middle_of_a_view(home, whose):
    """The gate's sshd, or the jump host's: the viewer sees the end at once, and the person reads why. What comes next is a
    new login."""
    with viewing(home, "cards2") as (process, said, port), contextlib.ExitStack() as stack:
        before = connect_in(stack, "home", port)
        assert before.picture() == vgtest.screenshot("cards2")
        assert client.cut_off(whose)
        before.stream.read_rest()
        said.read_until(rb"virtgate: gate: the connection is lost \(.*\); try again\n")
        assert connect_in(stack, "home", port).picture() == vgtest.screenshot("cards2")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == EX_UNAVAILABLE


# --- a link that goes silent ----------------------------------------------------------------------------------------------

LOST = rb"virtgate: %s: the connection is lost \(the host has not answered for \d+ seconds\); try again\r?\n"


def lost(way):
    return LOST % way.host.encode()


def test_link_goes_silent_in_the_middle_of_a_view(home, way):
    """No end is told by anybody. The viewer sees one, the person reads why, and what comes when the link is back is a new
    login."""
    with viewing(home, "cards2", way.host, way.where) as (process, said, port), contextlib.ExitStack() as stack:
        before = connect_in(stack, way.where, port)
        assert before.picture() == vgtest.screenshot("cards2")
        with way.link.being(silent=True):
            before.stream.read_rest()
            assert re.fullmatch(lost(way), said.read_until(rb"\n"))
        assert connect_in(stack, way.where, port).picture() == vgtest.screenshot("cards2")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == EX_UNAVAILABLE
        assert said.read_rest() == b""


def test_link_goes_silent_in_the_middle_of_a_console(home, way):
    with on_terminal(home, "console", way.host, "cards2", where=way.where) as t:
        ask_greeting(t.talk, "cards2")
        with way.link.being(silent=True):
            assert t.process.wait(timeout=60) == EX_UNAVAILABLE
        said = t.unread()       # the guest may have greeted more than once
        assert re.search(rb"\r\n" + lost(way) + rb"\Z", said) and said.count(b"virtgate: ") == 1, said
        assert t.settings() == t.before


def test_console_comes_back_with_the_link(home, way):
    with on_terminal(home, "console", way.host, "cards2", "--reconnect", where=way.where) as t:
        ask_greeting(t.talk, "cards2")
        with way.link.being(silent=True):
            t.talk.deadline = 60
            t.talk.read_until(rb"virtgate: the console is gone; it is tried again")
        # The gate may have to learn first that who had the console has gone.
        ask_greeting(t.talk, "cards2", tries=120)
        t.talk.write(b"\x1d")
        assert t.wait() == 0


def test_link_goes_silent_in_the_middle_of_a_list(home, way):
    """The gate does not answer before the link is silent. Whether the host has said by then that it took the command decides
    whether another connection is tried."""
    vgtest.wait_until(lambda: not vgtest.processes("virtgate-shell"), what="the end of the tests before")
    gate = vgtest.process("virtgated")
    os.kill(gate, signal.SIGSTOP)
    try:
        with subprocess.Popen(words(home, "list", way.host, where=way.where), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            vgtest.wait_until(lambda: vgtest.processes("virtgate-shell"), 60, "the command")
            with way.link.being(silent=True):
                out, said = process.communicate(timeout=60)
    finally:
        os.kill(gate, signal.SIGCONT)
    assert (process.returncode, out) == (EX_UNAVAILABLE, b"")
    assert re.fullmatch(lost(way) + rb"|virtgate: [^\n]*: (cannot be reached|no connection)[^\n]*\n", said), said


def test_link_goes_silent_under_a_list_that_is_watched(home, way):
    """Whoever watches reads it, and sees the machines again when the link is back."""
    with subprocess.Popen(words(home, "list", "--watch", way.host, where=way.where), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, bufsize=0) as process:
        out, said = (vgtest.Stream(stream.fileno(), None, deadline=60) for stream in (process.stdout, process.stderr))
        try:
            out.read_until(b"cards2 ")
            with way.link.being(silent=True):
                # As it was silent in a command or between two of them.
                said.read_until(lost(way) + rb"|(no connection|cannot be reached)[^\n]*\n")
            out.read_until(b"cards2 ")
        finally:
            process.kill()


@pytest.mark.parametrize("packets", [1, 6, 12, 16])
def test_link_goes_silent_in_the_middle_of_a_login(home, network, packets):
    way = network["straight"]
    home.config.write_text("ConnectTimeout 2\n" + home.config.read_text())
    with way.link.being(last=packets):
        result = run(home, "list", way.host, where=way.where)
    assert result.rc == EX_UNAVAILABLE and result.stdout == b"", result
    said = rb"virtgate: straight: (cannot be reached|no connection|the host does not answer during the login)[^\n]*\n"
    assert re.fullmatch(said, result.stderr), result
