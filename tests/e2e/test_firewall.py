# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host lock alone: who reaches a display's port of this host while `virtgatectl firewall on` is all there is.

carol is an ordinary shell account; sshd's drop-in does not concern her. Each probe runs with the lock off as well, where it
must reach its target, or it proves nothing."""
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest

import sshd_config as conf
import vgtest
from test_sshd_doors import Door, sshd

CTL = shutil.which("virtgatectl")
pytestmark = [pytest.mark.skipif(not CTL, reason="needs virtgatectl"),
              pytest.mark.skipif(not shutil.which("nft"), reason="needs nft")]

QEMU_CONF = pathlib.Path("/etc/libvirt/qemu.conf")
SECRET = 5904                                   # the VNC port of the machine "secret"
RFB = b"RFB 003.008\n"
ORDINARY, PRIVILEGED = ["carol", "alice", "nobody"], ["root", "virtgate", "libvirt-qemu"]


def firewall(*words, user=None, code=0):
    done = subprocess.run([CTL, "firewall", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=20,
                          user=user)
    assert done.returncode == code, done
    return done


@pytest.fixture
def lock():
    firewall("on")
    yield
    firewall("off")


@pytest.fixture
def qemu_conf():
    """Writes qemu.conf for one test."""
    old = QEMU_CONF.read_text()
    yield QEMU_CONF.write_text
    QEMU_CONF.write_text(old)


def tables():
    return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout


def as_user(user, code, *words, stdin=b"", timeout=20):
    """Python code run by the account, nothing of root's left."""
    account = pwd.getpwnam(user)
    return subprocess.run([sys.executable, "-IS", "-c", code, *map(str, words)], input=stdin, capture_output=True,
                          cwd="/",
                          timeout=timeout, user=account.pw_uid, group=account.pw_gid,
                          extra_groups=os.getgrouplist(user, account.pw_gid))


CONNECT = """if True:
    import socket, sys
    host, port, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM, 262 if how == "mptcp" else 0)
    if how == "fastopen":
        s.sendto(b"x", 0x20000000, (host, port))
    else:
        s.settimeout(5)
        s.connect((host, port))
    s.settimeout(5)
    print(s.recv(100))
"""


def reaches(user, port, host="127.0.0.1", how="plain"):
    done = as_user(user, CONNECT, host, port, how)
    if done.returncode == 0:
        return done.stdout != b"b''\n"
    assert b"ConnectionRefusedError" in done.stderr, done.stderr    # at once, and not by a time-out
    return False


@contextlib.contextmanager
def listener(port, host="127.0.0.1"):
    """Says hello to whoever comes."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.create_server((host, port), family=family, backlog=50)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 10)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = server.accept()
                with peer, contextlib.suppress(OSError):
                    peer.settimeout(1)
                    peer.sendall(b"hello")
                    peer.recv(10)       # what a fast opener said; unread, it would make the end a reset
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.close()


# --- who reaches a display -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("user", ORDINARY + PRIVILEGED)
def test_without_the_lock_everybody_does(user):
    assert reaches(user, SECRET)


@pytest.mark.parametrize("user", ORDINARY)
def test_ordinary_accounts_do_not(lock, user):
    assert not reaches(user, SECRET)


@pytest.mark.parametrize("user", PRIVILEGED)
def test_root_qemu_and_virtgate_do(lock, user):
    assert reaches(user, SECRET)


def test_no_port_of_the_range(lock):
    """F4: whether anybody listens there or not."""
    code = """if True:
        import errno, socket
        for port in [*range(5700, 5800), *range(5900, 6000)]:
            for family, host in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
                with socket.socket(family) as s:
                    if s.connect_ex((host, port)) != errno.ECONNREFUSED:
                        print(port)
        print("done")
    """
    assert as_user("mallory", code).stdout == b"done\n"


def test_what_qemu_listens_on(lock):
    """F16, F7: every port of a machine with both kinds of display, the second without a password's protection."""
    graphics = ("<graphics type='vnc' autoport='yes' listen='127.0.0.1' websocket='-1' passwd=''/>"
                "<graphics type='spice' autoport='yes' listen='127.0.0.1' passwd=''/>")
    with vgtest.extra_vm("lockvm", graphics):
        pid = int(pathlib.Path("/run/libvirt/qemu/lockvm.pid").read_text())
        ports = [int(line.split()[3].rpartition(":")[2]) for line in
                 subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True).stdout.splitlines() if f"pid={pid}," in line]
        assert len(ports) == 3, ports
        for port in ports:
            assert as_user("root", CONNECT.replace("print(s.recv(100))", ""), "127.0.0.1", port, "plain").returncode == 0
            for user in ORDINARY:
                assert not reaches(user, port)


