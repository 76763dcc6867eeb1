# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgate as a person or a program starts it. It is root's, whose key opens the accounts."""
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess

import sshd_config
import vgtest

ALICE = f"alice@{vgtest.HOST}"


def run(*words, stdin=b"", timeout=60, env=None, program="virtgate"):
    """Without a terminal: there is nobody to ask."""
    done = subprocess.run([program, *map(str, words)], input=stdin, capture_output=True, timeout=timeout, start_new_session=True,
                          env={**os.environ, **(env or {})})
    return vgtest.Result(done.returncode, done.stdout, done.stderr)


def terminal(*words, env=None, program="virtgate"):
    """On a terminal, for the length of the block."""
    def start(**options):
        return subprocess.Popen([program, *map(str, words)], start_new_session=True,
                                env={**os.environ, **(env or {})}, **options)
    return vgtest.OnTerminal(start)


def recipe(mark):
    """The block of virtgate(1) in which that stands."""
    page = (vgtest.TREE / "src/client/virtgate.1").read_text()
    blocks = re.findall(r"(?m)^\.Bd -literal.*\n([^.][\s\S]*?)^\.Ed$", page)
    return next(block for block in blocks if mark in block)


class Home:
    """A configuration of ssh's in a folder of its own: what is in ~/.ssh of root does not count, but for its keys."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.known_hosts = self.folder / "known_hosts"
        self.config = self.folder / "config"
        self.settings()

    def settings(self, text="", known_hosts=True):
        self.config.write_text(text + (f"\nHost *\nUserKnownHostsFile {self.known_hosts}\n" if known_hosts else ""))

    def knows(self, port, key=None, host=vgtest.HOST):
        """A key of the sshd at that port: its own, or another."""
        key = key or pathlib.Path("/etc/ssh/ssh_host_ed25519_key.pub").read_text()
        kind, blob = key.split()[:2]
        with self.known_hosts.open("a") as out:
            out.write(f"[{host}]:{port} {kind} {blob}\n" if port != 22 else f"{host} {kind} {blob}\n")

    def key(self, name, passphrase=""):
        path = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)
        return path


@contextlib.contextmanager
def appended(path, text):
    """The file has that text at its end, for the length of the block."""
    path = pathlib.Path(path)
    before = path.read_text()
    try:
        path.write_text(before + text)
        yield
    finally:
        path.write_text(before)


def authorized(user, key):
    """The public half of key opens user's account."""
    return appended(f"/home/{user}/.ssh/authorized_keys", pathlib.Path(f"{key}.pub").read_text())


@contextlib.contextmanager
def agent(folder, *keys):
    """A running ssh-agent that has the keys; what its clients need in their environment."""
    path = pathlib.Path(folder, "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        vgtest.wait_until(path.exists, what="the agent")
        env = {"SSH_AUTH_SOCK": str(path)}
        for key in keys:
            subprocess.run(["ssh-add", "-q", key], env={**os.environ, **env}, check=True, stdin=subprocess.DEVNULL)
        yield env
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def settings_for_gate(text):
    """Before the shipped ones: the first value counts."""
    path = sshd_config.DROPINS / "04-test.conf"
    path.write_text(f"Match Group {sshd_config.GROUP}\n{text}\nMatch all\n")
    try:
        reload_sshd()
        yield
    finally:
        path.unlink()
        reload_sshd()


def reload_sshd():
    """The listener that serves port 22; it says when it has started again."""
    mark = vgtest.log_mark()
    os.kill(int(pathlib.Path("/run/sshd.pid").read_text()), signal.SIGHUP)
    vgtest.wait_for_log(mark, "Server listening on .* port 22")


def cut_off(user):
    """The processes of sshd's that are user's: a connection that ends in the middle. How many there were."""
    uid, n = pwd.getpwnam(user).pw_uid, 0
    # Since OpenSSH 9.8 a login is served by another program than the listener.
    for pid in vgtest.processes("sshd") + vgtest.processes("sshd-session"):
        # It may end by itself meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if os.stat(f"/proc/{pid}").st_uid == uid:
                os.kill(pid, signal.SIGKILL)
                n += 1
    return n


def missing(*programs):
    if not pathlib.Path("/usr/bin/virtgate").exists():
        return "needs virtgate (run inside tests/sandbox --up)"
    return next((f"needs {name}" for name in programs if not shutil.which(name)), None)
