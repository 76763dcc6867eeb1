"""The demonstration, inside the sandbox. Each step shows the command and what came back, and checks it."""
import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys

import gui
import vgtest
from vgtest import HOST, OUT, Rfb, wait_until

PICTURE = OUT / "cards2.png"
BEFORE = OUT / "virt-viewer-before.png"
WINDOW = OUT / "virt-viewer-nolisten.png"
GREETING = vgtest.greeting("cards2").decode().strip()
steps = []


def step(title):
    return lambda function: steps.append((title, function)) or function


def show_command(command):
    words = [word for word in command if word not in ("-o", "BatchMode=yes")]
    print("  $ " + " ".join(shlex.quote(word) if re.search(r"[;|&$()]", word) else word for word in words), flush=True)


def show(data):
    for line in data.decode(errors="replace").replace("\r", "").splitlines():
        print("    " + line)


def check(condition, expected):
    if not condition:
        raise AssertionError(f"expected {expected}")


def shown(user, *words, **options):
    """Runs ssh and shows it all."""
    show_command(vgtest.ssh_command(user, *words, tty=options.get("tty", False), options=options.get("options", ())))
    result = vgtest.ssh(user, *words, **options)
    show(result.stdout + result.stderr)
    print(f"    (exit {result.rc})")
    return result


def check_refused(result, statuses, line):
    said = result.stderr.replace(b"\r", b"").splitlines()
    check(result.rc in statuses, f"exit {' or '.join(map(str, statuses))}, not {result.rc}")
    check(result.stdout.strip() == b"", "nothing on standard output")
    check(any(re.fullmatch(line, text.decode()) for text in said), f"a line like {line!r} on standard error")


# --- the problem, and the locks ---------------------------------------------------------------------------------------

PORT = 5904     # of secret's screen, as libvirt's read-only socket tells everybody


def carried_out(command, statuses=(0,)):
    """Runs a command of root's and shows it all."""
    show_command(command)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    show(done.stdout)
    check(done.returncode in statuses, f"exit {' or '.join(map(str, statuses))}, not {done.returncode}")
    return done.stdout.decode()


def look_at_secret(user):
    """What somebody with a key and stock clients gets to see of secret: virt-viewer's window as a picture or None, what
    libvirt's read-only socket lists, and what comes from the port of its screen by ssh -W and in a shell."""
    with gui.Desktop() as desktop:
        command = ["virt-viewer", "-c", f"qemu+ssh://{user}@{HOST}/system", "secret"]
        show_command(command)
        with desktop.start(*command) as viewer:
            title = r"^(secret \(1\)|Error|Choose a virtual machine)"
            name = viewer.window(title).name()
            picture = viewer.shows(title, "secret") if name.startswith("secret") else None
    print(f"    window: {name}")
    seen = [shown(user, "virsh -r -c qemu:///system list --all --name").stdout.split().count(b"secret")]
    for words, options in (((), ["-W", f"{HOST}:{PORT}"]), ((f"nc -w 3 {HOST} {PORT}",), ())):
        command = vgtest.ssh_command(user, *words, options=options)
        show_command(command)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ssh:
            said = ssh.stdout.readline()    # a screen says who it is, and waits
            ssh.terminate()
        show(said)
        seen.append(int(said.startswith(b"RFB ")))
    return picture, seen


@step("a host without virtgate: alice, an ordinary account, in no special group, looks at the machine secret")
def the_problem():
    BEFORE.unlink(missing_ok=True)
    carried_out(["virtgatectl", "deluser", "alice"])
    carried_out(["usermod", "-s", "/bin/bash", "alice"])
    carried_out(["rm", "/etc/ssh/sshd_config.d/05-virtgate.conf"])
    carried_out(["pkill", "-HUP", "--pidfile", "/run/sshd.pid"])
    wait_until(lambda: vgtest.ssh("alice", "true").rc == 0, what="sshd without the drop-in")
    picture, seen = look_at_secret("alice")
    check(picture, "the screen of secret in virt-viewer's window")
    vgtest.png(BEFORE, picture)
    print(f"    picture: {BEFORE}")
    check(seen == [1, 1, 1], "secret in libvirt's list, and its screen by ssh -W and by nc")


@step("virtgate is set up: alice under the gate, and the three locks")
def the_locks():
    carried_out(["virtgatectl", "adduser", "alice"])
    carried_out(["virtgatectl", "setup"])


