"""libvirt's protocol through the gate: stock clients find the machines that were granted, and nothing else is there."""
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
from rpc import (ALL_RIGHTS, CALL, CARDS2, DENIED, KEEPALIVE, MINE, NO_DOMAIN, NOBODY, REMOTE, REPLY, SECRET, Raw, complaint, console,
                 domain, listener, live, names, said, text, uri, virsh)
from vgtest import extra_vm, settled_log, wait_until

# --- stock virsh --------------------------------------------------------------------------------------------------

def test_list_is_of_the_user():
    assert names(said("alice", "list", "--all", "--name")) == MINE
    assert names(said("bob", "list", "--all", "--name")) == ["cards2"]
    with extra_vm("off", "", start=False), vgtest.acl(vgtest.ACL.read_text() + "\n[vm off]\nserial = bob\n"):
        assert names(said("bob", "list", "--all", "--name")) == ["cards2", "off"]
        assert names(said("bob", "list", "--name")) == ["cards2"]
        assert names(said("bob", "list", "--inactive", "--name")) == ["off"]


def test_nothing_for_nobody():
    assert complaint("mallory", "list").endswith("virtgate: there is no virtual machine for you on this host: "
                                                 "Input/output error")


@pytest.mark.parametrize("words", ["domstate", "dominfo", "domuuid", "dumpxml", "domdisplay", "ttyconsole", "domblklist",
                                   "domiflist", "domstats", "start", "shutdown", "destroy", "reset", "suspend", "console",
                                   "screenshot", "snapshot-list", "undefine", "domjobinfo", "vcpuinfo"])
def test_anothers_is_like_none(words):
    """By name, by uuid and by id: the same text but for what was asked, and secret goes on as before."""
    ident = vgtest.virsh("domid", "secret")
    for mine, none in [("secret", "nosuch"), (SECRET, NOBODY), (ident, "4711")]:
        assert complaint("alice", words, mine).replace(mine, "X") == complaint("alice", words, none).replace(none, "X")
    assert vgtest.virsh("domid", "secret") == ident


READS = [
    ("uri", r"qemu\+ssh://alice@127.0.0.1/system"), ("list", r"(?s).*cards2 +running.*"),
    ("dominfo cards2", rf"(?s)Id: +\d+\nName: +cards2\nUUID: +{CARDS2}\nOS Type: +hvm\nState: +running\n.*Security model: .*"),
    ("dumpxml cards2", rf"(?s)<domain .*<uuid>{CARDS2}</uuid>.*</domain>\n*"),
    ("domstats cards2", r"(?s)Domain: 'cards2'.*state.state=1.*"),
    ("domstate cards2", r"running"), ("domid cards2", r"\d+"), ("domuuid cards2", CARDS2),
    (f"domname {CARDS2}", "cards2"), ("domdisplay cards2", f"vnc\\+unix:///run/virtgate/display/{CARDS2}/0"),
    ("domdisplay spicevm", "spice\\+unix:///run/virtgate/display/.*/0"),
    ("ttyconsole cards2", r"/dev/pts/\d+"), ("domiflist cards2", ""), ("domblklist cards2", "hda +/var/.*cards2.img"),
    ("domblkinfo cards2 hda", "(?s)Capacity: +1048576.*"), ("domcontrol cards2", "ok"), ("dommemstat cards2", "(?s).*rss.*"),
    ("domblkstat cards2 hda", "(?s).*rd_req.*"), 
    ("vcpucount cards2", "(?s).*current.*"), ("domjobinfo cards2", "(?s).*None.*"), ("nodeinfo", "(?s)CPU model: .*"),
    ("version", "(?s).*QEMU.*"), ("hostname", "virtgate-lab"), ("capabilities", "(?s)<capabilities>.*"),
    ("domcapabilities", "(?s)<domainCapabilities>.*"), ("net-list --all", ""), ("pool-list --all", ""), ("iface-list --all", ""),
    ("nodedev-list", ""), ("secret-list", ""), ("nwfilter-list", ""), ("snapshot-list cards2", ""),
    ("checkpoint-list cards2", ""), ("desc cards2 --title", ""),
]


@pytest.mark.parametrize("line, pattern", READS)
def test_reading(line, pattern):
    assert re.fullmatch(pattern, said("alice", *line.split()))


