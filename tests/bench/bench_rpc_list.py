#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`virsh list --all --name` on a host with 504 machines, of which the user is granted 112: through the gate; by libvirtd
without access control; and by a second libvirtd with its own polkit access driver, which has the same machines and grants the
same. Then the list alone, on connections that are open: most of the former is the start of virsh and ssh. Run inside
`tests/sandbox --up`."""
import os
import pathlib
import subprocess
import sys

import libvirt

import rpc_bench
from rpc_bench import in_turn, ratio, run, tell, timed, uri, vgtest

RUNS = int(os.environ.get("RUNS", "20"))
MINE, ALL = 112, 504
ACL_RUN = "/run/libvirt-acl"
RULES = """
polkit.addRule(function(action, subject) {
    if (action.id.indexOf("org.libvirt.api.") != 0 || subject.user != "carol")
        return polkit.Result.NOT_HANDLED;
    if (action.id.indexOf("org.libvirt.api.domain.") != 0)
        return polkit.Result.YES;
    return action.lookup("domain_name").indexOf("lab-") == 0 ? polkit.Result.YES : polkit.Result.NO;
});
"""
# Its own state and configuration, with the same machines in it; nothing but its socket is seen from outside.
SECOND = f"""
set -eu
for folder in /etc/libvirt /var/lib/libvirt /run/libvirt; do
    rm -rf /tmp/acl
    mkdir -p /tmp/acl
    mount -t tmpfs none /tmp/acl
    [ $folder = /run/libvirt ] || cp -a $folder/. /tmp/acl
    mount --move /tmp/acl $folder
done
rm -rf /var/lib/libvirt/qemu/domain-*
cat >> /etc/libvirt/libvirtd.conf <<'EOF'
unix_sock_dir = "{ACL_RUN}"
access_drivers = ["polkit"]
log_outputs = "2:file:/var/log/libvirt/acl.log"
EOF
exec libvirtd -f /etc/libvirt/libvirtd.conf -p {ACL_RUN}/libvirtd.pid
"""


def define():
    have = len(vgtest.virsh("list", "--all", "--name").split())
    names = [f"lab-{n:03}" for n in range(MINE)] + [f"other-{n:03}" for n in range(ALL - MINE - have)]
    rpc_bench.define_domains(f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>"
                             "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>" for name in names)
    # The same twice: by a pattern, and name by name.
    vgtest.set_acl("[user alice]\ndisplay = lab-*\n" + "".join(f"[vm lab-{n:03}]\nserial = bob\n" for n in range(MINE)))


def start_second():
    pathlib.Path("/etc/polkit-1/rules.d/10-bench.rules").write_text(RULES)
    os.makedirs(ACL_RUN)
    second = subprocess.Popen(["unshare", "--mount", "bash", "-c", SECOND], start_new_session=True)
    vgtest.wait_until(lambda: pathlib.Path(ACL_RUN, "libvirt-sock").exists(), 20, "the second libvirtd")
    return second


def list_names(connect):
    done = run("virsh", "-q", "-c", connect, "list", "--all", "--name", stdout=subprocess.PIPE)
    return done.stdout.split()


# Only by nc can a client name a socket; by default virsh has virt-ssh-helper started, which takes longer to start.
NC = "?mode=legacy"
KINDS = [
    ("no gate, no access control, nc", uri("carol", NC)),
    ("gate, granted by a pattern, nc", uri("alice", NC)),
    ("gate, granted name by name, nc", uri("bob", NC)),
    ("no gate, no access control", uri("carol")),
    ("gate, granted by a pattern", uri("alice")),
    ("libvirtd's polkit access driver, nc", uri("carol", f"{NC}&socket={ACL_RUN}/libvirt-sock")),
]
PLAIN_NC, GATE_NC, NAMES_NC, PLAIN, GATE, POLKIT = (name for name, _ in KINDS)


def check():
    """What is compared does the same."""
    found = {name: list_names(connect) for name, connect in KINDS}
    for name, names in found.items():
        if len(names) != (ALL if name in (PLAIN, PLAIN_NC) else MINE) or not set(names) <= set(found[PLAIN]):
            sys.exit(f"{name}: not the list that was to be measured, but {len(names)} names")


def compare(figures):
    tell(figures)
    for gate, plain in ((GATE_NC, PLAIN_NC), (NAMES_NC, PLAIN_NC), (GATE, PLAIN)):
        print(f"{gate}: {ratio(figures, gate, plain):.2f} of the time without access control, "
              f"{ratio(figures, POLKIT, gate):.1f} times as fast as the polkit driver (medians of pairs)")


def measure_virsh():
    rpc_bench.share_logins("alice", "bob", "carol")
    check()
    figures = in_turn(KINDS, RUNS, lambda connect: timed(list_names, connect), pause=0.1)
    rpc_bench.end_logins("alice", "bob", "carol")
    print(f"virsh list --all --name, {ALL} machines, {MINE} granted; {RUNS} of each in turn, over logins that are open; "
          f"load {rpc_bench.load()}")
    compare(figures)


def measure_call():
    open_ones = [(name, libvirt.open(connect)) for name, connect in KINDS]
    figures = in_turn(open_ones, RUNS, lambda connection: timed(connection.listAllDomains))
    print(f"the list alone, on open connections; {RUNS} of each in turn; load {rpc_bench.load()}")
    compare(figures)
    for _, connection in open_ones:
        connection.close()


def main():
    rpc_bench.let_carol_in()
    define()
    second = start_second()
    try:
        measure_virsh()
        measure_call()
    finally:
        second.terminate()
        second.wait()


main()