# What may be open besides, as the machine below is; doctor tells these mends.
MENDS = {
    "accounts.cron": "for user in alice bob mallory; do echo $user >> /etc/cron.deny; echo $user >> /etc/at.deny; done",
    "files.machines": "chmod o-r /var/lib/libvirt/images/*.img",
}


@step("is every door of this host closed? What is open for another reason has its mend beside it")
def doctor():
    said = carried_out(["virtgatectl", "doctor"], [0, 78])
    for line in said.splitlines():
        state, door = line.split()[:2]
        check(state == "closed" or door in MENDS, f"{door} closed")
        if state != "closed":
            carried_out(["sh", "-c", MENDS[door]])
    said = carried_out(["virtgatectl", "doctor"])
    check(all(line.startswith("closed ") for line in said.splitlines()), "every door closed")


@step("the same as in the beginning, by alice, and by carol, whose account stays an ordinary one")
def no_problem():
    for user in ("alice", "carol"):
        check(look_at_secret(user) == (None, [0, 0, 0]), f"nothing of secret for {user}")


@step("alice sees the virtual machines she may use, and no other")
def list_of_alice():
    result = shown("alice", "list")
    rows = [line.split() for line in result.stdout.decode().splitlines()]
    check(result.rc == 0 and rows[0] == ["NAME", "STATE", "RIGHTS"], "exit 0 and a header NAME STATE RIGHTS")
    check(sorted(row[0] for row in rows[1:]) == ["cards2", "nolisten", "sockvm", "spicevm"],
          "cards2, nolisten, sockvm and spicevm")


@step("the screen of cards2, taken through the gate by a small VNC viewer")
def screen():
    PICTURE.unlink(missing_ok=True)
    with vgtest.ssh_open("alice", "display", "cards2") as ssh:
        show_command(ssh.args)
        viewer = Rfb(ssh.talk)
        rows = viewer.picture()
    vgtest.png(PICTURE, rows)
    print(f"    {viewer.banner.decode().strip()}: {viewer.name}, {viewer.width}x{viewer.height}\n    picture: {PICTURE}")
    check(viewer.name == "QEMU (cards2)", "the screen of cards2")
    check(not vgtest.is_blank(rows), "a picture that is not blank")


@step("the screen of a machine that listens on no port at all, VNC and SPICE")
def screen_without_port():
    with vgtest.ssh_open("alice", "display", "nolisten") as ssh:
        show_command(ssh.args)
        viewer = Rfb(ssh.talk)
        print(f"    {viewer.banner.decode().strip()}: {viewer.name}, {viewer.width}x{viewer.height}")
        check(viewer.name == "QEMU (nolisten)", "the screen of nolisten")
    with vgtest.ssh_open("alice", "display", "spicevm") as ssh:
        show_command(ssh.args)
        major, minor, error = vgtest.spice_link(ssh.talk)
        print(f"    SPICE {major}.{minor}, link error {error}")
        check(error == 0, "a SPICE server that takes the link")


@step("stock virt-viewer: its window has that screen, pixel by pixel")
def viewer_window():
    WINDOW.unlink(missing_ok=True)
    command = ["virt-viewer", "-c", f"qemu+ssh://alice@{HOST}/system", "nolisten"]
    show_command(command)
    with gui.Desktop() as desktop, desktop.start(*command) as viewer:
        picture = viewer.shows(r"^nolisten \(1\)", "nolisten")
    vgtest.png(WINDOW, picture)
    print(f"    picture: {WINDOW}")
    check(not gui.find(vgtest.screenshot("secret"), picture), "the screen of nolisten and not that of secret")


@step("stock virsh: alice and bob ask at the same time for all machines of this host")
def virsh_of_two():
    commands = [["virsh", "-c", f"qemu+ssh://{user}@{HOST}/system", "list", "--all"] for user in ("alice", "bob")]
    for command in commands:
        show_command(command)
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    tables = [process.communicate(timeout=20)[0].rstrip().splitlines() for process in running]
    for left, right in itertools.zip_longest(*tables, fillvalue=""):
        print(f"    {left:<36}{right}".rstrip())
    names = [sorted(line.split()[1] for line in table[2:]) for table in tables]
    check(names == [["cards2", "nolisten", "sockvm", "spicevm"], ["cards2"]], "alice's four machines, and bob's one")