@pytest.mark.parametrize("vm, kind", [("cards2", "vnc"), ("nolisten", "vnc"), ("sockvm", "vnc"), ("spicevm", "spice")])
def test_displays_are_paths(vm, kind):
    """Whatever the VM listens on. There are no ports, and vncdisplay tells ports: it says what it says of a VM that listens
    on a socket, and the same to who may not see the screen."""
    assert said("alice", "domdisplay", vm) == f"{kind}+unix:///run/virtgate/display/{vgtest.cast('vm_uuid', vm)}/0"
    none = vgtest.run("virsh", "-q", "vncdisplay", "sockvm")
    assert (none.rc, none.stderr.strip()) == (1, b"error: Failed to get VNC port. Is this domain using VNC?")
    for user in ("alice", "bob") if vm == "cards2" else ("alice",):
        assert virsh(user, "vncdisplay", vm) == none
    assert vgtest.virsh("vncdisplay", "cards2") == "127.0.0.1:3"


def test_stats_are_of_the_user():
    found = set(re.findall("Domain: '(.*)'", said("alice", "domstats")))
    assert found == set(MINE)
    assert "secret" not in said("alice", "domstats", "--list-active")


def test_xml_has_no_secrets():
    graphics = ("<graphics type='vnc' port='5977' autoport='no' listen='127.0.0.1' passwd='geheim'/>"
                "<graphics type='spice' autoport='no' port='5978' passwd='geheim'/>")
    with extra_vm("locked", graphics, start=False) as uuid:
        with vgtest.acl(vgtest.ACL.read_text() + "\n[vm locked]\ndisplay = alice\nserial = bob\n"):
            for options in (["--migratable", "--security-info"], ["--inactive", "--security-info"], ["--security-info"]):
                xml = said("alice", "dumpxml", "locked", *options)
                assert "passwd" not in xml and "geheim" not in xml and "597" not in xml
            assert re.findall(r"<listen type='socket' socket='(.*?)'/>", xml) == [f"/run/virtgate/display/{uuid}/{n}" for n in (0, 1)]
            assert "<serial" not in xml and "<console" not in xml
            xml = said("bob", "dumpxml", "locked", "--security-info")
            assert "<graphics" not in xml and "<serial" in xml
            assert "geheim" in vgtest.virsh("dumpxml", "locked", "--security-info")


def test_power():
    with extra_vm("mill", "") as uuid, vgtest.acl(vgtest.ACL.read_text() + "\n[vm mill]\npower = bob\n"):
        for words, state in [("suspend", "paused"), ("resume", "running"), ("reset", "running"), ("destroy", "shut off"),
                             ("start", "running"), ("reboot", "running"), ("shutdown", "running"), ("destroy --graceful", "shut off"),
                             ("start --paused", "paused")]:
            words = words.split()
            said("bob", words[0], "mill", *words[1:])
            wait_until(lambda: vgtest.virsh("domstate", uuid) == state, what=f"{words}")
        assert "access denied" in complaint("bob", "destroy", "cards2")
        assert vgtest.virsh("domstate", "cards2") == "running"


@pytest.mark.parametrize("words", ["undefine mill", "setmem mill 1024", "dump mill /tmp/x", "save mill /tmp/x", "autostart mill",
                                   "qemu-monitor-command mill info --hmp", "managedsave mill", "setvcpus mill 1",
                                   "domrename mill secret2", "snapshot-create mill", "blockresize mill hda 1",
                                   "attach-disk mill /etc/shadow vdb", "start mill --force-boot", "destroy mill --remove-logs",
                                   "net-define /dev/null", "qemu-agent-command mill {}", "migrate mill qemu+ssh://mallory@127.0.0.1/system",
                                   "set-user-password mill root geheim", "attach-device mill /etc/virtgate-device.xml",
                                   "detach-disk mill hda", "define /etc/virtgate-device.xml", "create /etc/virtgate-device.xml",
                                   "send-process-signal mill 1 9", "inject-nmi mill", "start mill --autodestroy"])
