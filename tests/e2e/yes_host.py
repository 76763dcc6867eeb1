# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host that says yes to everything, for what no sshd grants: whoever logs in is in, every channel is opened, whatever its type,
every request is granted, and each command, subsystem and line that is typed answers the sum for which the probe asks. It runs
nothing. paramiko does the login; what comes after that is answered here (RFC 4254)."""
import contextlib
import socket
import threading

import paramiko

import vgtest
from hostile_ssh import (CLOSE, DATA, DEADLINE, EOF, GLOBAL_REQUEST, OPEN, OPEN_FAILURE, OPENED, REQUEST, REQUEST_SUCCESS,
                         SUCCESS, WINDOW, Reader, Wire, number, text)

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
SUM = b"probe-42\n"


class _Anybody(paramiko.ServerInterface):
    def check_auth_none(self, username):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "none"


class _Login:
    def __init__(self, connection, mood, asked):
        self.mood, self.asked = mood, asked
        self.theirs, self.shells, self.ended = {}, set(), set()
        self.wire = Wire(connection)
        self.wire.local_version = "SSH-2.0-OpenSSH_9.2"     # libssh asks no other server for sockets
        self.wire.add_server_key(paramiko.Ed25519Key.from_private_key_file(HOST_KEY))
        self.wire.start_server(event=threading.Event(), server=_Anybody())
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while (item := self.wire.inbox.get()) is not None:
            if self.mood == "yes":
                self._answer(item[0], Reader(item[1]))
            elif self.mood == "ends":
                self.wire.close()
            elif self.mood == "no" and item[0] == OPEN:
                self._refuse(Reader(item[1]))

    def end(self):
        self.wire.close()
        self.thread.join(DEADLINE)

    def _refuse(self, data):
        data.text()
        self.wire.send(OPEN_FAILURE, number(data.number()), number(2), text("open failed"), text(""))

    def _answer(self, kind, data):
        if kind == GLOBAL_REQUEST:
            name, wanted = data.text(), data.flag()
            self.asked.append(name.decode())
            if wanted:
                self.wire.send(REQUEST_SUCCESS, number(4242) if name == b"tcpip-forward" else b"")
        elif kind == OPEN:
            self.asked.append(data.text().decode())
            mine = len(self.theirs)
            self.theirs[mine] = data.number()
            self.wire.send(OPENED, number(self.theirs[mine]), number(mine), number(WINDOW), number(32768))
        elif kind in (REQUEST, DATA, EOF, CLOSE):
            getattr(self, {REQUEST: "_request", DATA: "_data", EOF: "_eof", CLOSE: "_end"}[kind])(data.number(), data)

    def _request(self, mine, data):
        name, wanted = data.text(), data.flag()
        if wanted:
            self.wire.send(SUCCESS, number(self.theirs[mine]))
        command = data.text() if name in (b"exec", b"subsystem") else None
        if name == b"shell":
            self.wire.send(DATA, number(self.theirs[mine]), text("$ "))
        if name == b"shell" or command == b"":
            self.shells.add(mine)           # goes on, as a shell would
        elif command is not None:
            self._say_and_end(mine)

    def _data(self, mine, _):
        if mine in self.shells:
            self.wire.send(DATA, number(self.theirs[mine]), text(SUM))

    def _eof(self, mine, _):
        if mine in self.shells:
            self._say_and_end(mine)

    def _say_and_end(self, mine):
        self.wire.send(DATA, number(self.theirs[mine]), text(SUM))
        self.wire.send(REQUEST, number(self.theirs[mine]), text("exit-status"), b"\0", number(0))
        self._end(mine)

    def _end(self, mine, _=None):
        if mine not in self.ended:
            self.ended.add(mine)
            self.wire.send(CLOSE, number(self.theirs[mine]))


@contextlib.contextmanager
def host(*moods, asked=None):
    """Its port, for the length of the block. A mood for each connection, and the last one for all that follow: yes; after the
    login: no (to channels, in sshd's words), silent, or ends (the connection); or away, before the login.
    asked gets the names of the global requests and of the channels that were granted."""
    moods, logins, asked = list(moods or ["yes"]), [], [] if asked is None else asked

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            mood = moods.pop(0) if len(moods) > 1 else moods[0]
            if mood == "away":
                connection.close()
            else:
                logins.append(_Login(connection, mood, asked))

    with socket.create_server((vgtest.HOST, 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE)
            for login in logins:
                login.end()
