"""The two processes that hold a sandbox.

  ns.py out COMMAND...    makes the namespaces, runs COMMAND as their first process, stays outside
  ns.py init COMMAND...   that first process, once the file system stands: runs COMMAND, reaps orphans, ends everything

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
FORWARDED = (signal.SIGTERM, signal.SIGHUP)
# The terminal sends these to everybody in the foreground; COMMAND decides what they mean.
IGNORED = (signal.SIGINT, signal.SIGQUIT)
GRACE = 5

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    if getattr(libc, name)(*args) != 0:
        err = ctypes.get_errno()
        sys.exit(f"tests/sandbox: {name}: {os.strerror(err)}")


def run(command):
    """In the child: exec with the signals that Python changed back at their defaults."""
    for sig in FORWARDED + IGNORED + (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(sig, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as err:
        print(f"tests/sandbox: {command[0]}: {err.strerror}", file=sys.stderr)
        os._exit(127 if isinstance(err, FileNotFoundError) else 126)


def forward_signals(pid, on_first):
    def forward(sig, _frame):
        os.kill(pid, sig)
        on_first()

    for sig in FORWARDED:
        signal.signal(sig, forward)
    for sig in IGNORED:
        signal.signal(sig, lambda *_: None)


def wait_for(pid):
    """Reaps whatever ends until pid does."""
    while True:
        got, status = os.wait()
        if got == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def take_terminal_back():
    """An interactive shell inside was the terminal's foreground; who called us must not be stopped for writing to it."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        if os.tcgetpgrp(0) != os.getpgrp():
            os.tcsetpgrp(0, os.getpgrp())
    except OSError:
        pass


def out(command):
    in_foreground = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    call("unshare", CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET)
    alive, mine = os.pipe()
    pid = os.fork()
    if pid == 0:
        # When the process outside dies, by whatever signal, this one is killed and the kernel kills the rest with it.
        call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.close(mine)
        os.set_blocking(alive, False)
        try:
            os.read(alive, 1)
            os._exit(125)       # end of file: it died before the line above took effect
        except BlockingIOError:
            pass
        run(command)
    forward_signals(pid, lambda: None)
    code = wait_for(pid)
    if in_foreground:
        take_terminal_back()
    return code


def init(command):
    pid = os.fork()
    if pid == 0:
        run(command)
    # A command that does not heed SIGTERM is given some seconds; then the sandbox ends regardless.
    signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + signal.SIGTERM))
    forward_signals(pid, lambda: signal.alarm(GRACE))
    return wait_for(pid)


if __name__ == "__main__":
    os._exit({"out": out, "init": init}[sys.argv[1]](sys.argv[2:]))