def test_never_by_any_right(words):
    device = pathlib.Path("/etc/virtgate-device.xml")       # of the client's machine, which is this one, too
    device.write_text("<disk type='file'><source file='/etc/shadow'/><target dev='vdb'/></disk>" if "device" in words else
                      vgtest.virsh("dumpxml", "secret").replace("secret", "mine"))
    with extra_vm("mill", "", start=not words.startswith("start")), \
            vgtest.acl(vgtest.ACL.read_text() + f"\n[vm mill]\n{ALL_RIGHTS}"):
        before = vgtest.virsh("dumpxml", "mill"), vgtest.virsh("list", "--all", "--name")
        # What a client does not even try, it does not because of what the gate said to it first.
        assert re.search("access denied|not supported", complaint("mallory", *words.split()))
        assert (vgtest.virsh("dumpxml", "mill"), vgtest.virsh("list", "--all", "--name")) == before
    device.unlink()


def test_display_calls(tmp_path):
    said("alice", "screenshot", "cards2", f"{tmp_path}/x")
    assert vgtest.read_png(f"{tmp_path}/x") == vgtest.screenshot("cards2")
    said("alice", "send-key", "cards2", "KEY_A")
    wait_until(lambda: vgtest.read_png(f"{tmp_path}/x") != vgtest.screenshot("cards2"), what="the letter on the screen")
    for words in (["screenshot", "cards2", f"{tmp_path}/y"], ["send-key", "cards2", "KEY_A"]):
        assert "access denied" in complaint("bob", *words)


def test_console():
    with console("bob", "cards2") as first:
        vgtest.ask_greeting(first.talk, "cards2")
        with console("alice", "cards2") as second:
            assert b"Active console session" in second.talk.read_rest()
        with console("alice", "cards2", "--force") as third:
            assert b"access denied" in third.talk.read_rest()
        vgtest.ask_greeting(first.talk, "cards2")
        time.sleep(0.5)     # virsh heeds its escape character only where a read of its terminal begins
        first.talk.write(b"\x1d")
        first.talk.read_rest()
    with console("bob", "cards2", "--devname", "parallel0") as none:
        assert b"access denied" in none.talk.read_rest()


def test_libvirtd_is_taken_leave_of():
    """What breaks off while the guest talks can stop libvirtd for good (take_leave in rpc_loop.c); its log tells which it was."""
    before = len(vgtest.LIBVIRT_LOG.read_bytes())
    try:
        for n in range(5):
            with console("bob", "cards2") as p:
                if n == 0:
                    vgtest.ask_greeting(p.talk, "cards2")
                    p.talk.write(b"F")
                p.talk.read_until(b"xyz\r\n")
                # The filter's client: gone without a word.
                for ssh in vgtest.processes("ssh"):
                    os.kill(ssh, signal.SIGKILL)
            wait_until(lambda: not live(), what="the end of the filter")
    finally:
        with console("bob", "cards2") as p:
            vgtest.ask_greeting(p.talk, "cards2")
    wait_until(lambda: not live(), what="the end of the filter")
    told = vgtest.LIBVIRT_LOG.read_bytes()[before:]
    assert b"End of file while reading data" in told
    assert b"Connection reset" not in told and b"Broken pipe" not in told


def test_takeover():
    with vgtest.acl(vgtest.ACL.read_text() + "\n[vm cards*]\ntakeover = alice\n"):
        with console("bob", "cards2") as first:
            vgtest.ask_greeting(first.talk, "cards2")
            with console("alice", "cards2", "--force") as second:
                vgtest.ask_greeting(second.talk, "cards2")
                first.talk.read_rest()


def test_readonly():
    """Whoever asks for less gets less, from libvirtd itself too."""
    assert said("alice", "domstate", "cards2", readonly=True) == "running"
    assert "read only" in complaint("alice", "destroy", "cards2", readonly=True)
    assert vgtest.virsh("domstate", "cards2") == "running"


@pytest.mark.parametrize("connect", [uri("alice", path="session"), uri("alice", "test", "default"), uri("alice", "lxc", ""),
                                     uri("alice", query="?name=test:///default"), uri("alice", query="?proxy=native&name=qemu:///session")])
def test_other_uris(connect):
    # By virt-ssh-helper the gate refuses; by nc it is the first call that does.
    assert "this gate offers qemu:///system and no other" in complaint("alice", "list", connect=connect)


@pytest.mark.parametrize("query", ["", "?proxy=netcat", "?proxy=native", "?netcat=/bin/nc", "?mode=legacy",
                                   "?socket=/run/libvirt/virtqemud-sock&proxy=netcat"])
