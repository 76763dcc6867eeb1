# SPDX-License-Identifier: LGPL-2.1-or-later
"""pam_virtgate.so: who is let in, what is recorded of a login, and what happens where something is broken, through a real sshd
with a configuration that permits everything. What a login cannot do is in test_pam_confined.py."""
import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import pam_sshd
import vgtest
from pam_sshd import LOGINS, METHODS, Way, no_records, pam, pamtester, record, stack
from vgtest import ACL, log_mark, records, wait_for_log, wait_until

WHY = pam_sshd.missing()
pytestmark = pytest.mark.skipif(WHY is not None, reason=str(WHY))

REQUIRED = "[gate]\nconfined = required\n"
GRANT = "[user alice]\ndisplay = cards2\nserial = cards2\n"
UNCONFINED = b"virtgate: this host serves only logins that its PAM module has confined, and this one is not\n"
USERS = ("alice", "bob", "mallory", "carol")


@pytest.fixture(scope="module")
def ways():
    """ways('password') at the second sshd; certificates are of the user's own."""
    pam_sshd.set_passwords(*USERS)
    with tempfile.TemporaryDirectory() as folder:
        keys, trust = pam_sshd.certificates(folder, *USERS)
        with pam_sshd.server(trust) as port:
            yield lambda method="key", user="alice": Way(port, method, keys[user])


@pytest.fixture(autouse=True)
def set_up(ways):
    with vgtest.acl(REQUIRED + GRANT), pam(stack()):
        yield
        wait_until(no_records, what="the end of all logins")


def info(way, user="alice"):
    return way.run(user, "info", "cards2")


def is_served(result):
    return result.rc == 0 and result.stdout.startswith(b"name     cards2\n")


def is_kept_out(result):
    """sshd lets nobody in, and says nothing of it."""
    return result.rc == 255 and result.stdout == b""


# --- who is let in -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", METHODS)
def test_E1_1_E2_1_every_method_is_the_same(ways, method):
    """The same decision, confined, and the address known: a grant with from is given."""
    mark = log_mark()
    with vgtest.acl(REQUIRED + GRANT + "from = 127.0.0.0/8\n"):
        result = info(ways(method))
        assert is_served(result), result
        assert ways(method).run("alice", "console", "secret").rc == 77
    found, = records(mark, "refused")
    assert found["from"] == "127.0.0.1"
    assert found["key"].startswith("SHA256:") if method in ("key", "certificate") else found["key"].startswith(method), found


@pytest.mark.parametrize("method", METHODS)
def test_E28_1_no_grant_no_login(ways, method):
    mark, marker = log_mark(), pathlib.Path("/run/opened")
    with pam(stack() + f"session required pam_exec.so type=open_session /usr/bin/touch {marker}\n"):
        result = info(ways(method, "mallory"), "mallory")
        assert is_kept_out(result), result
        assert is_served(info(ways(method))) and marker.exists()
        marker.unlink()
        assert is_kept_out(ways(method, "mallory").run("mallory", options=("-N",))) and not marker.exists()
    assert wait_for_log(mark, rf"pam_virtgate\({pam_sshd.SERVICE}:account\): no current grant for mallory from 127\.0\.0\.1")


@pytest.mark.parametrize("rule", ["deny = *", "from = 192.0.2.0/24", "until = 2020-01-01", "hours = {hours}"])
def test_a_grant_that_does_not_hold_is_none(ways, rule):
    now = time.localtime()
    rule = rule.format(hours="00:00-00:01" if now.tm_hour else "12:00-12:01")
    with vgtest.acl(REQUIRED + GRANT + rule + "\n"):
        assert is_kept_out(info(ways()))
    assert is_served(info(ways()))


def test_from_of_another_address(ways):
    """The client's own: 127.0.0.2 is granted, 127.0.0.1 is not."""
    with vgtest.acl(REQUIRED + GRANT + "from = 127.0.0.2\n"):
        assert is_kept_out(info(ways()))
        assert is_served(ways().run("alice", "info", "cards2", options=("-T", "-b", "127.0.0.2")))


def test_a_group_that_nss_loses_is_no_way_out(ways):
    """Her login shell is the gate's: she stays a gate user when the group is not found."""
    with without_group_entry():
        assert is_kept_out(info(ways(), "mallory"))
        assert ways().run("carol", "true").rc == 0


