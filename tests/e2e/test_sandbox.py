"""What tests/sandbox promises, checked from outside: the machine is not touched and nothing is left."""
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import uuid

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
SANDBOX = TREE / "tests" / "sandbox"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the sandbox makes namespaces and mounts")


def sandbox(*command, script=SANDBOX, **options):
    return subprocess.run([script, "--", *command], timeout=120, capture_output=True, **options)


def shell(text, **options):
    return sandbox("bash", "-c", text, **options)


def until(predicate, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if predicate():
            return True
        time.sleep(0.02)
    return predicate()


def processes_with(marker):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(path.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


@pytest.fixture
def marker():
    return f"marker-{uuid.uuid4()}"


@pytest.fixture
def started(marker):
    """A sandbox in which the command and a daemon of its own session run for long; both carry the marker."""
    text = f"setsid -f bash -c 'sleep 1000; : {marker}'; echo up; bash -c 'sleep 1000; : {marker}'"
    process = subprocess.Popen([SANDBOX, "--", "bash", "-c", text], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"up\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("text, status", [
    ("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("exec /nonexistent", 127)])
def test_status_is_handed_on(text, status):
    assert shell(text).returncode == status


def test_unknown_command_and_option():
    assert sandbox("no-such-command").returncode == 127
    assert subprocess.run([SANDBOX, "--upp", "true"], capture_output=True).returncode == 125


def test_arguments_and_streams_are_handed_through():
    data = bytes(range(256)) * 1000
    assert sandbox("cat", input=data).stdout == data
    assert sandbox("printf", "%s|", "a b", "", "c'\"$d").stdout == b"a b||c'\"$d|"
    result = shell("echo to stderr >&2")
    assert (result.stdout, result.stderr) == (b"", b"to stderr\n")


def test_writes_stay_inside(marker):
    places = ["/etc", "/tmp", "/home", "/usr/bin", "/run", "/dev/shm", str(TREE), str(TREE / "tests")]
    result = shell(f"for d in {' '.join(places)}; do echo x > $d/{marker} || exit 1; done")
    assert result.returncode == 0, result.stderr
    assert [place for place in places if os.path.exists(f"{place}/{marker}")] == []


def test_results_leave_by_tests_out(marker):
    try:
        assert shell(f"echo result > tests/out/{marker}", cwd=TREE).returncode == 0
        assert (TREE / "tests" / "out" / marker).read_text() == "result\n"
    finally:
        (TREE / "tests" / "out" / marker).unlink(missing_ok=True)


def test_the_machine_is_out_of_reach():
    assert shell("ls /sys/class/net").stdout.split() == [b"lo"]
    assert shell("ip -o link show up").stdout.startswith(b"1: lo:")
    assert shell("ls /proc | grep -c '^[0-9]'").stdout.strip() in b"345"
    assert shell("ls /dev/kvm /dev/vda /dev/kmsg /run/systemd").stdout == b""
    # What is mounted of the machine: nothing but the folder for results.
    mounts = shell("findmnt -rno TARGET,FSTYPE").stdout.decode()
    other = [line for line in mounts.splitlines()
             if line.split()[1] not in ("overlay", "tmpfs", "proc", "sysfs", "devpts")]
    assert [line.split()[0] for line in other] in ([], [str(TREE / "tests" / "out")])


def test_virtgate_is_installed():
    assert shell("test -e /etc/ssh/sshd_config.d/05-virtgate.conf && test -x /usr/bin/virtgate-shell").returncode == 0


@pytest.mark.parametrize("pause", [0.05, 0.1, 0.15, 0.3])
def test_ended_while_it_comes_up(marker, pause):
    process = subprocess.Popen([SANDBOX, "--", "bash", "-c", f"sleep 1000; : {marker}"])
    time.sleep(pause)
    process.terminate()
    process.wait(timeout=20)
    assert until(lambda: processes_with(marker) == []), "processes are left"


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_killed_sandbox_leaves_nothing(started, marker, sig):
    started.send_signal(sig)
    started.wait(timeout=20)
    assert until(lambda: processes_with(marker) == []), "processes are left"
    mounts = pathlib.Path("/proc/mounts").read_text()
    assert "sandbox " not in mounts and str(TREE / "tests" / "out") not in mounts


def test_daemons_end_with_the_command(marker):
    assert shell(f"setsid -f bash -c 'sleep 1000; : {marker}'").returncode == 0
    assert until(lambda: processes_with(marker) == [])


def test_orphans_are_reaped():
    text = "(setsid -f sleep 0.01); sleep 0.3; ps -eo stat= | grep -c Z"
    assert shell(text).stdout == b"0\n"


def test_finished_sandbox_leaves_no_files(tmp_path):
    before = os.listdir("/mnt")
    assert shell("true", env={**os.environ, "TMPDIR": str(tmp_path)}).returncode == 0
    assert os.listdir("/mnt") == before
    assert os.listdir(tmp_path) == []


def copy_of_tree(under):
    """Enough of the tree to start a sandbox from; it installs a finished build, which lies elsewhere."""
    copy = pathlib.Path(tempfile.mkdtemp(prefix="virtgate tree ", dir=under))
    shutil.copytree(TREE / "tests", copy / "tests", ignore=shutil.ignore_patterns("out"))
    shutil.copy(TREE / "configure.ac", copy)
    (copy / "configure").touch(mode=0o755)
    return copy


@pytest.mark.parametrize("under", ["/tmp", "/dev/shm", "/mnt", "/run"])
def test_tree_is_seen_wherever_it_lies(under):
    copy = copy_of_tree(under)
    build = os.environ.get("VIRTGATE_BUILD", str(TREE / "build-sandbox"))
    try:
        result = sandbox("bash", "-c", "pwd; cat configure.ac; echo changed > configure.ac; echo kept > tests/out/kept",
                         script=copy / "tests" / "sandbox", cwd=copy, env={**os.environ, "VIRTGATE_BUILD": build})
        assert (result.returncode, result.stderr) == (0, b"")
        assert result.stdout.decode() == f"{copy}\n" + (TREE / "configure.ac").read_text()
        assert (copy / "configure.ac").read_text() != "changed\n"
        assert (copy / "tests" / "out" / "kept").read_text() == "kept\n"
    finally:
        shutil.rmtree(copy)


def test_failing_install_is_loud(tmp_path):
    (tmp_path / "Makefile").write_text("all:\ninstall:\n\t@echo no room; false\n")
    result = sandbox("echo", "ran", env={**os.environ, "VIRTGATE_BUILD": str(tmp_path)})
    assert (result.returncode, result.stdout) == (125, b"")
    assert b"no room" in result.stderr


def test_needs_root():
    result = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", SANDBOX, "true"],
                            capture_output=True, cwd="/")
    if b"Permission denied" in result.stderr:
        pytest.skip("needs a tree that other accounts may read")
    assert result.returncode == 125 and b"root" in result.stderr


def test_interactive_shell_has_job_control():
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(SANDBOX, [str(SANDBOX), "--", "bash", "--norc", "--noprofile", "-i"])
    seen = b""

    def say(line, answer):
        nonlocal seen
        end = time.monotonic() + 20
        while not re.search(answer, seen):
            assert time.monotonic() < end, seen
            # Again when nothing comes: a line typed while bash changes the terminal's mode is sometimes lost, in any bash.
            os.write(fd, line + b"\n")
            while not re.search(answer, seen) and select.select([fd], [], [], 1)[0]:
                seen += os.read(fd, 4096)

    while not seen.endswith(b"# "):         # the prompt: on a busy machine it takes a while
        assert select.select([fd], [], [], 60)[0], seen
        seen += os.read(fd, 4096)
    say(b"sleep 1000 &", rb"\[1\] \d+")
    say(b"jobs", rb"\[\d\][+-] +Running +sleep 1000")
    say(b"cat", rb"# cat\r\n")
    say(b"twice", rb"twice\r\n(\x1b\S*)?twice\r\n")
    say(b"\x03", rb"(?s)\^C.*# ")           # reaches cat, and only cat
    say(b"kill $(jobs -p); wait; echo $((6 * 7))", rb"\n42\r")
    os.write(fd, b"exit 3\n")
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    assert os.waitstatus_to_exitcode(status) == 3
    assert b"job control" not in seen