def test_ways(query):
    assert names(said("bob", "list", "--all", "--name", connect=uri("bob", query=query))) == ["cards2"]


@pytest.mark.parametrize("transport", ["libssh", "libssh2"])
def test_other_transports(transport):
    query = "?keyfile=/root/.ssh/id_ed25519&known_hosts=/root/.ssh/known_hosts&sshauth=privkey&known_hosts_verify=auto"
    assert names(said("bob", "list", "--all", "--name", connect=uri("bob", transport=transport, query=query))) == ["cards2"]


# --- events -------------------------------------------------------------------------------------------------------

def test_events_and_rename():
    with extra_vm("mill", "") as uuid, listener("bob") as p:
        assert p.talk.read_until(rb"ready .*\n") == b"ready ['cards2'] 1 [] 1\n"
        for vm in ("mill", "secret", "cards2"):
            vgtest.virsh("suspend", vm)
            vgtest.virsh("resume", vm)
        assert p.talk.read_until(rb"cards2 4\r?\n") == b"cards2 3\ncards2 4\n"
        # What is renamed to a name that is the user's comes into view; under another it is gone.
        vgtest.virsh("destroy", uuid)
        with vgtest.acl(vgtest.ACL.read_text()):
            pass
        vgtest.virsh("suspend", "cards2")
        vgtest.virsh("resume", "cards2")
        assert p.talk.read_until(rb"cards2 4\r?\n") == b"cards2 3\ncards2 4\n"


def test_rename_takes_access_away():
    with extra_vm("mill-bob", "", start=False) as uuid, vgtest.acl(vgtest.ACL.read_text() + "\n[vm mill-bob]\npower = bob\n"):
        with Raw("bob") as raw:
            assert raw.call(16, domain("x", uuid))[0] == 0
            vgtest.virsh("domrename", uuid, "mill-eve")
            wait_until(lambda: raw.call(16, domain("x", uuid))[0] == NO_DOMAIN, what="the end of access")
            vgtest.virsh("domrename", uuid, "mill-bob")
            wait_until(lambda: raw.call(16, domain("x", uuid))[0] == 0, what="access")


# --- a client that says what it likes --------------------------------------------------------------------------------

@contextlib.contextmanager
def heard_by_libvirtd():
    """heard(): the procedures of all calls that libvirtd took so far in the block, by its own log."""
    log = pathlib.Path("/var/log/libvirt/heard.log")
    log.unlink(missing_ok=True)
    old = [vgtest.virt_admin(what).stdout.decode().split(":", 1)[1].strip()
           for what in ("daemon-log-filters", "daemon-log-outputs")]
    assert vgtest.virt_admin("daemon-log-filters", "2:rpc").rc == 0
    assert vgtest.virt_admin("daemon-log-outputs", f"2:file:{log}").rc == 0

    def heard():
        found = re.findall(r"RPC_SERVER_CLIENT_MSG_RX: .*prog=(\d+) vers=\d+ proc=(\d+) type=(\d+)", log.read_text())
        return {int(procedure) if int(program) == REMOTE else (int(program), int(procedure))
                for program, procedure, kind in found if int(program) not in (0x06900690, KEEPALIVE)}
    try:
        yield heard
    finally:
        vgtest.virt_admin("daemon-log-outputs", old[1] or f"2:file:{vgtest.LIBVIRT_LOG}")
        vgtest.virt_admin("daemon-log-filters", old[0])


def table():
    """The numbers of the allow-list."""
    source = (vgtest.TREE / "src/rpc/rpc_allow.c").read_text()
    return {int(number) for number in re.findall(r'^    \{ (\d+), "', source, re.M)} - {
        int(number) for number in re.findall(r'^    \{ (\d+), "[A-Z_0-9]+", (?:true|false)', source, re.M)}