@step("the serial console of cards2: the guest's greeting, and an echo of what is typed")
def serial():
    with vgtest.ssh_open("alice", "console", "cards2", tty=True) as ssh:
        show_command(ssh.args)
        said = vgtest.ask_greeting(ssh.talk, "cards2")
        ssh.talk.write(b"typed through the gate\r")
        said += ssh.talk.read_until(rb"typed through the gate\r+\n")
        ssh.talk.write(b"\x1d")
        said += ssh.talk.read_rest()
        status = ssh.wait(timeout=20)
    show(said)
    print(f"    (left with Ctrl-], exit {status})")
    check(status == 0, "exit 0 after Ctrl-]")


@step("secret is not alice's: the same words as for a machine that does not exist")
def refused_machine():
    for vm in ("secret", "no-such-machine"):
        check_refused(shown("alice", "display", vm), [77], f"virtgate: no console for you on '{vm}'")


@step("bob was granted the serial console of cards2, and not its screen")
def refused_right():
    check_refused(shown("bob", "display", "cards2"), [77], "virtgate: no console for you on 'cards2'")


@step("mallory is under the gate and was granted nothing: not even a login")
def refused_user():
    check_refused(shown("mallory", "list"), [255], "Connection closed by .*")


@step("no tunnel to the port of secret's screen")
def refused_forwarding():
    result = shown("alice", options=["-W", f"{HOST}:5904"])
    check(result.rc != 0 and result.stdout == b"", "a failure and not a byte from the port")
    check(b"administratively prohibited" in result.stderr, "'administratively prohibited'")
    with vgtest.ssh_open("alice", options=["-N", "-L", f"{HOST}:15904:{HOST}:5904"]) as ssh:
        show_command(ssh.args)
        sock = wait_until(lambda: connect(15904), 20, "ssh's own listener")
        with sock:
            seen = sock.recv(100)
        ssh.terminate()
        ssh.wait()
        said = ssh.stderr.read()
    show(said)
    print(f"    (read from the tunnel: {seen!r})")
    check(seen == b"" and b"administratively prohibited" in said, "a closed connection and 'administratively prohibited'")


def connect(port):
    try:
        return socket.create_connection((HOST, port), 20)
    except ConnectionRefusedError:
        return None


@step("no shell")
def refused_shell():
    for words in (["bash"], ["sh", "-c", "id"], ["list; id"], []):
        check_refused(shown("alice", *words), [64, 77], "virtgate: .+")


@step("what the log says of it")
def log():
    command = ["grep", "-E", r"virtgated.*(start|end|refused)|pam_virtgate", str(vgtest.AUTH_LOG)]
    text = wait_until(lambda: (lines := vgtest.run(*command).stdout)
                      and all(re.search(pattern, lines) for pattern in (
                          rb"user=alice .*vm=cards2", rb"refused .*secret", rb"no current grant for mallory")) and lines,
                      what="a line for alice on cards2, for secret, and for mallory")
    show_command(command)
    show(text)


def tell_what_to_try():
    print(f"""
The sandbox stays up until you leave. To try, here in it:

  ssh alice@{HOST} help
  ssh alice@{HOST} list
  ssh -t alice@{HOST} console cards2          leave with Ctrl-]
  ssh alice@{HOST} display secret
  ssh -W {HOST}:5904 alice@{HOST}
  virsh -c qemu+ssh://alice@{HOST}/system list --all
  tail -f /var/log/auth.log
  virsh list                                     as root, past the gate

To see a screen on your own, from another terminal of this machine:

  sudo socat TCP-LISTEN:5999,bind={HOST},fork,reuseaddr \\
      EXEC:"nsenter --target $(pgrep -P {os.environ['VIRTGATE_OUTER']}) --all ssh alice@{HOST} display cards2" &
  remote-viewer vnc://{HOST}:5999                for spicevm: remote-viewer spice://{HOST}:5999
""", flush=True)


def stay_up():
    tell_what_to_try()
    if os.isatty(0):
        os.execvp("bash", ["bash", "-i"])
    print("Standard input is no terminal: waiting to be ended.", flush=True)
    signal.pause()


def main():
    failed = []
    for number, (title, function) in enumerate(steps, 1):
        print(f"\n{number}. {title}", flush=True)
        try:
            function()
        except (AssertionError, EOFError, TimeoutError, OSError, subprocess.TimeoutExpired, vgtest.RfbRefused,
                gui.GLib.Error) as err:
            failed.append(title)
            print(f"    FAILED: {err}", flush=True)
    print()
    for title in failed:
        print(f"failed: {title}")
    print(f"{len(steps) - len(failed)} of {len(steps)} steps happened as they must", flush=True)
    if sys.argv[1:] != ["--once"]:
        stay_up()
    return 1 if failed else 0


sys.exit(main())