@contextlib.contextmanager
def without_group_entry():
    path = pathlib.Path("/etc/group")
    before = path.read_text()
    path.write_text("".join(entry for entry in before.splitlines(True) if not entry.startswith("virtgate-users:")))
    try:
        yield
    finally:
        path.write_text(before)


# --- who is not touched --------------------------------------------------------------------------------------------

def broken_acl():
    ACL.write_text("[user alice\n")


def missing_acl():
    ACL.unlink()


def acl_of_anybody():
    ACL.chmod(0o666)


def acl_of_another():
    os.chown(ACL, pwd.getpwnam("carol").pw_uid, -1)


def acl_is_a_link():
    ACL.unlink()
    ACL.symlink_to("/dev/null")


@contextlib.contextmanager
def spoilt(how):
    before, st = ACL.read_text(), ACL.stat()
    try:
        how()
        yield
    finally:
        ACL.unlink(missing_ok=True)
        ACL.write_text(before)
        os.chown(ACL, st.st_uid, st.st_gid)
        ACL.chmod(st.st_mode & 0o7777)


@pytest.mark.parametrize("how", [broken_acl, missing_acl, acl_of_anybody, acl_of_another, acl_is_a_link])
def test_E25_1_E15_1_acl_that_is_no_use(ways, how):
    """Gate users wait; administrators and everybody else do not."""
    root = pathlib.Path("/root/.ssh/authorized_keys")
    root.write_text(pathlib.Path("/root/.ssh/id_ed25519.pub").read_text())
    mark = log_mark()
    with spoilt(how):
        for method in METHODS:
            assert is_kept_out(info(ways(method)))
        assert ways().run("carol", "true").rc == 0
        assert ways("password").run("carol", "true").rc == 0
        assert ways().run("root", "true").rc == 0
        for service in ("su", "cron", "login"):
            assert pamtester("alice", "acct_mgmt", service=service).rc == 0
    root.unlink()
    assert wait_for_log(mark, r"pam_virtgate\(.*\): .*: no gate user is let in")
    assert is_served(info(ways()))


@pytest.mark.parametrize("options", ["debug", "hide=yes", "group=", "services=sshd", "config=relative", "hide-except=adm"])
def test_an_option_that_is_not_known(ways, options):
    """services= is there twice in the third last."""
    mark = log_mark()
    with pam(stack(options)):
        assert is_kept_out(info(ways()))
        assert ways().run("carol", "true").rc == 0
    assert wait_for_log(mark, "unknown, repeated or malformed option|hide-except without hide")


def test_another_service_is_left_alone(ways):
    """The broker notices that nobody confined the login."""
    with pam(stack().replace(f"services={pam_sshd.SERVICE}", "")):
        assert info(ways()).stderr == UNCONFINED
        with vgtest.acl(REQUIRED.replace("required", "optional") + GRANT):
            assert is_served(info(ways()))


def test_another_group(ways):
    """alice, with an ordinary shell, is nobody special then, and not served."""
    with pam(stack("group=daemon")), pam_sshd.login_shell("alice", "/bin/bash"):
        assert ways().run("alice", "ls / > /dev/null && echo in").stdout == b"in\n"
        assert ways().run("alice", "virtgate-shell -c 'info cards2'").stderr == UNCONFINED


# --- what PAM is told ------------------------------------------------------------------------------------------------

DENIED, NO_SESSION = b"Permission denied", b"Cannot make/remove an entry for the specified session"


def ours_alone(options="", account="account required pam_permit.so"):
    ours = pam_sshd.line(options)
    return (f"auth required pam_permit.so\nauth optional {ours}\n{account}\naccount required {ours}\n"
            f"session required pam_permit.so\nsession required {ours}\n")


@pytest.mark.parametrize("operation, said", [("acct_mgmt", DENIED), ("open_session", NO_SESSION)])
def test_E15_1_what_is_wrong_is_never_ignored(operation, said):
    with pam(ours_alone()):
        assert pamtester("alice", "acct_mgmt").rc == 0
        assert said in pamtester("mallory", operation).stderr
        assert pamtester("carol", operation).rc == pamtester("root", operation).rc == 0
        assert said in pamtester("nosuchuser", operation).stderr
        with spoilt(broken_acl):
            assert said in pamtester("alice", operation).stderr
            assert pamtester("carol", operation).rc == pamtester("root", operation).rc == 0
        for options in ("config=/nowhere", "config=/etc/passwd", "nonsense"):
            with pam(ours_alone(options)):
                assert said in pamtester("alice", operation).stderr
                assert pamtester("carol", operation).rc == pamtester("root", operation).rc == 0