def test_nothing_else_reaches_libvirtd():
    """Every number there is, by a user with every right on one machine, with arguments of no, of one and of another machine."""
    allowed = table()
    assert len(allowed) > 90 and 11 not in allowed and 318 not in allowed
    ident = vgtest.virsh("domid", "secret")
    before = vgtest.virsh("dumpxml", "secret")
    with extra_vm("mill", "") as uuid, vgtest.acl(vgtest.ACL.read_text() + f"\n[vm mill]\n{ALL_RIGHTS}"):
        with heard_by_libvirtd() as heard:
            with Raw("mallory") as raw:
                payloads = [b"", *(domain(name, which) + tail for name, which in [("mill", SECRET), ("secret", uuid), ("", SECRET)]
                                   for tail in (b"", b"\0" * 4, b"\0" * 8))]
                for procedure in [*range(0, 520), 2 ** 31, 2 ** 32 - 1]:
                    if procedure == 2:      # CONNECT_CLOSE: libvirtd hangs up
                        continue
                    for payload in payloads:
                        code, _ = raw.call(procedure, payload)
                        if procedure not in allowed:
                            assert code == DENIED
                        elif payload[8:] and bytes.fromhex(SECRET.replace("-", "")) in payload:
                            assert code != 0
                for program in (0x20008087, 0x00068000, 0x06900690, 0):
                    for procedure in range(1, 10):
                        assert raw.call(procedure, domain("mill", uuid), program)[0] == DENIED
            with Raw("mallory") as raw:     # the probe above sees what does reach it
                assert raw.call(16, domain("mill", uuid))[0] == 0
            calls = heard()
            assert {1, 16, 24, 273} <= calls
            assert calls <= allowed | {66, 316}, calls - allowed
    assert vgtest.virsh("domid", "secret") == ident and vgtest.virsh("dumpxml", "secret") == before


def test_uuid_decides():
    with Raw("alice") as raw:
        assert raw.call(16, domain("secret", CARDS2))[0] == 0
        for name in ("cards2", "secret", "nosuch", ""):
            missing = raw.call(16, domain(name, NOBODY))
            found = raw.call(16, domain(name, SECRET))
            assert found[0] == missing[0] == NO_DOMAIN
            assert found[1].replace(SECRET.encode(), NOBODY.encode()) == missing[1]
        for procedure, mine, none in [(23, text("secret"), text("nosuch")),
                                      (24, domain("", SECRET)[4:20], domain("", NOBODY)[4:20])]:
            found, missing = raw.call(procedure, mine), raw.call(procedure, none)
            assert found[0] == missing[0] == NO_DOMAIN
            assert found[1].replace(b"secret", b"nosuch").replace(SECRET.encode(), NOBODY.encode()) == missing[1]


def test_error_is_libvirts():
    """Byte by byte what libvirtd says to somebody who is asked by nobody's leave."""
    result = vgtest.run("virsh", "-q", "domuuid", "nosuch")
    assert result.stderr.decode() == virsh("alice", "domuuid", "nosuch").stderr.decode()
    script = ("import libvirt,sys\nc=libvirt.open(sys.argv[1])\ntry: c.lookupByName(sys.argv[2])\n"
              "except libvirt.libvirtError as e: print(e.get_error_code(), e.get_error_domain(), e.get_error_message(), e.get_str1(), "
              "e.get_str2(), e.get_int1())")
    direct, gate, other = (vgtest.run("/usr/bin/python3", "-c", script, where, name).stdout.decode().splitlines()[-1]
                           for where, name in [("qemu:///system", "nosuch"), (uri("alice"), "nosuch"), (uri("alice"), "secret")])
    assert direct == gate == other.replace("secret", "nosuch")


def test_many_calls_in_flight():
    """10,000 at once: all are answered, and the filter stays small."""
    with Raw("alice") as raw:
        (pid,) = live()
        message = b"".join(struct.pack(">7I", 28 + 32, REMOTE, 1, 16, CALL, n, 0) + domain("cards2", CARDS2) for n in range(10, 10010))
        seen, sent = 0, 0
        data = b""
        end = time.monotonic() + 50
        while seen < 10000 and time.monotonic() < end:
            readable, writable, _ = select.select([raw.talk.reader], [raw.talk.writer] if sent < len(message) else [], [], 10)
            if writable:
                sent += os.write(raw.talk.writer, message[sent:sent + 4096])
            if readable:
                data += os.read(raw.talk.reader, 1 << 16)
                while len(data) >= 4 and len(data) >= (size := struct.unpack(">I", data[:4])[0]):
                    assert data[24:28] == b"\0\0\0\0", data[:size]
                    data = data[size:]
                    seen += 1
        assert seen == 10000
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) < 40000


