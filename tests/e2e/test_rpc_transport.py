"""Every way on which libvirt's clients come over ssh: what stands behind each is the same filter, with the same answers."""
import contextlib
import os
import re

import pytest

import vgtest
from rpc import (CARDS2, DENIED, MINE, Raw, complaint, console, domain, live, names, said, serving, text,
                 upstream_of, uri)
from vgtest import wait_until

SOCKET = os.path.basename(vgtest.LIBVIRT_SOCKET)

# For libssh and libssh2, which read no ssh configuration.
KEY = "keyfile=/root/.ssh/id_ed25519&known_hosts=/root/.ssh/known_hosts&sshauth=privkey&known_hosts_verify=auto"
WAYS = [("ssh", query) for query in ("", "proxy=auto", "proxy=netcat", "proxy=native", "netcat=nc", "netcat=/usr/local/bin/netcat",
                                     "mode=auto", "mode=legacy", "socket=/run/libvirt/virtqemud-sock")] + \
       [(transport, query) for transport in ("libssh", "libssh2") for query in ("", "proxy=netcat", "proxy=native", "netcat=/bin/nc")]


def way(user, transport, query):
    query = "&".join(filter(None, (KEY if transport != "ssh" else "", query)))
    return uri(user, transport=transport, query=f"?{query}" if query else "")


@pytest.fixture(autouse=True)
def all_over():
    yield
    wait_until(lambda: not live() and not vgtest.open_sessions(), what="the end of all connections")


@contextlib.contextmanager
def virsh_prompt(connect, readonly=False):
    """A virsh that stays: `ask(line)` gives what it says to one command."""
    with vgtest.Opened(["virsh", "-q", *(["-r"] if readonly else []), "-c", connect]) as process:
        def ask(line):
            process.talk.write(f"{line}\necho =done=\n".encode())
            answer = process.talk.read_until(rb"\n=done=").decode()
            return re.sub(r"(?m)^virsh [#>] .*$|^=done=$", "", answer).strip()
        yield ask
        assert process.hang_up() == 0


@pytest.mark.parametrize("transport, query", WAYS)
def test_list(transport, query):
    with virsh_prompt(way("alice", transport, query)) as ask:
        assert names(ask("list --all --name")) == MINE
        assert upstream_of(serving()) == (SOCKET, False)


@pytest.mark.parametrize("transport, query", [("ssh", ""), ("ssh", "proxy=auto"), ("ssh", "proxy=netcat"), ("ssh", "proxy=native"),
                                              ("ssh", "netcat=nc"), ("ssh", "mode=legacy"), ("libssh", "proxy=native"), ("libssh2", ""),
                                              ("ssh", "socket=/var/run/libvirt/libvirt-sock-ro")])
def test_readonly(transport, query):
    """The second lock: libvirtd itself takes no orders on this connection."""
    with virsh_prompt(way("alice", transport, query), readonly=True) as ask:
        assert names(ask("list --all --name")) == MINE
        assert ask("domstate cards2") == "running"
        assert upstream_of(serving()) == (f"{SOCKET}-ro", True)


def test_readonly_is_known_by_the_first_call_alone():
    """libvirt's client takes the path of a socket as it is, also with -r. The filter is connected by then, and keeps to what was
    asked for by itself; so does libvirtd, which hears of it, too."""
    for path in ("libvirt-sock", "virtqemud-sock"):
        with virsh_prompt(uri("alice", query=f"?socket=/run/libvirt/{path}"), readonly=True) as ask:
            assert names(ask("list --all --name")) == MINE
            assert upstream_of(serving()) == (SOCKET, True)
    # virsh would not even ask.
    with Raw("alice", "nc -U /run/libvirt/libvirt-sock", opened=False) as raw:
        assert raw.call(1, b"\0\0\0\1" + text("qemu:///system") + b"\0\0\0\1") == (0, b"")
        code, error = raw.call(12, domain("cards2", CARDS2))
        assert code == DENIED and b"this connection is read-only" in error
    assert vgtest.virsh("domstate", "cards2") == "running"