NSS = """
#include <errno.h>
#include <nss.h>
struct group;
enum nss_status _nss_vgfail_getgrnam_r(const char *n, struct group *g, char *b, size_t l, int *e)
{ *e = ECONNREFUSED; return NSS_STATUS_UNAVAIL; }
enum nss_status _nss_vgfail_getgrgid_r(unsigned n, struct group *g, char *b, size_t l, int *e)
{ *e = ECONNREFUSED; return NSS_STATUS_UNAVAIL; }
"""


@pytest.fixture
def failing_nss(tmp_path):
    """A source of groups that does not answer."""
    (tmp_path / "nss.c").write_text("#include <stddef.h>\n" + NSS)
    library = pathlib.Path("/usr/lib", f"{os.uname().machine}-linux-gnu", "libnss_vgfail.so.2")
    pam_sshd.compile_c(tmp_path / "nss.c", library, "-shared", "-fPIC")
    conf = pathlib.Path("/etc/nsswitch.conf")
    before = conf.read_text()
    conf.write_text(re.sub(r"(?m)^group:.*", "group: vgfail", before))
    yield
    conf.write_text(before)
    library.unlink()


def test_E15_1_nss_that_does_not_answer(failing_nss):
    """Nobody knows then who is a gate user; root is not."""
    with pam(ours_alone()):
        for user, rc in (("alice", 1), ("mallory", 1), ("carol", 1), ("root", 0)):
            assert pamtester(user, "acct_mgmt").rc == rc, user
            assert pamtester(user, "open_session").rc == rc, user


NO_MEMORY = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
static long left = -1;
static int fails(void)
{
    if (left < 0 || --left >= 0)
        return 0;
    left = -1;
    (void)!write(3, "x", 1);
    errno = ENOMEM;
    return 1;
}
void *malloc(size_t n) { return fails() ? 0 : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return fails() ? 0 : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return fails() ? 0 : __libc_realloc(p, n); }
void *dlopen(const char *name, int flags)
{
    void *(*next)(const char *, int) = dlsym(RTLD_NEXT, "dlopen");
    void *library = next(name, flags);
    const char *count = getenv("FAIL_AT");
    if (name && count && strstr(name, "pam_virtgate"))
        left = atol(count);
    return library;
}
"""


@pytest.mark.parametrize("operation", ["acct_mgmt", "open_session"])
def test_E15_1_no_memory_is_no_way_in(place, operation):
    """One allocation fails, any after the module is there, be it the module's, PAM's or that of the lookup of groups. She is kept
    out at each, and alice is let in once none is left to fail."""
    (place / "memory.c").write_text(NO_MEMORY)
    library = pam_sshd.compile_c(place / "memory.c", place / "memory.so", "-shared", "-fPIC", "-ldl")

    def tried(user, number):
        """What pamtester ends with, and whether an allocation failed."""
        with tempfile.TemporaryFile() as failed:
            done = subprocess.run(["pamtester", "sshd", user, operation], stdin=subprocess.DEVNULL, capture_output=True,
                                  env={"PATH": os.environ["PATH"], "LD_PRELOAD": str(library), "FAIL_AT": str(number)},
                                  preexec_fn=lambda: os.dup2(failed.fileno(), 3), close_fds=False)
            return done.returncode, os.fstat(failed.fileno()).st_size > 0

    # sshd's own file, and no options: PAM calls a module without them if it has no memory for them.
    before = pam_sshd.STOCK.read_text()
    pam_sshd.STOCK.write_text(ours_alone().replace(f" services={pam_sshd.SERVICE}", ""))
    try:
        # There is no audit session here, so there is no record, and confined = required would refuse.
        with vgtest.acl(GRANT):
            number, wrong = 0, []
            while (met := tried("mallory", number))[1]:
                wrong += [number] * (met[0] == 0)
                number += 1
            assert number > 50 and wrong == [] and met[0] == 1, (number, wrong, met)
            assert tried("alice", number * 10) == (0, False)
    finally:
        pam_sshd.STOCK.write_text(before)


def test_E27_1_nothing_is_said_to_the_client(ways):
    """No prompt, no message, whatever becomes of it; sshd's own lines aside."""
    for user in ("alice", "mallory"):
        result = ways("keyboard-interactive", user).run(user, "version")
        assert b"gate" not in result.stderr and b"grant" not in result.stderr and b"\x1b" not in result.stderr, result
    with pam(ours_alone()):
        result = pamtester("mallory", "acct_mgmt")
        assert result.stderr == b"pamtester: Permission denied\n" and result.stdout == b""


