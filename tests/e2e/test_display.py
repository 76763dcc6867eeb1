"""A permitted display opens through the gate, over every command line that a client sends for one; no other does."""
import collections
import contextlib
import csv
import re
import time

import pytest

import vgtest
from vgtest import Rfb, extra_vm, ssh_open

UUID = "c0ffee00-0000-4000-8000-00000000000{}"
CARDS2, NOLISTEN, SOCKVM, SPICEVM = (UUID.format(n) for n in (1, 3, 4, 5))
CARDS2_PORT, SECRET_PORT = 5903, 5904
VNC = ["cards2", "nolisten", "sockvm"]
LOOPBACK = ["127.0.0.1", "localhost", "::1", "[::1]"]


# --- what clients send --------------------------------------------------------------------------------------------

Row = collections.namedtuple("Row", "client kind command")


def rows(*kinds):
    with (vgtest.TREE / "tests/data/client-commands.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["kind"] in kinds:
                yield Row(row["client"].split(" ")[0], row["kind"], row["example"])


def distinct(named):
    """The first row of each template, with a name for the test that uses it."""
    seen = {}
    for row, template in named:
        seen.setdefault(template, row.client)
    return [pytest.param(template, id=f"{client}-{n}") for n, (template, client) in enumerate(seen.items(), 1)]


PORT = re.compile(r"\b59\d\d\b")
HOST = re.compile(r"(?<=TCP:)(\S+)(?=:PORT)|(?<=\bnc )([^-\s]\S*)(?= PORT)|(?<=-q 0 )(\S+)(?= PORT)")
PATH = re.compile(r"/var/lib/libvirt/qemu/[\w./-]+")

TCP_HOSTS = distinct((row, PORT.sub("PORT", row.command)) for row in rows("tcp"))
TCP = distinct((row, HOST.sub("HOST", PORT.sub("PORT", row.command))) for row in rows("tcp"))
UNIX = distinct((row, PATH.sub("PATH", row.command)) for row in rows("unix"))
RPC = distinct((row, row.command) for row in rows("rpc-rw", "rpc-ro"))


def test_templates():
    """The replacements above found what they look for."""
    for param in TCP:
        assert "HOST" in param.values[0] and "PORT" in param.values[0] and not PORT.search(param.values[0])
        assert not re.search(r"\d\.\d|::|localhost|hv1", param.values[0]), param.values[0]
    for param in UNIX:
        assert "PATH" in param.values[0] and "/var/" not in param.values[0]
    assert len(TCP) >= 6 and len(UNIX) >= 5 and len(TCP_HOSTS) >= 15 and len(RPC) >= 30


def tcp(template, port, host="127.0.0.1"):
    return template.replace("HOST", host).replace("PORT", str(port))


def gate_path(uuid):
    return f"/run/virtgate/display/{uuid}/0"


def socket_of(vm):
    return vgtest.domain_xml(vm).find("devices/graphics").get("socket")


# --- opening ------------------------------------------------------------------------------------------------------

def vnc_name(login, command):
    """The name that the screen's server has, and an end as it should be."""
    with login.open(command) as p:
        name = Rfb(p.talk).name
        assert p.hang_up() == 0
    return name


def opens_spice(login, command):
    with login.open(command) as p:
        assert vgtest.spice_link(p.talk) == (2, 2, 0)
        assert p.hang_up() == 0


def granted(vm):
    return vgtest.acl(vgtest.ACL.read_text() + f"\n[vm {vm}]\ndisplay = alice\n")


def refused(result, status, line):
    assert (result.rc, result.stdout, result.stderr.decode()) == (status, b"", f"virtgate: {line}\n")


@pytest.mark.parametrize("vm", VNC)
def test_picture(vm):
    """The whole screen, the same as libvirt has of it."""
    with ssh_open("alice", "display", vm) as p:
        viewer = Rfb(p.talk)
        assert viewer.name == f"QEMU ({vm})"
        picture, before = viewer.picture(), vgtest.screenshot(vm)
        assert not vgtest.is_blank(picture)
        assert picture == before
        # A key pressed through the gate shows on both.
        viewer.type("x")
        vgtest.wait_until(lambda: vgtest.screenshot(vm) != before, what="the letter on the screen")
        vgtest.wait_until(lambda: viewer.picture() == vgtest.screenshot(vm), what="the same picture")
        assert p.hang_up() == 0


@pytest.mark.parametrize("command", ["display {vm}", "display {vm} 0", "display uuid:{uuid}", "display uuid:{uuid} 0",
                                     "display uuid:{upper}"])
def test_names(logins, command):
    for vm, uuid in [("cards2", CARDS2), ("nolisten", NOLISTEN), ("sockvm", SOCKVM)]:
        assert vnc_name(logins("alice"), command.format(vm=vm, uuid=uuid, upper=uuid.upper())) == f"QEMU ({vm})"
    opens_spice(logins("alice"), command.format(vm="spicevm", uuid=SPICEVM, upper=SPICEVM.upper()))


def test_several_spice_channels():
    """A SPICE viewer opens one connection for each channel: main, display, inputs, cursor."""
    with contextlib.ExitStack() as stack:
        for channel in (1, 2, 3, 4):
            p = stack.enter_context(ssh_open("alice", "display", "spicevm"))
            assert vgtest.spice_link(p.talk, channel) == (2, 2, 0)


@pytest.mark.parametrize("template", TCP)
def test_tcp(logins, template):
    assert vnc_name(logins("alice"), tcp(template, CARDS2_PORT)) == "QEMU (cards2)"


@pytest.mark.parametrize("template", UNIX)
def test_socket(logins, template):
    assert vnc_name(logins("alice"), template.replace("PATH", socket_of("sockvm"))) == "QEMU (sockvm)"


@pytest.mark.parametrize("template", UNIX)
def test_gate_path(logins, template):
    alice = logins("alice")
    assert vnc_name(alice, template.replace("PATH", gate_path(NOLISTEN))) == "QEMU (nolisten)"
    opens_spice(alice, template.replace("PATH", gate_path(SPICEVM)))


@pytest.mark.parametrize("listen,port,reached", [
    ("0.0.0.0", 5913, lambda host: True),       # clients write it in many ways
    ("::1", 5914, lambda host: host in LOOPBACK),
])
def test_listens(logins, listen, port, reached):
    """VMs that listen elsewhere, over each client's command line with the host that the client wrote."""
    graphics = f"<graphics type='vnc' port='{port}' autoport='no' listen='{listen}'/>"
    with extra_vm("elsewhere", graphics), granted("elsewhere"):
        alice = logins("alice")
        assert vnc_name(alice, "display elsewhere") == "QEMU (elsewhere)"
        for param in TCP_HOSTS:
            template, = param.values
            host = next(filter(None, HOST.search(template).groups()))
            command = template.replace("PORT", str(port))
            if reached(host):
                assert vnc_name(alice, command) == "QEMU (elsewhere)", command
            else:
                refused(alice.run(command), 77, f"no console for you on '{host} port {port}'")


def test_password(logins):
    """The gate is the authority: a VM's own password is not asked for, and past the gate it is."""
    graphics = "<graphics type='vnc' port='5915' autoport='no' listen='127.0.0.1' passwd='geheim'/>"
    with extra_vm("locked", graphics), granted("locked"):
        with vgtest.Opened(["nc", "127.0.0.1", "5915"]) as p, pytest.raises(vgtest.RfbRefused, match="password"):
            Rfb(p.talk)
        assert vnc_name(logins("alice"), "display locked") == "QEMU (locked)"
        assert vnc_name(logins("alice"), tcp(TCP[0].values[0], 5915)) == "QEMU (locked)"
        assert b"geheim" not in b"".join(logins("alice").run("info", *json, "locked").stdout for json in ([], ["--json"]))


def test_second_display(logins):
    """Two of them: the number picks."""
    graphics = ("<graphics type='vnc'><listen type='none'/></graphics>"
                "<graphics type='spice'><listen type='none'/></graphics>")
    with extra_vm("double", graphics) as uuid, granted("double"):
        alice = logins("alice")
        assert vnc_name(alice, "display double 0") == "QEMU (double)"
        opens_spice(alice, "display double 1")
        opens_spice(alice, f"nc -U /run/virtgate/display/{uuid}/1")
        refused(alice.run("display double 2"), 69, "'double' has no display number 2; it has 2")


def test_shared():
    """Two viewers of one display, neither disturbs the other."""
    with ssh_open("alice", "display", "nolisten") as one, ssh_open("alice", "display", "nolisten") as two:
        first, second = Rfb(one.talk), Rfb(two.talk)
        assert first.picture() == second.picture()
        assert one.hang_up() == 0
        assert not vgtest.is_blank(second.picture())


def test_end_of_input():
    """A viewer that closes its end is gone, for the VM as well."""
    mark = vgtest.log_mark()
    with ssh_open("alice", "display", "cards2") as p:
        Rfb(p.talk)
        began = time.monotonic()
        assert p.hang_up() == 0
        assert time.monotonic() - began < 5
        assert p.stderr.read() == b""
    start, = vgtest.records(mark, "start ")
    end, = vgtest.records(mark, f"end session={start['session']}")
    same = {"user": "alice", "vm": "cards2", "uuid": CARDS2, "right": "display", "session": start["session"]}
    assert same.items() <= start.items() and same.items() <= end.items()
    assert start["rule"].startswith("virtgate.ini:") and start["command"] == "display cards2"
    assert int(end["bytes_to_user"]) > 12 and int(end["bytes_from_user"]) > 12


# --- refused ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("template", TCP)
def test_tcp_of_another(logins, template):
    """secret's port: the same as a port that nobody has."""
    for port in (SECRET_PORT, 5999):
        refused(logins("alice").run(tcp(template, port)), 77, f"no console for you on '127.0.0.1 port {port}'")


def test_socket_of_another(logins):
    """The same for one that is there, one that is not, and secret by the gate's own path."""
    secret = UUID.format(2)
    with extra_vm("hidden", "<graphics type='vnc'><listen type='socket'/></graphics>"):
        path = socket_of("hidden")
        for template, in (param.values for param in UNIX):
            for asked, shown in [(path, path), (path + "x", path + "x"), (gate_path(secret), f"uuid:{secret}")]:
                refused(logins("alice").run(template.replace("PATH", asked)), 77, f"no console for you on '{shown}'")


@pytest.mark.parametrize("template", RPC)
def test_rpc(logins, template):
    """For who has no grant at all libvirtd does not hear of it. For who has, test_rpc.py."""
    mallory = logins("mallory")
    vgtest.room_in_log()
    before, mark = vgtest.libvirtd_clients(), vgtest.log_mark()
    refused(mallory.run(template), 77, "there is no virtual machine for you on this host")
    assert vgtest.libvirtd_clients() == before + 1      # the one that counts
    record, = vgtest.records(mark, "refused ")
    assert (record["user"], record["status"]) == ("mallory", "77")


def test_rpc_count(logins):
    """The count above would have seen a client."""
    before = vgtest.libvirtd_clients()
    assert logins("alice").run("list").rc == 0
    assert vgtest.libvirtd_clients() > before + 1


def test_no_display(logins):
    with extra_vm("blind", ""), granted("blind"):
        refused(logins("alice").run("display blind"), 69, "'blind' has no display number 0; it has 0")


@pytest.mark.parametrize("index,status,line", [
    ("1", 69, "'cards2' has no display number 1; it has 1"),
    ("255", 69, "'cards2' has no display number 255; it has 1"),
    *((index, 64, f"display: expected an index from 0 to 255, not '{index}'")
      for index in ("256", "-1", "4294967296", "18446744073709551616", "00", "0x0", "+0", "1e0")),
])
def test_index(logins, index, status, line):
    refused(logins("alice").run("display", "cards2", index), status, line)


def test_index_of_path(logins):
    path = f"/run/virtgate/display/{CARDS2}"
    refused(logins("alice").run("nc", "-U", f"{path}/1"), 69, "'cards2' has no display number 1; it has 1")
    for index in ("256", "-1", "4294967296", "", "0/", "./0"):
        result = logins("alice").run("nc", "-U", f"{path}/{index}")
        assert (result.rc, result.stdout) == (64, b"") and result.stderr.startswith(b"virtgate: expected ")


def test_terminal_is_no_viewer():
    """A screen's bytes on a terminal help nobody, and could act on it."""
    result = vgtest.ssh("alice", "display", "cards2", tty=True)
    assert (result.rc, result.stdout) == (64, b"virtgate: a display is for a viewer, not for a terminal: ssh -T, or see "
                                          b"virtgate-shell(1)\r\n")