@pytest.mark.parametrize("how", ["plain", "mptcp", "fastopen"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "192.0.2.9", "2001:db8::9", "::ffff:127.0.0.1"])
def test_every_way_to_connect(host, how):
    """The host's own addresses are no way around the loopback, nor are the kernel's other kinds of TCP."""
    fastopen = pathlib.Path("/proc/sys/net/ipv4/tcp_fastopen")
    before = fastopen.read_text()
    fastopen.write_text("1543")     # data comes with the first packet, no cookie needed
    for words in ("link add vgveth type veth peer name vgpeer", "link set vgveth up", "link set vgpeer up",
                  "addr add 192.0.2.9/24 dev vgveth", "addr add 2001:db8::9/64 dev vgveth nodad"):
        subprocess.run(["ip", *words.split()], check=True)
    try:
        with listener(5950, "::" if ":" in host and not "." in host else "0.0.0.0"):
            if as_user("root", CONNECT, host, 5950, how).returncode:
                pytest.skip(f"needs {how} to {host}")
            assert reaches("carol", 5950, host, how)
            firewall("on")
            assert not reaches("carol", 5950, host, how)
            assert reaches("root", 5950, host, how)
    finally:
        firewall("off")
        subprocess.run(["ip", "link", "del", "vgveth"], check=True)
        fastopen.write_text(before)


# --- the ways of the original problem ------------------------------------------------------------------------------

CAROL = Door("carol", 22)
COMMANDS = {
    "nc": "nc -w 1 127.0.0.1 5904 < /dev/null",
    "dev_tcp": "exec 3<>/dev/tcp/127.0.0.1/5904 && head -c 12 <&3",
    "socat": "socat - TCP:127.0.0.1:5904 < /dev/null",
    # What virt-viewer sends over its second connection.
    "virt_viewer": "sh -c 'if (command -v socat) >/dev/null 2>&1; then socat - TCP:127.0.0.1:5904; else nc 127.0.0.1 "
                   "5904; fi' < /dev/null",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_from_a_shell(name):
    """Over ssh, as carol."""
    assert CAROL.run(command=COMMANDS[name]).stdout.startswith(RFB)
    firewall("on")
    try:
        out = CAROL.run(command=COMMANDS[name])
        assert out.stdout == b"" and out.returncode != 0
    finally:
        firewall("off")


def test_ssh_stdio_forward():
    """A1: sshd connects as the user, and the kernel knows it."""
    assert CAROL.run("-W", "127.0.0.1:5904").stdout.startswith(RFB)
    firewall("on")
    try:
        out = CAROL.run("-W", "127.0.0.1:5904")
        assert out.stdout == b"" and out.returncode != 0
    finally:
        firewall("off")


def test_gate_user_without_the_drop_in(tmp_path, lock):
    """sshd lets alice forward, for the drop-in is lost: this lock still stands."""
    with sshd(conf.copy(tmp_path, without=conf.OURS)) as port:
        alice = Door("alice", port)
        assert alice.run("-W", "127.0.0.1:5904").stdout == b""
        firewall("off")
        assert alice.run("-W", "127.0.0.1:5904").stdout.startswith(RFB)


@contextlib.contextmanager
def screen():
    if not shutil.which("Xvfb") or not shutil.which("virt-viewer"):
        pytest.skip("needs Xvfb and virt-viewer")
    reader, writer = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(writer), "-screen", "0", "800x600x24"], pass_fds=[writer],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        yield ":" + os.read(reader, 20).decode().strip()
    finally:
        os.close(reader)
        server.terminate()
        server.wait()


def watched():
    """Connections to secret's display, as their makers have them: QEMU does not learn of one that the lock has cut until it
    has something to say."""
    out = subprocess.run(["ss", "-tnH", "state", "established", f"( dport = :{SECRET} )"], capture_output=True, text=True)
    return out.stdout.splitlines()


@contextlib.contextmanager
def virt_viewer(display):
    """Stock virt-viewer, as in the original problem."""
    viewer = subprocess.Popen(["virt-viewer", "-c", "qemu+ssh://carol@127.0.0.1/system", "--debug", "secret"],
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "DISPLAY": display})
    try:
        yield viewer
    finally:
        viewer.kill()
        viewer.communicate()