# --- the record ------------------------------------------------------------------------------------------------------

def console(way):
    return way.running("alice", "console", "cards2")


def test_E19_1_what_is_recorded(ways):
    """The key is known in the session stage only, and is the one that opened the login."""
    mark = log_mark()
    with console(ways()) as ssh:
        wait_until(lambda: vgtest.open_sessions(), what="a console")
        fields, path = record()
        folder = LOGINS.stat()
        assert (folder.st_uid, folder.st_mode & 0o7777, LOGINS.group()) == (0, 0o2750, "virtgate")
        assert (path.owner(), path.group(), path.stat().st_mode & 0o7777) == ("root", "virtgate", 0o640)
        assert path.name == fields["session"] == pathlib.Path(f"/proc/{fields['pid']}/sessionid").read_text()
        assert fields["uid"] == str(pwd.getpwnam("alice").pw_uid)
        assert (fields["address"], fields["service"], fields["confined"]) == ("127.0.0.1", pam_sshd.SERVICE, "yes")
        fingerprint = vgtest.run("ssh-keygen", "-lf", "/root/.ssh/id_ed25519.pub").stdout.decode().split()[1]
        assert fields["key"] == fingerprint
        assert abs(int(fields["time"]) - time.time()) < 60
        assert f":{fields['port']} " in vgtest.run("ss", "-tnH").stdout.decode() + " "
        session, = json.loads(vgtest.run("virtgatectl", "who", "--json").stdout)["sessions"]
        assert (session["user"], session["from"], session["key"]) == ("alice", "127.0.0.1", fingerprint)
        ssh.terminate()
    started, = records(mark, "start")
    assert (started["from"], started["key"]) == ("127.0.0.1", fingerprint)
    wait_until(no_records, what="the record's end")


def test_the_folder_is_made(ways):
    """After a boot without systemd-tmpfiles, whatever the umask."""
    shutil.rmtree(LOGINS)
    with console(ways()):
        wait_until(lambda: vgtest.open_sessions(), what="a console")
        record()
        assert (LOGINS.stat().st_uid, LOGINS.stat().st_mode & 0o7777, LOGINS.group()) == (0, 0o2750, "virtgate")


def test_a_folder_that_is_not_roots(ways):
    """Who could write there could say where others come from."""
    LOGINS.chmod(0o2777)
    assert is_kept_out(info(ways())) or info(ways()).rc == 254
    assert ways().run("carol", "true").rc == 0
    LOGINS.chmod(0o2750)
    assert is_served(info(ways()))


def test_nobody_else_is_recorded(ways):
    with ways().running("carol", "sleep 20"):
        wait_until(lambda: vgtest.processes("sleep"), what="carol's login")
        assert no_records()


def test_E23_1_stale_records_are_swept(ways):
    """sshd's monitor is killed while a console is open: its end is logged, and the record goes at the next login."""
    mark = log_mark()
    with console(ways()):
        wait_until(lambda: vgtest.open_sessions(), what="a console")
        fields, path = record()
        os.kill(int(fields["pid"]), signal.SIGKILL)
    records(mark, "end")
    assert path.exists()
    wait_until(vgtest.all_sessions_over, what="the session's end")
    (LOGINS / "4294967290").write_text("nonsense")
    assert is_served(info(ways()))
    wait_until(lambda: not path.exists(), what="the sweep")
    assert not (LOGINS / "4294967290").exists()


LOGINUID = re.search(r"(?m)^session\s+required\s+pam_loginuid\.so\n", pam_sshd.STOCK.read_text()) if WHY is None else None