@pytest.mark.parametrize("data", [b"\0\0\0\x1b" + b"x" * 40, b"\xff" * 64, b"GET / HTTP/1.0\r\n\r\n" + b"x" * 60,
                                  struct.pack(">7I", 28, REMOTE, 1, 4, REPLY, 1, 0)])
def test_protocol_broken(data):
    mark = vgtest.log_mark()
    with Raw("alice") as raw:
        raw.talk.write(data)
        result = raw.process.result()
    assert result.rc == 76 and result.stderr == b"virtgate: the gate did not understand this client\n"
    assert len(settled_log(mark, 'end .* reason="protocol broken by the client"')) == 1


def test_half_a_message():
    """Silence costs nothing but the connection, and the client's end ends it."""
    with Raw("alice") as raw:
        raw.talk.write(struct.pack(">7I", 4 << 20, REMOTE, 1, 4, CALL, 9, 0))
        time.sleep(0.2)
        assert len(live()) == 1
        raw.process.hang_up()
    wait_until(lambda: not live(), what="the end of the filter")


# --- the end ------------------------------------------------------------------------------------------------------

def test_libvirtd_goes_away():
    mark = vgtest.log_mark()
    with Raw("alice") as raw:
        with vgtest.without_libvirtd():
            result = raw.process.result()
            assert (result.rc, result.stderr) == (69, b"virtgate: libvirtd on this host ended the connection; try again\n")
            assert "libvirtd on this host does not answer" in complaint("alice", "list")
    assert len(settled_log(mark, 'end .* reason="libvirtd ended the connection"')) == 1
    wait_until(lambda: virsh("alice", "list").rc == 0, 20, "libvirtd's answer")


def test_reload_cuts_a_changed_view():
    mark = vgtest.log_mark()
    with Raw("alice") as changed, Raw("bob") as same:
        with vgtest.acl(vgtest.ACL.read_text() + "\n[vm nolisten]\ntakeover = alice\n"):
            result = changed.process.result()
            assert (result.rc, result.stderr) == (77, b"virtgate: what you may use here has changed; connect again\n")
            assert same.call(16, domain("x", CARDS2))[0] == 0
    assert len(settled_log(mark, 'end .* reason="grants changed"')) >= 1


def test_what_is_logged():
    mark = vgtest.log_mark()
    with Raw("bob") as raw:
        assert raw.call(11, text("<domain/>"))[0] == DENIED
        assert raw.call(12, domain("x", CARDS2))[0] == DENIED
        assert raw.call(16, domain("x", SECRET))[0] == NO_DOMAIN
    with extra_vm("mill", ""), vgtest.acl(vgtest.ACL.read_text() + "\n[vm mill]\npower = bob\n"):
        said("bob", "destroy", "mill")
    lines = settled_log(mark, "virtgated.* user=bob ")
    kinds = [(line.split("]: ")[1].split()[0], vgtest.fields(line)) for line in lines]
    refusals = [fields for kind, fields in kinds if kind == "refused"]
    assert [fields["reason"] for fields in refusals] == [
        "procedure 11: is not offered", "DOMAIN_DESTROY: needs the right power", "DOMAIN_GET_INFO: not the user's domain, or none"]
    assert refusals[1]["vm"] == "cards2" and "secret" not in str(refusals[2])
    calls = [fields for kind, fields in kinds if kind == "call"]
    assert [(fields["call"], fields["vm"], fields["right"]) for fields in calls] == [("DOMAIN_DESTROY", "mill", "power")]
    assert {kind for kind, _ in kinds} == {"start", "end", "refused", "call"}


def test_terminal_is_no_client():
    result = vgtest.ssh("alice", "virt-ssh-helper qemu:///system", tty=True)
    assert (result.rc, result.stdout) == (64, b"virtgate: a connection to libvirt is for a program such as virsh, not for a "
                                          b"terminal\r\n")


def test_the_filter_goes_with_its_client():
    with Raw("alice"):
        assert len(live()) == 1
    wait_until(lambda: not live(), what="the end of the filter")


def test_confined():
    """What the kernel says of a filter that serves somebody: no new privileges, and system calls are filtered."""
    with Raw("alice"):
        (pid,) = live()
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"NoNewPrivs:\s+1", status) and re.search(r"CapEff:\s+0{16}", status)
