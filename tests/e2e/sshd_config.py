# SPDX-License-Identifier: LGPL-2.1-or-later
"""sshd's effective settings, and configurations made from copies of the installed ones."""
import grp
import pathlib
import re
import subprocess

MAIN = pathlib.Path("/etc/ssh/sshd_config")
DROPINS = pathlib.Path("/etc/ssh/sshd_config.d")
OURS = "05-virtgate.conf"
GROUP = "virtgate-users"
GATE = "/usr/bin/virtgate-shell"
SSHD = "/usr/sbin/sshd"

# What sshd has to answer for a member of the gate's group, whatever the rest of the configuration says.
WANTED = {
    "forcecommand": [GATE],
    "permittty": ["yes"],
    "permituserrc": ["no"],
    "permituserenvironment": ["no"],
    "maxsessions": ["10"],
    "unusedconnectiontimeout": ["60"],
    "clientaliveinterval": ["30"],
    "clientalivecountmax": ["3"],
    "disableforwarding": ["yes"],
    "allowtcpforwarding": ["no"],
    "permitopen": ["none"],
    "permitlisten": ["none"],
    "gatewayports": ["no"],
    "allowstreamlocalforwarding": ["no"],
    "streamlocalbindunlink": ["no"],
    "streamlocalbindmask": ["0177"],
    "allowagentforwarding": ["no"],
    "x11forwarding": ["no"],
    "x11uselocalhost": ["yes"],
    "permittunnel": ["no"],
    "acceptenv": ["VIRTGATE_ACCEPTS_NO_VARIABLE"],
    "setenv": ["SSH_ORIGINAL_COMMAND=", "LD_PRELOAD=", "LD_AUDIT=", "LD_LIBRARY_PATH=", "BASH_ENV=", "ENV="],
    "exposeauthinfo": ["no"],
    "banner": ["none"],
}

# The opposite of each, as an administrator might have it for everybody: a keyword that the drop-in does not set by name
# shows up under this one even where sshd's own default is the value wanted.
PERMISSIVE = """
PermitUserEnvironment yes
ForceCommand /bin/sh
PermitTTY no
PermitUserRC yes
MaxSessions 40
UnusedConnectionTimeout none
ClientAliveInterval 0
ClientAliveCountMax 9
DisableForwarding no
AllowTcpForwarding yes
PermitOpen any
PermitListen any
GatewayPorts yes
AllowStreamLocalForwarding yes
StreamLocalBindUnlink yes
StreamLocalBindMask 0000
AllowAgentForwarding yes
X11Forwarding yes
X11UseLocalhost no
PermitTunnel yes
AcceptEnv *
SetEnv LD_PRELOAD=/nonexistent
ExposeAuthInfo yes
Banner /etc/issue.net
"""

# The same without what stands in the way of an ordinary login: for a running sshd.
PERMISSIVE_LOGIN = "\n".join(line for line in PERMISSIVE.splitlines()
                             if not line.startswith(("ForceCommand", "PermitTTY", "SetEnv", "Banner")))


def missing():
    """What is missing for these tests, or None."""
    if not (DROPINS / OURS).exists():
        return f"needs {DROPINS / OURS} (run inside tests/sandbox)"
    try:
        members = grp.getgrnam(GROUP).gr_mem
    except KeyError:
        return f"needs the group {GROUP} (run inside tests/sandbox)"
    if "alice" not in members or "carol" in members:
        return f"needs alice in {GROUP} and carol outside (run inside tests/sandbox)"
    return None


def parse(text):
    """The output of sshd -T as {keyword in small letters: [values]}; newer releases write KeyWords in mixed case."""
    settings = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key:
            settings.setdefault(key.lower(), []).append(value)
    return settings


def effective(user, main=MAIN):
    out = subprocess.run([SSHD, "-T", "-f", str(main), "-C", f"user={user},host=localhost,addr=127.0.0.1"],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return parse(out.stdout)


def differences(settings):
    """What is not as wanted: the check under test. Empty for a gate that stands."""
    return {key: settings.get(key) for key, wanted in WANTED.items() if settings.get(key) != wanted}


def copy(folder, *, without=None, append="", drop_in=None, extra=None):
    """A copy of the installed configuration in folder, to be changed: without a file name leaves that drop-in out, append
    goes to the end of the main file, drop_in replaces the text of ours, extra is {name: text}. Returns the main file."""
    here = pathlib.Path(folder) / "sshd_config.d"
    here.mkdir(parents=True, exist_ok=True)
    for path in sorted(DROPINS.glob("*.conf")):
        if path.name != without:
            (here / path.name).write_text(path.read_text())
    if drop_in is not None:
        (here / OURS).write_text(drop_in)
    for name, text in (extra or {}).items():
        (here / name).write_text(text)
    main = pathlib.Path(folder) / "sshd_config"
    text, found = re.subn(rf"(?mi)^\s*Include\s+{re.escape(str(DROPINS))}/\*\.conf\s*$", f"Include {here}/*.conf",
                          MAIN.read_text())
    assert found == 1, f"{MAIN} does not include {DROPINS}/*.conf"
    main.write_text(text + "\n" + append + "\n")
    return main