def begin_audit_session():
    """As a process has one that was started from a login."""
    pathlib.Path("/proc/self/loginuid").write_text("0")


@pytest.mark.parametrize("prepare", [None, begin_audit_session], ids=["none", "of the listening sshd"])
def test_C20_1_no_audit_session_of_its_own(prepare):
    """No pam_loginuid: required lets no gate user in, and with optional the broker does not know an address."""
    with pam_sshd.server(prepare=prepare) as port, pam(stack().replace(LOGINUID[0], "")):
        way, mark = Way(port), log_mark()
        assert is_kept_out(info(way)) and is_kept_out(way.run("alice", options=["-W", "127.0.0.1:22"]))
        assert wait_for_log(mark, r"no audit session id \(is pam_loginuid above\?\)")
        with vgtest.acl(GRANT):
            assert is_served(info(way)) and no_records()
            assert way.run("alice", "console", "secret").rc == 77
        with vgtest.acl(GRANT + "from = 127.0.0.0/8\n"):
            result = info(way)
            assert result.rc == 77 and b"cards2" not in result.stdout, result
        assert way.run("carol", "true").rc == 0
    found = records(mark, "refused", 2)
    assert {entry["from"] for entry in found} == {"unknown"}
    with pam_sshd.server(prepare=prepare) as port, vgtest.acl(REQUIRED + GRANT + "from = 127.0.0.0/8\n"):
        assert is_served(info(Way(port)))


def test_a_record_of_another_is_none(ways):
    """Only root's, only whole, only the uid's."""
    with pam_sshd.login_shell("alice", "/bin/bash"):
        with ways().running("alice", "while read line; do virtgate-shell -c 'info cards2' 2>&1; echo =done=; done") as ssh:
            talk = vgtest.Stream(ssh.stdout.fileno(), ssh.stdin.fileno())

            def ask():
                talk.write(b"\n")
                return talk.read_until(b"=done=\n")

            assert ask().startswith(b"name ")
            _, path = record()
            text = path.read_text()

            def refuses(changed=text, owner=0, mode=0o640):
                path.write_text(changed)
                os.chown(path, owner, path.stat().st_gid)
                path.chmod(mode)
                assert ask().startswith(UNCONFINED), (changed, owner, mode)

            refuses(text.replace("confined yes", "confined no "))
            refuses(text.replace(f"uid {pwd.getpwnam('alice').pw_uid}", f"uid {pwd.getpwnam('bob').pw_uid}"))
            refuses(text.replace("session ", "session 1"))
            refuses(text + "\n")
            refuses(text[:-1])
            refuses("")
            refuses(owner=pwd.getpwnam("alice").pw_uid)
            refuses(mode=0o666)
            path.unlink()
            assert ask().startswith(UNCONFINED)
            path.symlink_to("/etc/passwd")
            assert ask().startswith(UNCONFINED)
            path.unlink()
            path.write_text(text)
            assert ask().startswith(b"name ")


def test_E18_1_a_name_is_no_address(ways):
    """UseDNS puts what a reverse lookup says into PAM_RHOST; sshd -i on a pipe has no address at all."""
    assert vgtest.run("getent", "hosts", "127.0.0.1").stdout.split()[1] == b"localhost"
    mark = log_mark()
    with pam_sshd.server("UseDNS yes\n") as port:
        way = Way(port)
        assert is_served(info(way))
        assert way.run("alice", "console", "secret").rc == 77
        with vgtest.acl(REQUIRED + GRANT + "from = 127.0.0.0/8\n"):
            assert is_kept_out(info(way))
    found, = records(mark, "refused")
    assert found["from"] == "unknown" and found["key"].startswith("SHA256:")
    with tempfile.TemporaryDirectory() as folder:
        main = pathlib.Path(folder, "config")
        main.write_text(pam_sshd.OPEN)
        piped = ["-T", "-o", f"ProxyCommand={pam_sshd.PROGRAM} -i -f {main}"]
        assert is_served(ways().run("alice", "info", "cards2", options=piped))
        with vgtest.acl(REQUIRED + GRANT + "from = 127.0.0.0/8\n"):
            assert is_kept_out(ways().run("alice", "info", "cards2", options=piped))


