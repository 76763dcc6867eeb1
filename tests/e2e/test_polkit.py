"""libvirtd as Debian ships it: polkit decides who may connect, and lets group libvirt in."""
import pytest

import vgtest
from vgtest import LIBVIRT_CONFIG as CONFIG


@pytest.fixture
def polkit():
    before = CONFIG.read_text()
    lines = [line for line in before.splitlines() if not line.startswith(("auth_unix", "unix_sock"))]
    try:
        CONFIG.write_text("\n".join(lines) + "\n")
        vgtest.end_process(vgtest.LIBVIRTD)
        vgtest.start_libvirtd()
        yield
    finally:
        CONFIG.write_text(before)
        vgtest.end_process(vgtest.LIBVIRTD)
        vgtest.start_libvirtd()


def test_the_gate_is_let_in_and_users_are_not(polkit):
    mark = vgtest.log_mark()
    done = vgtest.ssh("alice", "list")
    assert done.rc == 0 and b"cards2" in done.stdout
    with vgtest.ssh_open("alice", "display", "cards2") as live:
        assert not vgtest.is_blank(vgtest.Rfb(live.talk).picture())
    for user in ("alice", "carol"):
        done = vgtest.run("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups",
                          "virsh", "-c", "qemu:///system", "list")
        assert done.rc != 0 and b"authentication unavailable" in done.stderr
    assert vgtest.log_since(mark, "virtgated.*: start .*user=alice")