def test_virt_viewer():
    with screen() as display:
        vgtest.wait_until(lambda: not watched())
        with virt_viewer(display):
            vgtest.wait_until(watched, deadline=20, what="a connection of virt-viewer")
        vgtest.wait_until(lambda: not watched())
        firewall("on")
        try:
            with virt_viewer(display) as viewer:
                end = time.monotonic() + 5
                while time.monotonic() < end and viewer.poll() is None:
                    assert not watched()
                    time.sleep(0.05)
        finally:
            firewall("off")


# --- what goes on --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("port", [5600, 5850, 6000, 6010, 6379, 8080, 16509, 40000])
def test_other_services_go_on(lock, port):
    """X11 forwarding, a database, a web server: as before, by anybody."""
    with listener(port):
        assert reaches("carol", port)


def test_gate_goes_on(lock):
    """A display whose port is closed opens through the gate; alice's own connection to it does not."""
    assert not reaches("alice", 5903)
    with vgtest.ssh_open("alice", "display", "cards2") as viewer:
        assert vgtest.Rfb(viewer.talk).width > 0


def test_libvirt_goes_on(lock):
    with vgtest.extra_vm("lockvm", "<graphics type='vnc' autoport='yes' listen='127.0.0.1' websocket='-1'/>"):
        port = 5900 + int(vgtest.virsh("-q", "vncdisplay", "lockvm").strip().rpartition(":")[2])
        assert reaches("root", port) and not reaches("carol", port)
        vgtest.virsh("screenshot", "lockvm", "/tmp/lockvm.ppm")


def test_what_is_open_is_cut_unless_it_may(place):
    """Turning the lock on ends what an ordinary account has open already."""
    code = """if True:
        import socket, sys
        s = socket.create_connection(("127.0.0.1", 5904), 5)
        print(s.recv(12), flush=True)
        sys.stdin.readline()
        try:
            s.sendall(b"RFB 003.008\\n")
            print(s.recv(10) != b"")
        except OSError as e:
            print(e)
    """
    found = {}
    running = {}
    for user in ("carol", "root"):
        account = pwd.getpwnam(user)
        running[user] = subprocess.Popen([sys.executable, "-IS", "-c", code], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE,
                                         user=account.pw_uid, group=account.pw_gid, extra_groups=[])
        assert b"RFB" in running[user].stdout.readline()
    firewall("on")
    try:
        for user, process in running.items():
            found[user] = process.communicate(b"\n", timeout=20)[0]
    finally:
        firewall("off")
    assert found["root"] == b"True\n" and b"reset" in found["carol"], found


def test_no_state(lock):
    """Nothing is kept for a connection: no connection tracking is asked for, and nothing of the table grows."""
    text = firewall("show").stdout
    assert not re.search(r"\b(ct|limit|counter|quota|dynamic|update|add)\b", text)
    count = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_count")
    before = count.read_text() if count.exists() else None
    for _ in range(20):
        assert not reaches("carol", SECRET)
    assert firewall("show").stdout == text
    assert (count.read_text() if count.exists() else None) == before


# --- on, off, show -------------------------------------------------------------------------------------------------

def test_on_and_off_again():
    firewall("off")
    before = tables()
    firewall("show", code=69)
    for _ in range(2):
        assert "5700-5799, 5900-5999" in firewall("on").stdout
    shown = firewall("show").stdout
    assert "5700-5799, 5900-5999" in shown and shown in tables()
    for _ in range(2):
        firewall("off")
    assert tables() == before
    firewall("show", code=69)


def test_dry_run_changes_nothing():
    before = tables()
    text = firewall("on", "--dry-run").stdout
    assert tables() == before
    subprocess.run(["nft", "-c", "-f", "-"], input=text, text=True, check=True)


def test_other_tables_stay(lock):
    subprocess.run(["nft", "-f", "-"], input="table inet other {\nchain o {\ntype filter hook output priority -10; "
                   "policy accept;\ntcp dport 5904 accept\n}\n}\n", text=True, check=True)
    try:
        assert not reaches("carol", SECRET)     # another table's yes is none of ours
        firewall("on")
        firewall("off")
        assert "table inet other" in tables()
    finally:
        subprocess.run(["nft", "delete", "table", "inet", "other"], check=True)