def test_what_a_user_says_of_an_address_is_not_heard(ways):
    """~/.pam_environment is read by a module before ours where that stands below it."""
    below = stack(session=None) + f"session required {pam_sshd.line()}\n"
    home = pathlib.Path("/home/alice/.pam_environment")
    home.write_text("SSH_CONNECTION=192.0.2.1 7 192.0.2.2 22\nPAM_RHOST=192.0.2.1\n")
    os.chown(home, pwd.getpwnam("alice").pw_uid, -1)
    try:
        with pam(below), vgtest.acl(REQUIRED + GRANT + "from = 192.0.2.0/24\n"):
            assert is_kept_out(info(ways()))
        with pam(below), vgtest.acl(REQUIRED + GRANT + "from = 127.0.0.1\n"):
            assert is_served(info(ways()))
    finally:
        home.unlink()


# --- lines of PAM that are skipped -------------------------------------------------------------------------------------

PERMIT = "{0} sufficient pam_permit.so\n{0} %s {{}}"
SKIPPED = {
    "E11_account_and_session": dict(account=PERMIT.format("account") % "required", session=PERMIT.format("session") % "required"),
    "E11_auth": dict(auth=PERMIT.format("auth") % "optional"),
    "E12_after_an_include": dict(account="account include vg-inner\naccount required {}",
                                 session="session include vg-inner\nsession required {}"),
    "E13_within_a_jump": dict(session="session [success=1 default=1] pam_permit.so\nsession required {}"),
    "E13_auth_within_a_jump": dict(auth="auth [success=1 default=1] pam_permit.so\nauth optional {}"),
    "E14_optional": dict(account="account optional {}", session="session optional {}", module="pam_virtgate_gone.so"),
    "E14_dash": dict(account="-account required {}", session="-session optional {}", module="pam_virtgate_gone.so"),
    "E14_ignored": dict(account="account [module_unknown=ignore] {}", session="session [module_unknown=ignore] {}",
                        module="pam_virtgate_gone.so"),
    "no_lines": dict(auth=None, account=None, session=None),
    "no_auth_line": dict(auth=None),
    "no_session_line": dict(session=None),
}


@pytest.mark.parametrize("which", SKIPPED)
def test_E5_2_E11_1_E12_1_E13_1_E14_1_a_line_that_is_skipped(ways, which):
    """The broker serves nobody whom it does not know to be confined; where our auth line is reached, sshd's process ends."""
    inner = pathlib.Path("/etc/pam.d/vg-inner")
    inner.write_text("account sufficient pam_permit.so\nsession sufficient pam_permit.so\n")
    with pam(stack(**SKIPPED[which])):
        result = info(ways())
        assert result.rc != 0 and b"cards2" not in result.stdout and (result.stderr == UNCONFINED or is_kept_out(result)), result
    inner.unlink()


@pytest.mark.parametrize("kind", ["required", "requisite"])
def test_E14_1_the_file_is_not_there(ways, kind):
    with pam(stack(account=f"account {kind} {{}}", session=f"session {kind} {{}}", module="pam_virtgate_gone.so")):
        assert is_kept_out(info(ways()))


