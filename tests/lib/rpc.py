"""libvirt's protocol through the gate, for the tests: by stock virsh, by python3-libvirt, and by a client that says what it
likes."""
import os
import pathlib
import re
import struct

import vgtest
from vgtest import ssh_open, wait_until

UUID = "c0ffee00-0000-4000-8000-00000000000{}"
CARDS2, SECRET, NOLISTEN, NOBODY = UUID.format(1), UUID.format(2), UUID.format(3), UUID.format(9)
MINE = ["cards2", "nolisten", "sockvm", "spicevm"]
DENIED, NO_DOMAIN = 29, 42

# Lines for a user of the tests that has every right on one machine.
ALL_RIGHTS = "display = mallory\nserial = mallory\npower = mallory\ntakeover = mallory\n"


def uri(user, driver="qemu", path="system", transport="ssh", query=""):
    return f"{driver}+{transport}://{user}@127.0.0.1/{path}{query}"


def virsh(user, *words, readonly=False, connect=None, timeout=60):
    return vgtest.run("virsh", "-q", *(["-r"] if readonly else []), "-c", connect or uri(user), *words, timeout=timeout)


def said(user, *words, **more):
    """What virsh says when it succeeds."""
    result = virsh(user, *words, **more)
    assert (result.rc, result.stderr) == (0, b""), result
    return result.stdout.decode().strip()


def complaint(user, *words, **more):
    """What virsh says when it fails."""
    result = virsh(user, *words, **more)
    assert result.rc == 1, result
    return result.stderr.decode().strip()


def names(text):
    return sorted(text.split())


def console(user, *words, connect=None):
    return vgtest.Opened(["script", "-qefc", f"virsh -c '{connect or uri(user)}' console {' '.join(words)}", "/dev/null"])


LISTENER = """
import sys, threading, libvirt
libvirt.virEventRegisterDefaultImpl()
conn = libvirt.open(sys.argv[1])
def told(conn, dom, event, detail, opaque):
    print(dom.name(), event, flush=True)
conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, told, None)
conn.registerCloseCallback(lambda *a: print("closed", flush=True), None)
conn.setKeepAlive(5, 3)
print("ready", sorted(d.name() for d in conn.listAllDomains()), conn.numOfDomains(), sorted(conn.listDefinedDomains()),
      len(conn.listDomainsID()), flush=True)
while True:
    libvirt.virEventRunDefaultImpl()
"""


def listener(user):
    return vgtest.Opened(["/usr/bin/python3", "-c", LISTENER, uri(user)])


# --- a client that says what it likes --------------------------------------------------------------------------------

REMOTE, KEEPALIVE = 0x20008086, 0x6B656570
CALL, REPLY, EVENT, STREAM = range(4)


def text(value):
    value = value.encode()
    return struct.pack(">I", len(value)) + value + b"\0" * (-len(value) % 4)


def domain(name, uuid, ident=-1):
    return text(name) + bytes.fromhex(uuid.replace("-", "")) + struct.pack(">i", ident)


def shell_open(user, command):
    """virtgate-shell as sshd starts it, without sshd: in a tenth of the time."""
    return vgtest.Opened(["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "env", "-i", f"SSH_ORIGINAL_COMMAND={command}",
                          "/usr/bin/virtgate-shell"])


class Raw:
    """A connection to the gate's libvirt on which anything can be said."""

    def __init__(self, user, helper="virt-ssh-helper qemu:///system", opened=True, sshd=True):
        self.process = ssh_open(user, helper) if sshd else shell_open(user, helper)
        self.talk = self.process.talk
        self.serial = 0
        if opened:
            assert self.call(1, b"\0\0\0\1" + text("qemu:///system") + b"\0\0\0\0") == (0, b"")

    def send(self, procedure, payload=b"", kind=CALL, program=REMOTE, serial=None, status=0):
        if serial is None:
            self.serial += 1
            serial = self.serial
        self.talk.write(struct.pack(">7I", 28 + len(payload), program, 1, procedure, kind, serial, status) + payload)

    def receive(self):
        size, program, _, procedure, kind, serial, status = struct.unpack(">7I", self.talk.read(28))
        return procedure, kind, serial, status, self.talk.read(size - 28)

    def call(self, procedure, payload=b"", program=REMOTE):
        """The code of the error, or 0; and the payload."""
        self.send(procedure, payload, program=program)
        while True:
            got, kind, serial, status, payload = self.receive()
            if (kind, serial) == (REPLY, self.serial):
                assert got == procedure
                return (struct.unpack(">I", payload[:4])[0] if status else 0), payload

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.__exit__()


# --- the filter's processes ------------------------------------------------------------------------------------------

def is_live(pid):
    """It serves somebody: only then its system calls are filtered."""
    try:
        return re.search(r"Seccomp:\s+2", pathlib.Path(f"/proc/{pid}/status").read_text()) is not None
    except OSError:     # it has gone meanwhile
        return False


def live():
    return [pid for pid in vgtest.processes("virtgate-rpc") if is_live(pid)]


def serving():
    """The one filter that serves somebody."""
    (pid,) = wait_until(live, what="a filter that serves somebody")
    return pid


def upstream_of(pid):
    """The name of the socket of libvirtd's that the filter is connected to, and whether libvirtd lets it only read."""
    sockets = [re.search(r" (\S*) +(\d+) +\* (\d+)", line).groups() for line in
               vgtest.run("ss", "-Hx", "state", "established").stdout.decode().splitlines()]
    path_of = {peer: path for path, _, peer in sockets if path.startswith("/")}
    mine = [os.readlink(fd)[8:-1] for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir() if os.readlink(fd).startswith("socket:")]
    (path,) = (path_of[inode] for inode in mine if inode in path_of)
    return os.path.basename(path), client_info(pid)["readonly"] == "yes"


def client_info(pid):
    """What libvirtd says of a client of its."""
    for ident in re.findall(r"(?m)^ (\d+) ", vgtest.virt_admin("client-list", vgtest.LIBVIRTD).stdout.decode()):
        said = vgtest.virt_admin("client-info", vgtest.LIBVIRTD, ident).stdout.decode()
        info = dict(re.findall(r"(?m)^(\w+) *: (.*)$", said))
        if info.get("unix_process_id") == str(pid):
            return info
    raise AssertionError(f"libvirtd has no client {pid}")


def memory_of(pid):
    """Its proportional share of memory, in KiB."""
    return int(re.search(r"^Pss:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
