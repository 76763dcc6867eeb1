"""Graphical clients on a desktop that nobody sees: X server, session bus, programs, and what is in their windows."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from gi.repository import Gio, GLib

import vgtest
from vgtest import OUT, wait_until


class Desktop:
    """The user's own computer, as far as it has a screen. Its programs are root's, whose key opens the accounts."""

    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="desktop-"))
        self.servers = []
        self.tree = None
        self.env = {name: os.environ[name] for name in ("PATH", "USER", "LANG", "LC_ALL") if name in os.environ}
        self.env.update(HOME=str(self.home), XDG_RUNTIME_DIR=str(self.home), GSETTINGS_BACKEND="keyfile")
        # virt-manager 5.0 stretches what it shows to the size of its window.
        settings = self.home / ".config/glib-2.0/settings/keyfile"
        settings.parent.mkdir(parents=True)
        settings.write_text("[org/virt-manager/virt-manager/console]\nscaling=0\n")
        try:
            # Larger than any client's window: none has to scale what it shows.
            self.env["DISPLAY"] = ":" + self._serve("Xvfb", "-displayfd", "{}", "-screen", "0", "1600x1200x24",
                                                    "-noreset", "-nolisten", "tcp")
            bus = self._serve("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address={}")
            self.env["DBUS_SESSION_BUS_ADDRESS"] = bus
            self.tree = Tree(bus)
        except BaseException:
            self.close()
            raise

    def _serve(self, *command):
        """Starts a server that tells a descriptor where it is, once it can be used; what it tells."""
        reader, writer = os.pipe()
        with open(reader, "rb") as answer, (self.home / f"{command[0]}.log").open("wb") as log:
            self.servers.append(subprocess.Popen([word.format(writer) for word in command], pass_fds=[writer],
                                                 env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                 start_new_session=True))
            os.close(writer)
            told = answer.readline().decode().strip()
        if not told:
            raise AssertionError(f"{command[0]} did not start")
        return told

    def start(self, *command):
        """A program that runs as long as the block."""
        return Program(self, command)

    def x(self, *command):
        """What a tool of the X server writes; None when it fails, as when a window has just gone."""
        done = subprocess.run([str(word) for word in command], env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=20)
        return done.stdout if done.returncode == 0 else None

    def close(self):
        if self.tree:
            self.tree.close()
        for server in reversed(self.servers):
            server.terminate()
            server.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def find(screen, picture):
    """Where the whole screen is in the picture, pixel by pixel: (x, y). Both are rows of R G B bytes."""
    if vgtest.is_blank(screen):
        raise AssertionError("a screen that shows nothing is everywhere")
    # The row with most on it is looked for; the others must be around it.
    key = max(range(len(screen)), key=lambda n: len(screen[n]) - screen[n].count(0))
    for top in range(len(picture) - len(screen) + 1):
        at = picture[top + key].find(screen[key])
        while at >= 0:
            if at % 3 == 0 and all(picture[top + n][at:at + len(row)] == row for n, row in enumerate(screen)):
                return at // 3, top
            at = picture[top + key].find(screen[key], at + 1)
    return None


class Program(subprocess.Popen):
    """A client. Its windows are named by patterns of their titles."""

    def __init__(self, desktop, command):
        self.desktop = desktop
        self.log = tempfile.TemporaryFile()
        super().__init__([str(word) for word in command], env=desktop.env, stdin=subprocess.DEVNULL, stdout=self.log,
                         stderr=self.log, start_new_session=True, cwd=desktop.home)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def window(self, title, deadline=20):
        """What there is to read in a window, once it is there."""
        def those():
            return [node for node in self.desktop.tree.windows(self.pid) if re.search(title, node.name())]
        return self._until(lambda: patient(those), deadline, f"a window {title!r}")[0]

    def shows(self, title, vm, deadline=20):
        """Waits until the VM's whole screen is in the window, as it is; the window's picture."""
        picture = None

        def is_there():
            nonlocal picture
            picture = self._picture(title)
            return picture and find(vgtest.screenshot(vm), picture)
        try:
            self._until(is_there, deadline, f"the screen of {vm} in a window {title!r}")
        except AssertionError as err:
            if not picture:
                raise
            seen = OUT / f"gui-not-{vm}.png"
            vgtest.png(seen, picture)
            raise AssertionError(f"{err}; what is there is in {seen}") from None
        return picture

    def type(self, title, key):
        # Without a window manager keys go where somebody puts them.
        number = self._number(title)
        self.desktop.x("xdotool", "windowraise", number, "windowfocus", "--sync", number, "key", key)

    def point_at(self, node, title=None):
        """Clicks there with the mouse, once it is there. title: the window to bring to the top; not for an open menu,
        which is above its window."""
        if title:
            self.desktop.x("xdotool", "windowraise", self._number(title))
        self._until(node.is_visible, 10, f"{node.name()!r} on the screen")
        x, y, width, height = node.place()
        self.desktop.x("xdotool", "mousemove", x + width // 2, y + height // 2, "click", 1)

    def _until(self, question, deadline, what):
        """Not for what a program that has ended does not do any more."""
        def answer():
            said = question()
            if not said and self.poll() is not None:
                raise AssertionError(f"it ended with {self.returncode} before {what}: {self.said()}")
            return said
        return wait_until(answer, deadline, what)

    def _number(self, title):
        """The X server's number of a visible window; None while there is none."""
        found = self.desktop.x("xdotool", "search", "--onlyvisible", "--all", "--pid", self.pid, "--name", title)
        return int(found.split()[0]) if found and found.split() else None

    def _picture(self, title):
        """Rows of R G B bytes; None while there is none."""
        number = self._number(title)
        # Whatever lies above the window would be in its picture.
        if not number or self.desktop.x("xdotool", "windowraise", number) is None:
            return None
        data = self.desktop.x("import", "-silent", "-window", number, "-depth", "8", "ppm:-")
        header = re.match(rb"P6\s(\d+)\s(\d+)\s255\s", data or b"")
        if not header:
            return None
        width = 3 * int(header[1])
        return [data[at:at + width] for at in range(header.end(), len(data), width)]

    def __exit__(self, *_):
        self.terminate()
        try:
            self.wait(timeout=10)
        finally:
            self.kill()
            self.wait()
            self.log.close()


