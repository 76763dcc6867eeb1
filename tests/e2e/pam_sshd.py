# SPDX-License-Identifier: LGPL-2.1-or-later
"""A second sshd with a PAM service of its own, in which pam_virtgate.so stands, and a configuration that permits everything:
what is refused there is refused by PAM alone. sshd's service is the name that it was started by, and since OpenSSH 9.8, whose
listener runs another program for each login, what PAMServiceName says."""
import contextlib
import ctypes
import os
import pathlib
import platform
import pwd
import re
import shutil
import socket
import struct
import subprocess
import tempfile

import vgtest
from vgtest import wait_until

SERVICE = "vgsshd"
PROGRAM = pathlib.Path("/usr/sbin", SERVICE)
PAM = pathlib.Path("/etc/pam.d", SERVICE)
STOCK = pathlib.Path("/etc/pam.d/sshd")
LOGINS = pathlib.Path("/run/virtgate/login")
MODULE = "pam_virtgate.so"
PASSWORD = "correct horse"

OPEN = f"""
UsePAM yes
PermitTunnel yes
PermitUserRC yes
PermitUserEnvironment yes
GatewayPorts yes
AllowAgentForwarding yes
X11Forwarding yes
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
StreamLocalBindUnlink yes
AcceptEnv *
PasswordAuthentication yes
KbdInteractiveAuthentication yes
MaxStartups 200
LogLevel VERBOSE
Subsystem sftp /usr/lib/openssh/sftp-server
"""
# Of releases since 9.8, which know -G too. With penalties, logins that are refused here would be followed by the refusal of
# every other one of this address.
KNOWN = subprocess.run(["sshd", "-G", "-f", "/dev/null"], capture_output=True, text=True).stdout if shutil.which("sshd") else ""
OPEN += "".join(f"{line}\n" for line in (f"PAMServiceName {SERVICE}", "PerSourcePenalties no")
                if re.search(rf"(?m)^{line.split()[0]} ", KNOWN, re.I))


# --- PAM ----------------------------------------------------------------------------------------------------------

def line(options="", module=MODULE):
    return f"{module} services={SERVICE} {options}".rstrip()


def reading_homes(text):
    """A file for sshd with which PAM reads ~/.pam_environment: Debian 12's as it is; 13 does it only when it is told."""
    return re.sub(r"(?m)^(session\s+required\s+pam_env\.so) (?=envfile=)", r"\1 user_readenv=1 ", text)


def stack(options="", *, auth="auth optional {}", account="account required {}", session="session required {}", module=MODULE):
    """Debian's file for sshd with our lines where pam_virtgate(8) puts them; None leaves one out, and a text may bring lines
    of its own. ~/.pam_environment is read, as up to Debian 12."""
    text = reading_homes(STOCK.read_text())
    ours = [part and part.format(line(options, module)) for part in (auth, account, session)]
    for pattern, where in ((r"(?m)^@include common-auth$", "{0}\n{1}"), (r"(?m)^account\s+required\s+pam_nologin\.so$", "{0}\n{1}"),
                           (r"(?m)^session\s+required\s+pam_loginuid\.so$", "{1}\n{0}")):
        new = ours.pop(0)
        found = re.search(pattern, text)
        assert found, f"{STOCK} has no {pattern}"
        if new:
            text = text[:found.start()] + where.format(new, found[0]) + text[found.end():]
    return text


@contextlib.contextmanager
def pam(text):
    """The service's file for the length of the block; sshd reads it at each login."""
    before = PAM.read_text() if PAM.exists() else None
    PAM.write_text(text)
    try:
        yield
    finally:
        PAM.write_text(before) if before is not None else PAM.unlink()


# --- sshd ---------------------------------------------------------------------------------------------------------

def refuse_calls(refused):
    """From here on these system calls end in these errors, for this process and all that it starts; an argument may be asked
    for. As a kernel that lacks them: {number: errno} or {(number, first argument): errno}."""
    program = [(0x20, 0, 0, 0)]                                     # the number
    for call, error in refused.items():
        number, argument = call if isinstance(call, tuple) else (call, None)
        if argument is None:
            program += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error)]
        else:
            program += [(0x15, 0, 4, number), (0x20, 0, 0, 16), (0x15, 0, 1, argument), (0x06, 0, 0, 0x00050000 | error),
                        (0x20, 0, 0, 0)]
    program.append((0x06, 0, 0, 0x7fff0000))
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code)
    fprog = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    if ctypes.CDLL(None, use_errno=True).prctl(22, 2, fprog, 0, 0) != 0:   # root needs no no_new_privs for it
        raise OSError(ctypes.get_errno(), "PR_SET_SECCOMP")


CALLS = {"x86_64": {"seccomp": 317, "prctl": 157, "unshare": 272}, "aarch64": {"seccomp": 277, "prctl": 167, "unshare": 97}}
LANDLOCK_CREATE_RULESET = 444


def number_of(call):
    return CALLS[platform.machine()][call]


