"""Stock virt-viewer and virt-manager through sshd: their windows show the screen of the VM that was asked for."""
import contextlib
import re

import pytest

import gui
import vgtest
from vgtest import extra_vm, wait_until

ADDRESS = "port='{}' autoport='no' listen='127.0.0.1'"

# Beside the cast: what it lacks for VNC and SPICE, each by address, by socket and nowhere, and passwords.
EXTRA = {
    "spiceaddr": f"<graphics type='spice' {ADDRESS.format(5931)}/>",
    "spicesock": "<graphics type='spice'><listen type='socket'/></graphics>",
    "vncpass": f"<graphics type='vnc' {ADDRESS.format(5932)} passwd='geheim'/>",
    "spicepass": f"<graphics type='spice' {ADDRESS.format(5933)} passwd='geheim'/>",
    "mill": "<graphics type='vnc'><listen type='none'/></graphics>",       # is started and stopped
}
CAST = ["cards2", "nolisten", "sockvm", "spicevm"]
SECRET, NOBODY = "c0ffee00-0000-4000-8000-000000000002", "c0ffee00-0000-4000-8000-000000000009"


def uri(user):
    return f"qemu+ssh://{user}@{vgtest.HOST}/system"


def granted(user, *vms, rights=("display", "power")):
    lines = "".join(f"\n[vm {vm}]\n" + "".join(f"{right} = {user}\n" for right in rights) for vm in vms)
    return vgtest.acl(vgtest.ACL.read_text() + lines)


@pytest.fixture(scope="module")
def vms():
    """All grants are made at once: a change of them would end the connections of clients that run."""
    with contextlib.ExitStack() as stack:
        for name, graphics in EXTRA.items():
            stack.enter_context(extra_vm(name, graphics, start=False))
        vgtest.cast("vm_start", *EXTRA)
        vgtest.cast("vm_wait", *EXTRA)
        stack.enter_context(granted("alice", *EXTRA))
        yield


@pytest.fixture(scope="module")
def desktop():
    with gui.Desktop() as made:
        yield made


def viewer(desktop, user, *words):
    return desktop.start("virt-viewer", "-c", uri(user), *words)


def screen_of(vm):
    """virt-viewer's window."""
    return rf"^{vm} \(1\)"


def sessions(mark, user, vm):
    return vgtest.settled_log(mark, f"virtgated.* start .*user={user} .*vm={vm} .*right=display ")


# --- virt-viewer ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("vm", [*CAST, "spiceaddr", "spicesock", "vncpass", "spicepass"])
def test_viewer(desktop, vms, vm):
    mark = vgtest.log_mark()
    with viewer(desktop, "alice", vm) as client:
        picture = client.shows(screen_of(vm), vm)
        # The comparison sees a difference.
        assert not gui.find(vgtest.screenshot("secret"), picture)
        # SPICE has a connection for each channel: main, display, inputs, cursor.
        channels = 4 if vm.startswith("spice") else 1
        wait_until(lambda: len(sessions(mark, "alice", vm)) >= channels, what=f"{channels} connections")
        assert client.poll() is None
    commands = [vgtest.fields(line)["command"] for line in sessions(mark, "alice", vm)]
    path = f"/run/virtgate/display/{vgtest.cast('vm_uuid', vm)}/0"
    assert all(f"socat - UNIX-CONNECT:{path};" in line for line in commands)
    assert len(commands) == 1 or vm.startswith("spice")


@pytest.mark.parametrize("vm", ["nolisten", "spicevm"])
def test_viewer_types(desktop, vms, vm):
    with viewer(desktop, "alice", vm) as client:
        client.shows(screen_of(vm), vm)
        before = vgtest.screenshot(vm)

        def typed():
            # SPICE takes no key before a connection of its own is there.
            client.type(screen_of(vm), "x")
            return vgtest.screenshot(vm) != before
        wait_until(typed, what="the letter on the screen")
        assert not gui.find(before, client.shows(screen_of(vm), vm))


def test_viewer_attach(desktop, vms):
    """--attach asks for a descriptor, which no ssh can carry; virt-viewer then takes the tunnel."""
    mark = vgtest.log_mark()
    with viewer(desktop, "alice", "--attach", "nolisten") as client:
        client.shows(screen_of("nolisten"), "nolisten")
        assert len(sessions(mark, "alice", "nolisten")) == 1


def says(client, text):
    wait_until(lambda: gui.patient(lambda: client.window("").find("label", text)), 20, f"{text!r} in a window")


