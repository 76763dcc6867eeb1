# SPDX-License-Identifier: LGPL-2.1-or-later
"""An SSH client that sends what ssh(1) will not: any channel, any request, any bytes, at any time. paramiko does the keys and
the login; what comes after that is read and answered here (RFC 4254)."""
import collections
import logging
import pathlib
import queue
import struct
import time

import paramiko

import pam_sshd
import vgtest

DEADLINE = 30
WINDOW = 0x7fffffff

IGNORE, UNIMPLEMENTED, DEBUG = 2, 3, 4
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
OPEN, OPENED, OPEN_FAILURE = 90, 91, 92
ADJUST, DATA, EXTENDED_DATA, EOF, CLOSE, REQUEST, SUCCESS, FAILURE = range(93, 101)
TAKEN = {UNIMPLEMENTED, DEBUG, *range(GLOBAL_REQUEST, FAILURE + 1)}

# Its thread would say on stderr that a connection has ended, which is what is tried here.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

Refused = collections.namedtuple("Refused", "code text")
Ended = collections.namedtuple("Ended", "status signal stdout stderr")


class Dropped(Exception):
    """The server has ended the connection."""


class NotLetIn(Exception):
    """The server has refused the login."""


def text(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">I", len(data)) + data


def number(value):
    return struct.pack(">I", value)


class Reader:
    def __init__(self, data):
        self.data = data

    def number(self):
        value, = struct.unpack(">I", self.data[:4])
        self.data = self.data[4:]
        return value

    def text(self):
        size = self.number()
        value, self.data = self.data[:size], self.data[size:]
        return value

    def flag(self):
        value, self.data = self.data[0] != 0, self.data[1:]
        return value


class Wire(paramiko.Transport):
    """paramiko's up to the login. Later messages of the other side never reach it, but go into the inbox as they are."""

    def __init__(self, address):
        self.inbox = queue.Queue()
        super().__init__(address)
        self._read = self.packetizer.read_message
        self.packetizer.read_message = self._take

    def _take(self):
        kind, message = self._read()
        if kind not in TAKEN:
            return kind, message
        self.inbox.put((kind, message.asbytes()))
        return IGNORE, message

    def run(self):
        try:
            super().run()
        finally:
            self.inbox.put(None)

    def send(self, kind, *parts):
        message = paramiko.Message()
        message.add_bytes(bytes([kind]) + b"".join(parts))
        if self.is_active():
            try:
                self._send_user_message(message)
            except (OSError, EOFError, paramiko.SSHException):
                pass                            # the inbox ends, too


class Channel:
    """As the server sees it: its number there, and what has come over it."""

    def __init__(self, client, mine, theirs):
        self.client, self.mine, self.theirs = client, mine, theirs
        self.stdout, self.stderr = b"", b""
        self.answers = []
        self.status = self.signal = None
        self.closed = self.hung_up = False      # by the server, by us

    def request(self, name, rest=b"", want_reply=True):
        """True, False, or None where no reply is wanted."""
        assert not self.hung_up, (name, self.stdout, self.stderr)
        self.client.send(REQUEST, number(self.theirs), text(name), bytes([want_reply]), rest)
        if not want_reply:
            return None
        self.client.pump(lambda: self.answers, f"an answer to {name[:40]!r}")
        return self.answers.pop(0)

    def execute(self, command):
        return self.request("exec", text(command))

    def terminal(self, term="xterm", columns=80, rows=24):
        return self.request("pty-req", text(term) + number(columns) + number(rows) + number(0) * 2 + text(b"\0"))

    def env(self, name, value):
        return self.request("env", text(name) + text(value))

    def send(self, data):
        if not self.hung_up:
            self.client.send(DATA, number(self.theirs), text(data))

    def read_until(self, pattern):
        """What has come up to and with this, which is taken away."""
        self.client.pump(lambda: pattern in self.stdout or self.closed, f"{pattern!r}, but only {self.stdout!r}")
        assert pattern in self.stdout, (pattern, self.stdout, self.stderr)
        before, self.stdout = self.stdout.split(pattern, 1)
        return before + pattern

    def end(self, data=b""):
        """Sends this and the end of the input; all that came up to the end of the channel."""
        if data:
            self.send(data)
        if not self.hung_up:
            self.client.send(EOF, number(self.theirs))
        return self.wait()

    def wait(self):
        self.client.pump(lambda: self.closed, "the end of a channel")
        return Ended(self.status, self.signal, self.stdout, self.stderr)

    def hang_up(self):
        """A second one would be for a channel that is not there, which ends the connection."""
        if not self.hung_up:
            self.hung_up = True
            self.client.send(CLOSE, number(self.theirs))

    def close(self):
        self.hang_up()
        self.client.pump(lambda: self.closed, "the end of a channel")