@pytest.mark.parametrize("auth, code", [(None, 254), ("auth optional {}", 255)], ids=["session alone", "with auth"])
def test_E16_1_no_session_nothing(ways, auth, code):
    """Without our account line it is the session that refuses; what else a connection carries goes with it. Our auth line would
    end the whole connection."""
    way = ways("key", "mallory")
    forwards = (["-W", "127.0.0.1:22"], ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22"])
    with pam(stack(account=None, auth=auth)):
        for words, options in ((["info", "cards2"], ["-T"]), ([], ["-T"]), ([], ["-tt"]), (["sftp"], ["-s"])):
            result = way.run("mallory", *words, options=options)
            assert result.rc == code and b"cards2" not in result.stdout, result
        for options in forwards:
            result = way.run("mallory", options=options)
            assert result.rc == 255 and result.stdout == b"", result
    with pam(stack(account=None, auth=None, session=None)):
        assert way.run("mallory", "info", "cards2").rc == 77
        assert way.run("mallory", options=forwards[0]).stdout.startswith(b"SSH-2.0-")


def test_E17_1_sshd_without_pam():
    with pam_sshd.server("UsePAM no\n") as port:
        assert info(Way(port)).stderr == UNCONFINED
        with vgtest.acl(GRANT):
            assert is_served(info(Way(port)))


RENAME = """
#include <security/pam_modules.h>
#include <string.h>
static int rename_user(pam_handle_t *pamh)
{
    const void *user;
    return pam_get_item(pamh, PAM_USER, &user) == PAM_SUCCESS && strcmp(user, "alice") == 0
        ? pam_set_item(pamh, PAM_USER, "carol") : PAM_SUCCESS;
}
int pam_sm_authenticate(pam_handle_t *p, int f, int c, const char **v) { return rename_user(p); }
int pam_sm_setcred(pam_handle_t *p, int f, int c, const char **v) { return PAM_SUCCESS; }
int pam_sm_acct_mgmt(pam_handle_t *p, int f, int c, const char **v) { return rename_user(p); }
int pam_sm_open_session(pam_handle_t *p, int f, int c, const char **v) { return rename_user(p); }
int pam_sm_close_session(pam_handle_t *p, int f, int c, const char **v) { return PAM_SUCCESS; }
"""


@pytest.mark.parametrize("where", ["account", "session"])
def test_E20_1_another_user_by_the_way(ways, where, place):
    """A module makes carol of alice, who stays alice for sshd 9.2: she is confined as alice, or not let in."""
    (place / "rename.c").write_text(RENAME)
    module = pam_sshd.compile_c(place / "rename.c", place / "pam_rename.so", "-shared", "-fPIC")
    with pam(stack(**{where: f"{where} required {module}\n{where} required {{}}"})), pam_sshd.login_shell("alice", "/bin/bash"):
        result = ways().run("alice", "echo uid=$UID; virtgate-shell -c 'info cards2'")
        assert f"uid={pwd.getpwnam('carol').pw_uid}\n".encode() not in result.stdout and b"cards2" not in result.stdout, result
        # Without the change it is she, and she is served.
        with pam(stack()):
            result = ways().run("alice", "echo uid=$UID; virtgate-shell -c 'info cards2'")
            assert result.stdout.startswith(f"uid={pwd.getpwnam('alice').pw_uid}\nname     cards2\n".encode()), result


def test_E21_1_the_home_folder_is_not_looked_at(place):
    """Whatever it is: with our lines alone, no path in it is named."""
    trace = place / "trace"
    with pam(ours_alone()):
        done = vgtest.run("strace", "-f", "-e", "trace=file", "-o", trace, "pamtester", pam_sshd.SERVICE, "alice", "acct_mgmt",
                          "open_session", "close_session")
        # There is no audit session here, so there is no record, and confined = required refuses.
        assert NO_SESSION in done.stderr
    said = trace.read_text()
    assert "virtgate.ini" in said and "/home" not in said


def test_E25_1_others_services_are_not_touched():
    """In a file that every service includes, only those that are listed are meant."""
    with pam(ours_alone().replace(f"services={pam_sshd.SERVICE}", "services=sshd")):
        for user in ("mallory", "carol", "nosuchuser"):
            assert pamtester(user, "acct_mgmt", "open_session").rc == 0


def test_what_the_module_brings_into_sshd():
    """Its entry points alone: a name more could take the place of one of sshd's. And no library that starts threads or talks."""
    module, = pathlib.Path("/usr/lib").glob(f"*/security/{pam_sshd.MODULE}")
    names = [line.split()[-1] for line in vgtest.run("nm", "-D", "--defined-only", module).stdout.decode().splitlines()]
    assert names == [f"pam_sm_{stage}" for stage in ("acct_mgmt", "authenticate", "close_session", "open_session", "setcred")]
    needed = re.findall(r"NEEDED.*\[(\w+)", vgtest.run("readelf", "-d", module).stdout.decode())
    assert set(needed) <= {"libinih", "libmd", "libseccomp", "libpam", "libc"}


def test_the_broker_cuts_what_the_acl_now_wants_confined(ways):
    with pam(stack(auth=None, account=None, session=None)), vgtest.acl(GRANT):
        mark = log_mark()
        with console(ways()):
            wait_until(lambda: vgtest.open_sessions(), what="a console")
            vgtest.set_acl(REQUIRED + GRANT)
            ended, = records(mark, "end")
            assert ended["reason"] == "the login is not confined"