def test_viewer_waits(desktop, vms):
    vgtest.virsh("destroy", "mill")
    mark = vgtest.log_mark()
    with viewer(desktop, "alice", "--wait", "mill") as client:
        says(client, "Waiting for guest domain to start")
        assert not sessions(mark, "alice", "mill")
        vgtest.cast("vm_start", "mill")
        client.shows(screen_of("mill"), "mill")


def test_viewer_reconnects(desktop, vms):
    with viewer(desktop, "alice", "--reconnect", "mill") as client:
        client.shows(screen_of("mill"), "mill")
        vgtest.virsh("send-key", "mill", "KEY_Q")     # what the next run does not show
        old = client.shows(screen_of("mill"), "mill")
        vgtest.virsh("destroy", "mill")
        says(client, "Waiting for guest domain to re-start")
        vgtest.cast("vm_start", "mill")
        vgtest.cast("vm_wait", "mill")
        assert not gui.find(vgtest.screenshot("mill"), old)
        client.shows(screen_of("mill"), "mill")


def test_viewer_ends_with_its_grant(desktop, vms):
    with viewer(desktop, "alice", "mill") as client:
        client.shows(screen_of("mill"), "mill")
        with vgtest.acl(vgtest.ACL.read_text().replace("\n[vm mill]\ndisplay = alice\n", "\n[vm mill]\n")):
            assert client.wait(timeout=20) == 0
        assert "virtgate: your access to this console has ended" in client.said()


def dialog(desktop, user, vm):
    """What virt-viewer says instead of showing a screen: the window's title, all that is in it, and standard error."""
    with viewer(desktop, user, vm) as client:
        window = client.window("^(Error|Choose a virtual machine)$")
        return window.name(), window.texts(), re.sub(r"\d+", "N", client.said())     # pids and times


def test_viewer_anothers_is_like_none(desktop, vms):
    for mine, none in [("secret", "nosuch"), (SECRET, NOBODY)]:
        title, texts, said = dialog(desktop, "alice", mine)
        assert (title, texts, said) == dialog(desktop, "alice", none)
        # It offers what there is instead.
        assert title == "Choose a virtual machine"
        assert set(texts) & {*CAST, *EXTRA, "secret"} == {*CAST, *EXTRA}


@pytest.mark.parametrize("vm", ["secret", "nosuch"])
def test_viewer_waits_for_none(desktop, vms, vm):
    with viewer(desktop, "alice", "--wait", vm) as client:
        says(client, "Waiting for guest domain to be created")


def test_viewer_nothing_for_nobody(desktop):
    seen = [dialog(desktop, "mallory", vm) for vm in ("cards2", "secret", "nosuch")]
    assert seen == seen[:1] * 3
    assert seen[0][0] == "Error" and f"Unable to connect to libvirt with URI: {uri('mallory')}." in seen[0][1]


def test_two_users(desktop, vms):
    """At once, on a computer each: bob may see cards2, but not its screen."""
    with gui.Desktop() as other:
        with viewer(desktop, "alice", "cards2") as hers, viewer(other, "bob", "cards2") as his:
            hers.shows(screen_of("cards2"), "cards2")
            error = his.window("^Error$").texts()
            assert "Failed to connect: Cannot determine the graphic type for the guest cards2" in error
            # A VM that is hers is none for him.
            title, texts, said = dialog(other, "bob", "nolisten")
            assert (title, texts, said) == dialog(other, "bob", "nosuch")
            assert set(texts) & {*CAST, *EXTRA, "secret"} == {"cards2"}
            hers.shows(screen_of("cards2"), "cards2")


# --- virt-manager ---------------------------------------------------------------------------------------------------

def manager(desktop, user):
    return desktop.start("virt-manager", "--no-fork", "-c", uri(user))


def listed(client, count):
    """The VMs in virt-manager's first window, once there are so many."""
    def names():
        cells = client.window("^Virtual Machine Manager$").texts("table cell")
        found = [cell.split("\n")[0] for cell in cells if "\n" in cell]
        return found if len(found) >= count else None
    return sorted(wait_until(lambda: gui.patient(names), 20, f"a list of {count} virtual machines"))


@pytest.fixture(scope="module")
def hers(desktop, vms):
    with manager(desktop, "alice") as client:
        client.window("^Virtual Machine Manager$")
        yield client


def opened(client, user, what, vm):
    """Opens a window of the virt-manager that runs, as somebody does at a prompt; the title."""
    with client.desktop.start("virt-manager", "-c", uri(user), f"--show-domain-{what}", vm) as ask:
        assert ask.wait(timeout=30) == 0, ask.said()
    return f"^{vm} on QEMU/KVM: 127.0.0.1$"