# --- what a screen reader learns ------------------------------------------------------------------------------------

SHOWING = 25    # the bit of a state


class Tree:
    """The programs of a desktop, their windows, and what is in these: AT-SPI, asked each time anew."""

    def __init__(self, session):
        self.session = connection(session)
        address, = call(self.session, "org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus", "GetAddress")
        self.bus = connection(address)

    def windows(self, pid):
        """Those of one process."""
        registry = Node(self.bus, "org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root")
        return [window for program in registry.children() if self._pid(program.owner) == pid
                for window in program.children()]

    def _pid(self, owner):
        return call(self.bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                    "GetConnectionUnixProcessID", "s", owner)[0]

    def close(self):
        self.bus.close_sync()
        self.session.close_sync()


def connection(address):
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    return Gio.DBusConnection.new_for_address_sync(address, flags, None, None)


def call(bus, owner, path, interface, method, types="", *args):
    return bus.call_sync(owner, path, interface, method, GLib.Variant(f"({types})", args), None, Gio.DBusCallFlags.NONE,
                         10000, None).unpack()


GONE = {f"org.freedesktop.DBus.Error.{what}" for what in ("UnknownObject", "UnknownMethod", "ServiceUnknown", "NoReply",
                                                          "NameHasNoOwner", "Failed")}


def patient(question):
    """question(); None when something went away while it was looked at."""
    try:
        return question()
    except GLib.Error as err:
        if Gio.DBusError.get_remote_error(err) in GONE:
            return None
        raise


class Node:
    """A window, or something in one."""

    def __init__(self, bus, owner, path):
        self.bus, self.owner, self.path = bus, owner, path

    def _call(self, interface, method, types="", *args):
        return call(self.bus, self.owner, self.path, f"org.a11y.atspi.{interface}", method, types, *args)

    def children(self):
        return [Node(self.bus, *child) for child in self._call("Accessible", "GetChildren")[0]]

    def role(self):
        name = self._call("Accessible", "GetRoleName")[0]
        return "push button" if name == "button" else name      # the same role, in at-spi 2.56

    def name(self):
        return call(self.bus, self.owner, self.path, "org.freedesktop.DBus.Properties", "Get", "ss",
                    "org.a11y.atspi.Accessible", "Name")[0]

    def walk(self):
        """This one and all below, in the order of a reader."""
        yield self
        for child in self.children():
            yield from child.walk()

    def texts(self, role=None):
        """The names of all below, of one role only if it is given."""
        return [name for node in self.walk() if (name := node.name()) and role in (None, node.role())]

    def find(self, role, name):
        """The first below."""
        for node in self.walk():
            if node.name() == name and node.role() == role:
                return node
        return None

    def content(self):
        """What is written in it, of a text or terminal."""
        return self._call("Text", "GetText", "ii", 0, -1)[0]

    def is_visible(self):
        states, _ = self._call("Accessible", "GetState")[0]
        return states >> SHOWING & 1

    def place(self):
        """On the screen: x, y, width, height."""
        return self._call("Component", "GetExtents", "u", 0)[0]

    def click(self, role, name, deadline=10):
        """Clicks the first below, as soon as there is one that can be clicked."""
        def clicked():
            node = self.find(role, name)
            # What cannot be used at the moment has no actions.
            return node and node._call("Action", "GetActions")[0] and node._call("Action", "DoAction", "i", 0)[0]
        wait_until(lambda: patient(clicked), deadline, f"{role} {name!r} to be clicked")
