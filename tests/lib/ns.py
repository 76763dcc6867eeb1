"""The two processes that hold a sandbox.

  ns.py out COMMAND...      makes the namespaces, runs COMMAND as their first process, stays outside
  ns.py online COMMAND...   the same on the machine's own network
  ns.py init COMMAND...     that first process, once the file system stands: runs COMMAND, reaps orphans, ends everything

unshare(1) does the first part too, but while it waits it blocks SIGTERM, so that `timeout` could not end a sandbox.
Both end with COMMAND's exit status, or 128+n when signal n ended it.
"""
import ctypes
import os
import signal
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000)
PR_SET_PDEATHSIG = 1
FORWARDED = {signal.SIGTERM, signal.SIGHUP}
# The terminal sends these to everybody in the foreground; COMMAND decides what they mean.
LEFT_ALONE = {signal.SIGINT, signal.SIGQUIT}
GRACE = 5

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    if getattr(libc, name)(*args) != 0:
        err = ctypes.get_errno()
        sys.exit(f"tests/sandbox: {name}: {os.strerror(err)}")


def start(prepare, command):
    """A child that runs command, with all signals as they were before; those of this process are blocked from now on."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | LEFT_ALONE | {signal.SIGCHLD, signal.SIGALRM})
    pid = os.fork()
    if pid != 0:
        return pid
    prepare()
    # Python's own changes are undone.
    for sig in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(sig, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        os.execvp(command[0], command)
    except OSError as err:
        print(f"tests/sandbox: {command[0]}: {err.strerror}", file=sys.stderr)
        os._exit(127 if isinstance(err, FileNotFoundError) else 126)


def reap(pid):
    """Takes note of every child that has ended; the exit status of pid, None while it runs."""
    code = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if ended == 0:
            return code
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            code = code if code >= 0 else 128 - code


def wait_for(pid, grace, last_resort):
    """Until pid has ended. A signal to end is passed on to it; if that has no effect for some seconds, last_resort()."""
    # Taken one by one, not by handlers: a signal between two system calls is not lost.
    forwarded = {sig for sig in FORWARDED if signal.getsignal(sig) != signal.SIG_IGN}
    while True:
        sig = signal.sigwait(forwarded | {signal.SIGCHLD, signal.SIGALRM})
        if sig == signal.SIGCHLD:
            if (code := reap(pid)) is not None:
                return code
        elif sig == signal.SIGALRM:
            last_resort()
        else:
            os.kill(pid, sig)
            signal.alarm(grace)


def take_terminal_back():
    """An interactive shell inside was the terminal's foreground; who called us must not be stopped for writing to it."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        if os.tcgetpgrp(0) != os.getpgrp():
            os.tcsetpgrp(0, os.getpgrp())
    except OSError:
        pass


def online(command):
    return out(command, 0)


def out(command, network=CLONE_NEWNET):
    in_foreground = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    call("unshare", CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | network)
    alive, mine = os.pipe()

    def die_with_parent():
        # When the process outside dies, by whatever signal, this one is killed and the kernel kills the rest with it.
        call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.close(mine)
        os.set_blocking(alive, False)
        try:
            os.read(alive, 1)
            os._exit(125)       # end of file: it died before the line above took effect
        except BlockingIOError:
            pass

    pid = start(die_with_parent, command)
    # As the first process of its namespace it does not heed a signal before it has become init.
    code = wait_for(pid, GRACE + 1, lambda: os.kill(pid, signal.SIGKILL))
    if in_foreground:
        take_terminal_back()
    return code


def init(command):
    pid = start(lambda: None, command)
    return wait_for(pid, GRACE, lambda: os._exit(128 + signal.SIGTERM))


if __name__ == "__main__":
    os._exit({"out": out, "online": online, "init": init}[sys.argv[1]](sys.argv[2:]))