def test_readonly_for_who_needs_no_more():
    """No right that writes: libvirtd's read-only socket, although the client did not ask for it."""
    with vgtest.acl("[user mallory]\ntakeover = cards2\n"):
        with virsh_prompt(uri("mallory")) as ask:
            assert names(ask("list --all --name")) == ["cards2"]
            assert upstream_of(serving()) == (f"{SOCKET}-ro", True)
        assert "access denied: DOMAIN_DESTROY: this connection is read-only" in complaint("mallory", "destroy", "cards2")
    assert vgtest.virsh("domstate", "cards2") == "running"


OPENING = [("ssh", "proxy=netcat"), ("ssh", "proxy=native"), ("libssh", "proxy=native"), ("libssh2", "proxy=netcat")]


@pytest.mark.parametrize("transport, query", OPENING)
def test_display_and_console(transport, query, tmp_path):
    connect = way("alice", transport, query)
    found = said("alice", "domdisplay", "nolisten", connect=connect)
    path = re.fullmatch(r"vnc\+unix://(/run/virtgate/display/[0-9a-f-]+/0)", found)[1]
    with vgtest.ssh_open("alice", f"nc -U {path}") as p:
        assert vgtest.Rfb(p.talk).name == "QEMU (nolisten)"
    said("alice", "screenshot", "nolisten", f"{tmp_path}/x", connect=connect)
    assert vgtest.read_png(f"{tmp_path}/x") == vgtest.screenshot("nolisten")
    with console("alice", "nolisten", connect=connect) as p:
        vgtest.ask_greeting(p.talk, "nolisten")


# --- what is not offered ---------------------------------------------------------------------------------------------

OTHERS = [("qemu", "session"), ("test", "default"), ("lxc", ""), ("lxc", "system"), ("xen", ""),
          ("vbox", "session"), ("esx", "?no_verify=1"), ("ch", "system"), ("bhyve", "system"), ("vz", "system"),
          ("network", "system"), ("storage", "system"), ("nodedev", "system"), ("secret", "system")]
NOT_OFFERED = "this gate offers qemu:///system and no other"


@pytest.mark.parametrize("driver, path", OTHERS)
def test_another_uri(driver, path):
    """Said to virt-ssh-helper, to which the gate answers, and by the first call behind nc, to which the filter does."""
    separator = "&" if "?" in path else "?"     # of what is not for the client's library but for the driver
    for proxy in ("native", "netcat") if driver in ("qemu", "test") else ("native",):
        assert NOT_OFFERED in complaint("alice", "list", connect=uri("alice", driver, f"{path}{separator}proxy={proxy}"))


@pytest.mark.parametrize("command", ["virt-ssh-helper qemu:///session", "virt-ssh-helper -r lxc:///", "virt-ssh-helper ''",
                                     "virt-ssh-helper qemu:///system/", "virt-ssh-helper QEMU:///system",
                                     "virt-ssh-helper qemu+unix:///system", "virt-ssh-helper qemu://other/system",
                                     "nc -U /run/libvirt/virtlxcd-sock", "nc -U /run/libvirt/virtnetworkd-sock",
                                     "nc -U /run/libvirt/libvirt-admin-sock", "nc -U /run/libvirt/virtlogd-sock",
                                     "nc -U /run/user/1001/libvirt/virtnetworkd-sock", "nc -U /run/libvirt/virtqemud-admin-sock"])
def test_another_by_command(logins, command):
    mark = vgtest.log_mark()
    result = logins("alice").run(command)
    assert result.stdout == b"" and result.rc in (64, 77) and re.fullmatch(rb"virtgate: [^\n]+\n", result.stderr), result
    refusal, = vgtest.records(mark, "refused ")
    assert refusal["user"] == "alice" and not vgtest.log_since(mark, " start ")


def test_another_by_the_first_call():
    names_of_others = ["qemu:///session", "test:///default", "lxc:///", "xen:///system", "qemu:///system?x=y", "esx://h/",
                       "qemu:///system\n", "QEMU:///system", "qemu+ssh://localhost/system", "x" * 4000]
    with Raw("alice", "nc -U /run/libvirt/libvirt-sock", opened=False) as raw:
        for name in names_of_others:
            code, error = raw.call(1, b"\0\0\0\1" + text(name) + b"\0\0\0\0")
            assert code == DENIED and NOT_OFFERED.encode() in error
        # Nothing is open by that; what is offered still can be.
        assert raw.call(1, b"\0\0\0\1" + text("qemu:///system") + b"\0\0\0\0") == (0, b"")
        assert raw.call(16, domain("cards2", CARDS2))[0] == 0