def state_of(vm):
    return vgtest.virsh("domstate", vm)


@pytest.mark.parametrize("vm", [*CAST, "spiceaddr", "spicesock", "vncpass", "spicepass"])
def test_manager_console(hers, vm):
    title = opened(hers, "alice", "console", vm)
    picture = hers.shows(title, vm)
    assert not gui.find(vgtest.screenshot("secret"), picture)
    hers.window(title).click("menu item", "Close")


@pytest.mark.parametrize("vm, display", [("sockvm", "Display VNC"), ("spicevm", "Display Spice")])
def test_manager_details(hers, vm, display):
    window = hers.window(opened(hers, "alice", "editor", vm))
    uuid = wait_until(lambda: gui.patient(lambda: window.find("label", vgtest.cast("vm_uuid", vm))), what="the uuid")
    assert uuid.is_visible()
    assert {display, "IDE Disk 1", "Memory", "Serial 1", "Video VGA"} <= set(window.texts("table cell"))
    window.click("menu item", "Close")


def test_manager_power(hers):
    mark = vgtest.log_mark()
    title = opened(hers, "alice", "console", "mill")
    hers.shows(title, "mill")
    window = hers.window(title)
    for state in ("paused", "running"):
        window.click("toggle button", "Pause")
        wait_until(lambda: state_of("mill") == state, what=f"mill {state}")
    window.click("push button", "Shut Down")
    vgtest.wait_for_log(mark, "call .*vm=mill .*call=DOMAIN_SHUTDOWN")     # these guests do not heed it
    menu = window.find("toggle button", "Menu")
    hers.point_at(menu, title)
    hers.point_at(menu.find("menu item", "Force Off"))
    question = hers.window("^vmm dialog$")
    assert "Are you sure you want to force poweroff 'mill'?" in question.texts()
    question.click("push button", "Yes")
    wait_until(lambda: state_of("mill") == "shut off", what="the end of mill")
    window.click("push button", "Run")
    wait_until(lambda: state_of("mill") == "running", what="the start of mill")
    hers.shows(title, "mill")
    calls = [vgtest.fields(line)["call"] for line in vgtest.settled_log(mark, "virtgated.* call .*vm=mill ")]
    assert calls == ["DOMAIN_SUSPEND", "DOMAIN_RESUME", "DOMAIN_SHUTDOWN", "DOMAIN_DESTROY", "DOMAIN_CREATE"]
    window.click("menu item", "Close")


def test_manager_of_another(hers):
    """bob's at the same time: one VM, its serial console, no screen, no power."""
    with gui.Desktop() as other, manager(other, "bob") as his:
        assert listed(his, 1) == ["cards2"]
        title = opened(his, "bob", "console", "cards2")
        window = his.window(title)
        terminal = wait_until(lambda: gui.patient(lambda: window.find("terminal", "Serial Terminal")), 20, "a terminal")
        wait_until(terminal.is_visible, what="the terminal's page")
        his.point_at(terminal, title)

        def greeted():
            his.type(title, "question")     # lost while the console is not connected
            return vgtest.greeting("cards2").decode().strip() in terminal.content()
        wait_until(greeted, what="the guest's greeting")
        # In the words of virt-manager 4 and 5.
        wait_until(lambda: gui.patient(lambda: window.find("radio menu item", "No graphical console available") or
                                       window.find("radio menu item", "Graphical console not configured for guest")),
                   what="the menu of consoles")
        window.click("toggle button", "Pause")
        assert "needs the right power" in " ".join(his.window("^vmm dialog$").texts()).replace("\n", " ")
        assert state_of("cards2") == "running"
        clean_log(other)


def test_manager_list(hers, desktop):
    """The last of hers: what comes late has come."""
    assert listed(hers, len([*CAST, *EXTRA])) == sorted([*CAST, *EXTRA])
    clean_log(desktop)


def clean_log(desktop):
    """virt-manager's log has all that it was told, and each error."""
    text = (desktop.home / ".cache/virt-manager/virt-manager.log").read_text()
    assert "cards2" in text
    assert not re.search(f"secret|{SECRET}|geheim", text)
    # The gate has no storage pools; virt-manager would make one and does without.
    errors = re.findall(r"ERROR .*|.* Error .*", text)
    assert [line for line in errors if not re.search("building default pool|pausing domain", line)] == []