class Client:
    """A login. Its calls that wait for an answer raise Dropped when the server has ended the connection instead."""

    def __init__(self, port, user, method="key", *, key="/root/.ssh/id_ed25519"):
        self.transport = Wire((vgtest.HOST, port))
        self.source = self.transport.sock.getsockname()[1]
        self.channels, self.opens, self.answers = {}, {}, []
        self.numbers = 0
        self.offered = []                       # channels that the server wanted to open
        self.said = ""                          # what the server sends as text for people
        self.dropped = False
        try:
            self.transport.start_client(timeout=DEADLINE)
            self._log_in(user, method, key)
        except BaseException:
            self.transport.close()
            raise

    def _log_in(self, user, method, key):
        self.transport.auth_timeout = DEADLINE
        try:
            if method in ("key", "certificate"):
                private = paramiko.Ed25519Key.from_private_key_file(str(key))
                if method == "certificate":
                    private.load_certificate(str(pathlib.Path(f"{key}-cert.pub")))
                self.transport.auth_publickey(user, private)
            elif method == "password":
                self.transport.auth_password(user, pam_sshd.PASSWORD, fallback=False)
            else:
                self.transport.auth_interactive(user, lambda title, instructions, prompts: [pam_sshd.PASSWORD] * len(prompts))
        except paramiko.AuthenticationException as refused:
            raise NotLetIn(f"{user} by {method}: {refused}") from None
        if not self.transport.is_authenticated():
            raise NotLetIn(f"{user} by {method}: only in part")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.transport.close()
        self.transport.join(DEADLINE)

    # --- messages

    def send(self, kind, *parts):
        self.transport.send(kind, *parts)

    def pump(self, condition, what):
        """Takes what comes until the condition holds."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if self.dropped:
                raise Dropped(what)
            try:
                self._read(self.transport.inbox.get(timeout=max(0, end - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"{what} did not come within {DEADLINE} s") from None

    def _read(self, item):
        if item is None:
            self.dropped = True
            return
        kind, data = item
        data = Reader(data)
        if kind in (REQUEST_SUCCESS, REQUEST_FAILURE):
            self.answers.append((kind == REQUEST_SUCCESS, data.data))
        elif kind == GLOBAL_REQUEST:
            data.text()
            if data.flag():
                self.send(REQUEST_FAILURE)
        elif kind == OPEN:
            self.offered.append(data.text())
            self.send(OPEN_FAILURE, number(data.number()), number(1), text("no"), text(""))
        elif kind in (OPENED, OPEN_FAILURE):
            mine = data.number()
            if kind == OPENED:
                self.opens[mine] = self.channels[mine] = Channel(self, mine, data.number())
            else:
                self.opens[mine] = Refused(data.number(), data.text().decode(errors="replace"))
        elif kind == DEBUG:
            data.flag()
            self.said += data.text().decode(errors="replace") + "\n"
        elif kind == UNIMPLEMENTED:
            raise AssertionError("the server does not know a message of ours")
        else:
            self._read_of(self.channels[data.number()], kind, data)

    def _read_of(self, channel, kind, data):
        if kind in (SUCCESS, FAILURE):
            channel.answers.append(kind == SUCCESS)
        elif kind == DATA:
            channel.stdout += data.text()
        elif kind == EXTENDED_DATA:
            data.number()
            channel.stderr += data.text()
        elif kind == REQUEST:
            name, want_reply = data.text(), data.flag()
            if name == b"exit-status":
                channel.status = data.number()
            elif name == b"exit-signal":
                channel.signal = data.text().decode()
            if want_reply:
                self.send(FAILURE, number(channel.theirs))
        elif kind == CLOSE:
            channel.closed = True
            channel.hang_up()

    # --- what can be asked

    def open(self, kind, rest=b""):
        """A Channel, or Refused."""
        mine, self.numbers = self.numbers, self.numbers + 1
        self.send(OPEN, text(kind), number(mine), number(WINDOW), number(32768), rest)
        self.pump(lambda: mine in self.opens, f"an answer to a channel {kind[:40]!r}")
        return self.opens.pop(mine)

    def session(self):
        opened = self.open("session")
        assert isinstance(opened, Channel), opened
        return opened

    def run(self, command, stdin=b""):
        """A command on a session of its own."""
        session = self.session()
        assert session.execute(command), command
        return session.end(stdin)

    def ask(self, name, rest=b"", want_reply=True):
        """A global request: whether it was granted, and with what; None where no reply is wanted."""
        self.send(GLOBAL_REQUEST, text(name), bytes([want_reply]), rest)
        if not want_reply:
            return None
        self.pump(lambda: self.answers, f"an answer to {name[:40]!r}")
        return self.answers.pop(0)


def direct_tcpip(host, port):
    return "direct-tcpip", text(host) + number(port) + text("127.0.0.1") + number(40000)


def direct_streamlocal(path):
    return "direct-streamlocal@openssh.com", text(path) + text("") + number(0)


def tunnel(mode, unit):
    return "tun@openssh.com", number({"point-to-point": 1, "ethernet": 2}[mode]) + number(unit)