def test_never_open_while_it_is_loaded_again(lock):
    """The table is replaced as a whole, with another one beside it: there is no moment without."""
    code = """if True:
        import socket, sys
        end = __import__("time").monotonic() + float(sys.argv[1])
        tries = 0
        while __import__("time").monotonic() < end:
            with socket.socket() as s:
                tries += 1
                if s.connect_ex(("127.0.0.1", 5904)) == 0:
                    print("reached"); break
        print(tries)
    """
    done = []
    thread = threading.Thread(target=lambda: done.append(as_user("carol", code, 3)))
    thread.start()
    times = 0
    while thread.is_alive():
        firewall("on")
        times += 1
    thread.join()
    assert times > 10 and done[0].stdout.split()[0].isdigit() and int(done[0].stdout) > 100, done
    assert re.findall(r"table inet virtgate\w*", tables()) == ["table inet virtgate"]


@pytest.mark.parametrize("word, left", [("on", ["table inet virtgate"]), ("off", [])])
def test_killed_in_the_middle(lock, word, left):
    """The second table that was left behind refuses like the first, and goes with the next on or off."""
    shown = firewall("show").stdout
    subprocess.run(["nft", "-f", "-"], input=shown.replace("inet virtgate", "inet virtgate_guard"), text=True, check=True)
    subprocess.run(["nft", "delete", "table", "inet", "virtgate"], check=True)
    assert not reaches("carol", SECRET) and reaches("root", SECRET)
    firewall(word)
    assert re.findall(r"table inet virtgate\w*", tables()) == left


def test_for_root_alone(lock):
    for words in (["on"], ["off"]):
        assert "only root" in firewall(*words, user="carol", code=77).stderr
    assert not reaches("carol", SECRET)


@pytest.mark.parametrize("words", [[], ["up"], ["on", "now"], ["off", "--allow", "root"], ["show", "--dry-run"],
                                   ["on", "--ports", "0"], ["on", "--ports", "5-4"], ["on", "--ports", "1,"],
                                   ["on", "--ports", "65536"], ["on", "--ports", "http"], ["on", "--json"]])
def test_usage(words):
    firewall(*words, code=64)
    firewall("show", code=69)


# --- ports and accounts --------------------------------------------------------------------------------------------

def ports(text=""):
    shown = firewall("on", "--dry-run", *text).stdout
    return shown.split("elements = { ")[1].split(" }")[0]


def test_ports_of_qemu_conf(qemu_conf):
    qemu_conf('security_driver = "none"\nremote_display_port_min = 6000 # here\nremote_display_port_max = 6003\n'
              'cgroup_device_acl = [\n  "/dev/null", # a comment\n  "/dev/kvm",\n]\n')
    assert ports() == "5700-5799, 6000-6003"
    assert ports(["--ports", "7000,7002-7004"]) == "5700-5799, 6000-6003, 7000, 7002-7004"


@pytest.mark.parametrize("text, said", [
    ("remote_display_port_min = \"5900\"\n", "line 1: expected a port number"),
    ("\n\nremote_display_port_max = 70000\n", "line 3: expected a port number"),
    ("remote_display_port_min = 6000\nremote_display_port_max = 5999\n", "above"),
    ("remote_display_port_min = 1\nremote_display_port_min = 2\n", "line 2: remote_display_port_min is given twice"),
    ("user = [ \"a\" ]\n", "line 1: expected the name"),
    ("what is this\n", "line 1: expected ="),
    ("x = \"no end\n", "line 1: a string does not end"),
    ("user = \"no-such-account\"\n", "no such account"),
])
def test_qemu_conf_that_is_not_understood(qemu_conf, lock, text, said):
    """No guess, no half a lock: the one that is on stays."""
    before = firewall("show").stdout
    qemu_conf(text)
    done = subprocess.run([CTL, "firewall", "on"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == (67 if said == "no such account" else 78) and said in done.stderr, done
    assert firewall("show").stdout == before


def test_account_of_qemu_conf(qemu_conf):
    """QEMU may run as somebody else, and libvirt's usual account is nobody special then."""
    qemu_conf('user = "+12345"\n')
    firewall("on")
    try:
        assert "12345" in firewall("show").stdout.split("chain")[0]
        assert not reaches("libvirt-qemu", SECRET)
    finally:
        firewall("off")


def test_allow():
    """More accounts, by name or group."""
    firewall("on", "--allow", "carol,@virtgate-users")
    try:
        assert reaches("carol", SECRET) and reaches("alice", SECRET) and not reaches("nobody", SECRET)
        firewall("on", "--allow", "vg-nobody-here", code=67)
        firewall("on", "--allow", "@vg-nobody-here", code=67)
        assert reaches("carol", SECRET)
        firewall("on", "--allow", "@carol")
        assert reaches("carol", SECRET) and not reaches("alice", SECRET)
    finally:
        firewall("off")