@contextlib.contextmanager
def server(append="", refused=None, program=PROGRAM, prepare=None, host=vgtest.HOST):
    """A running sshd; its port. Its log is beside its configuration. prepare() runs in its process before. host: where it
    listens; an address of the network namespace that it has been put into."""
    with tempfile.TemporaryDirectory() as folder:
        if program == PROGRAM and not PROGRAM.is_symlink():
            PROGRAM.symlink_to("sshd")
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        main = pathlib.Path(folder, "sshd_config")
        # The first value counts.
        main.write_text(append + OPEN)
        process = subprocess.Popen([program, "-D", "-f", main, "-E", f"{folder}/log", "-o", f"Port={port}", "-o",
                                    f"ListenAddress={host}", "-o", "PidFile=none"], stdin=subprocess.DEVNULL,
                                   preexec_fn=(lambda: refuse_calls(refused)) if refused else prepare)
        try:
            wait_until(lambda: reachable(port, host), what="the second sshd")
            yield port
        finally:
            process.terminate()
            process.wait()


def reachable(port, host=vgtest.HOST):
    with contextlib.suppress(OSError):
        socket.create_connection((host, port), 1).close()
        return True
    return False


BASE = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ControlPath=none",
        "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10", "-o", "NumberOfPasswordPrompts=1"]
METHODS = ("key", "certificate", "password", "keyboard-interactive")


class Way:
    """How to log in: one of METHODS."""

    def __init__(self, port, method="key", certificate=None):
        self.port, self.method = port, method
        self.options = {"key": ["-o", "BatchMode=yes", "-o", "PreferredAuthentications=publickey"],
                        "certificate": ["-o", "BatchMode=yes", "-o", "PreferredAuthentications=publickey", "-o",
                                        "IdentitiesOnly=yes", "-i", str(certificate)],
                        "password": ["-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no"],
                        "keyboard-interactive": ["-o", "PreferredAuthentications=keyboard-interactive", "-o",
                                                 "PubkeyAuthentication=no"]}[method]
        self.env = dict(os.environ, SSH_ASKPASS="/run/askpass", SSH_ASKPASS_REQUIRE="force", DISPLAY=":none")

    def command(self, user, *words, options=()):
        return ["ssh", *options, *BASE, *self.options, "-p", str(self.port), "--", f"{user}@{vgtest.HOST}", *words]

    def run(self, user, *words, options=("-T",), stdin=b"", timeout=60):
        done = subprocess.run(self.command(user, *words, options=options), input=stdin, capture_output=True, timeout=timeout,
                              env=self.env, start_new_session=True)
        return vgtest.Result(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def running(self, user, *words, options=("-T",)):
        ssh = subprocess.Popen(self.command(user, *words, options=options), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=self.env, start_new_session=True, bufsize=0)
        try:
            yield ssh
        finally:
            ssh.kill()
            ssh.communicate()


def set_passwords(*users):
    askpass = pathlib.Path("/run/askpass")
    askpass.write_text(f"#!/bin/sh\necho '{PASSWORD}'\n")
    askpass.chmod(0o755)
    subprocess.run(["chpasswd", "-c", "SHA512"], input="".join(f"{user}:{PASSWORD}\n" for user in users).encode(), check=True)


def new_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return pathlib.Path(path)


def certify(folder, name, *options):
    """A private key of that name beside its certificate of the folder's CA."""
    key = new_key(pathlib.Path(folder, name))
    subprocess.run(["ssh-keygen", "-q", "-s", f"{folder}/ca", "-I", f"of {name}", *options, f"{key}.pub"], check=True)
    return key


def certificates(folder, *users):
    """{user: private key beside its certificate}, and sshd's line that trusts them."""
    new_key(f"{folder}/ca")
    return {user: certify(folder, user, "-n", user) for user in users}, f"TrustedUserCAKeys {folder}/ca.pub\n"


@contextlib.contextmanager
def login_shell(user, path):
    before = pwd.getpwnam(user).pw_shell
    subprocess.run(["usermod", "-s", path, user], check=True)
    try:
        yield
    finally:
        subprocess.run(["usermod", "-s", before, user], check=True)


TUN = "/dev/net/tun"
TUNNELS = {"point-to-point": "tun7", "ethernet": "tap7"}


@contextlib.contextmanager
def own_device(user, device):
    """That an administrator once made for the account: it asks for no capability."""
    subprocess.run(["ip", "tuntap", "add", "dev", device, "mode", device[:3], "user", user], check=True)
    try:
        subprocess.run(["ip", "link", "set", device, "up"], check=True)
        yield
    finally:
        subprocess.run(["ip", "link", "del", device], check=True)


def compile_c(source, out, *options):
    subprocess.run(["gcc", "-w", "-o", out, source, *options], check=True)
    return out


def record():
    """The only record of a login, as {name: value}, and its file."""
    path, = wait_until(lambda: list(LOGINS.glob("*")) if LOGINS.exists() else [], what="the record of a login")
    head, *lines = path.read_text().splitlines()
    assert head == "virtgate-login 1"
    return dict(entry.split(maxsplit=1) for entry in lines), path


def no_records():
    return not LOGINS.exists() or not list(LOGINS.iterdir())


def pamtester(user, *operations, service=SERVICE):
    return vgtest.run("pamtester", service, user, *operations)


def missing():
    if os.environ.get("VIRTGATE_SANDBOX") != "1":
        return "needs tests/sandbox --up"
    for program in ("pamtester", "gcc"):
        if not shutil.which(program):
            return f"needs {program}"
    return None
