/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pam_virtgate.so in libpam, without root: what it answers, whatever it finds. */
#include "unit.h"

#include <errno.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine/confine_impl.h"
#include "pam_host.h"
#include "wire/login.h"

#define GRANT "[user alice]\ndisplay = vm\n"
#define REQUIRED "[gate]\nconfined = required\n"
#define IGNORED 1000 /* PAM_IGNORE of the module alone, which libpam shows to nobody */
#define LARGE (4U << 20)

static unsigned n_said; /* what PAM was to show to the client */

static int converse(int n, const struct pam_message **messages, struct pam_response **ret, void *data)
{
    (void)n;
    (void)messages;
    (void)ret;
    (void)data;
    n_said++;
    return PAM_CONV_ERR;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", host.folder, name);
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void set_acl(const char *text)
{
    write_file("acl", text, 0600);
}

/* Two services: in one the module decides and another permits; in the other it may permit, or another denies. */
static void set_stack(const char *options)
{
    static const char *const kinds[] = { "auth", "account", "session" };
    char required[4096] = "", sufficient[4096] = "";

    for (size_t i = 0; i < 3; i++) {
        size_t a = strlen(required), b = strlen(sufficient);
        snprintf(required + a, sizeof required - a, "%s %s " MODULE " services=sshd,may config=%s/acl %s\n"
                 "%s required pam_permit.so\n", kinds[i], i ? "required" : "optional", host.folder, options, kinds[i]);
        snprintf(sufficient + b, sizeof sufficient - b, "%s sufficient " MODULE " services=sshd,may config=%s/acl %s\n"
                 "%s required pam_deny.so\n", kinds[i], host.folder, options, kinds[i]);
    }
    write_file("sshd", required, 0600);
    write_file("may", sufficient, 0600);
}

static pam_handle_t *start(const char *service, const char *user)
{
    static const struct pam_conv conv = { converse, NULL };
    pam_handle_t *pamh = NULL;

    assert_int_equal(pam_start_confdir(service, user, &conv, host.folder, &pamh), PAM_SUCCESS);
    assert_int_equal(pam_set_item(pamh, PAM_RHOST, "192.0.2.7"), PAM_SUCCESS);
    assert_int_equal(pam_putenv(pamh, "SSH_CONNECTION=192.0.2.7 50022 192.0.2.1 22"), PAM_SUCCESS);
    assert_int_equal(pam_putenv(pamh, "SSH_AUTH_INFO_0=password\n"), PAM_SUCCESS);
    return pamh;
}

/* What the module answered; and it said nothing to the client. */
static int code_of(const char *user, int (*operation)(pam_handle_t *, int), void (*prepare)(pam_handle_t *, const char *),
                   const char *value)
{
    static const char *const services[] = { "sshd", "may" };
    int code[2];

    n_said = 0;
    host.log[0] = '\0';
    for (size_t i = 0; i < 2; i++) {
        pam_handle_t *pamh = start(services[i], user);
        if (prepare)
            prepare(pamh, value);
        code[i] = operation(pamh, 0);
        if (operation == pam_open_session)
            pam_close_session(pamh, 0);
        assert_int_equal(pam_end(pamh, code[i]), PAM_SUCCESS);
    }
    assert_int_equal(n_said, 0);
    assert_true(code[1] == PAM_SUCCESS || code[1] == PAM_AUTH_ERR || code[1] == PAM_SESSION_ERR || code[1] == PAM_CRED_ERR ||
                code[1] == PAM_PERM_DENIED);
    return code[0] == PAM_SUCCESS && code[1] != PAM_SUCCESS ? IGNORED : code[0];
}

static void expect(const char *user, int account, int session)
{
    assert_int_equal(code_of(user, pam_acct_mgmt, NULL, NULL), account);
    assert_int_equal(code_of(user, pam_open_session, NULL, NULL), session);
    assert_int_equal(code_of(user, pam_setcred, NULL, NULL), IGNORED);
    assert_int_equal(code_of(user, pam_authenticate, NULL, NULL), IGNORED);
}

/* Whatever is broken, root and ordinary accounts come in as if the module were not there. */
static void expect_only_others(void)
{
    expect("root", IGNORED, IGNORED);
    expect("carol", IGNORED, IGNORED);
    for (size_t i = 0; i < 4; i++)
        expect((const char *const[]){ "alice", "mallory", "shelly", "nobody-of-that-name" }[i], PAM_PERM_DENIED, PAM_SESSION_ERR);
}

static int set_up(void **state)
{
    char path[128];

    (void)state;
    memset(&host, 0, sizeof host);
    host.session = 77;
    /* A file without a name (O_TMPFILE) is not to be had on every file system. */
    snprintf(host.folder, sizeof host.folder, "%s/test_pam_module-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(host.folder))
        return -1;
    snprintf(path, sizeof path, "%s/login", host.folder);
    set_acl(REQUIRED GRANT);
    set_stack("");
    return (int)syscall(SYS_mkdirat, -100 /* AT_FDCWD */, path, 0700);
}

static int tear_down(void **state)
{
    static const char *const left[] = { "acl", "sshd", "may", "sessionid" };
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", host.folder, left[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/login", host.folder);
    return rmdir(path) < 0 ? -1 : rmdir(host.folder); /* no record is left */
}

/* --- decisions ----------------------------------------------------------------------------------------------------- */

static void who_may_enter(void **state)
{
    (void)state;
    expect("alice", IGNORED, PAM_SUCCESS);
    expect("mallory", PAM_PERM_DENIED, PAM_SESSION_ERR);
    assert_int_equal(code_of("mallory", pam_acct_mgmt, NULL, NULL), PAM_PERM_DENIED);
    assert_non_null(strstr(host.log, "no current grant for mallory from 192.0.2.7"));
    expect("shelly", PAM_PERM_DENIED, PAM_SESSION_ERR);
    expect("carol", IGNORED, IGNORED);
    expect("root", IGNORED, IGNORED);
    expect("nobody-of-that-name", PAM_PERM_DENIED, PAM_SESSION_ERR);
    set_acl(GRANT "from = 198.51.100.0/24\n");
    expect("alice", PAM_PERM_DENIED, PAM_SESSION_ERR);
    set_acl(GRANT "from = 192.0.2.0/24\n");
    expect("alice", IGNORED, PAM_SUCCESS);
    set_acl(GRANT "until = 2020-01-01\n");
    expect("alice", PAM_PERM_DENIED, PAM_SESSION_ERR);
    set_acl(GRANT "deny = *\n");
    expect("alice", PAM_PERM_DENIED, PAM_SESSION_ERR);
}

static void an_acl_that_is_no_use(void **state)
{
    (void)state;
    set_acl("[user alice\n");
    expect_only_others();
    set_acl(GRANT "gruop = x\n");
    expect_only_others();
    write_file("acl", GRANT, 0602);
    expect_only_others();
    set_acl(GRANT);
    set_stack("config=/nowhere"); /* twice */
    expect_only_others();
    char path[128];
    set_stack("");
    snprintf(path, sizeof path, "%s/acl", host.folder);
    unlink(path);
    expect_only_others();
    assert_int_equal(symlink("/dev/zero", path), 0);
    expect_only_others();
}

static void options_that_are_no_use(void **state)
{
    static const char *const wrong[] = { "debug", "hide=no", "group=", "services=sshd", "hide-except=adm", "\x1b[31m" };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        set_stack(wrong[i]);
        expect_only_others();
        assert_int_equal(code_of("alice", pam_acct_mgmt, NULL, NULL), PAM_PERM_DENIED);
        assert_non_null(strstr(host.log, "no gate user is let in"));
        assert_null(strchr(host.log, '\x1b'));
    }
}

static void nss_that_is_no_use(void **state)
{
    (void)state;
    host.nss_error = ECONNREFUSED;
    expect("root", IGNORED, IGNORED);
    for (size_t i = 0; i < 4; i++)
        expect((const char *const[]){ "alice", "mallory", "carol", "shelly" }[i], PAM_PERM_DENIED, PAM_SESSION_ERR);
    /* A deny may hang on a group of alice's that has no name at the moment. */
    host.nss_error = 0;
    host.nameless = true;
    expect_only_others();
}

static void no_audit_session_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        host.session = i ? 77 : 0;
        host.parent = i ? 77 : 0;
        set_acl(REQUIRED GRANT);
        expect("alice", IGNORED, PAM_SESSION_ERR);
        assert_int_equal(code_of("alice", pam_open_session, NULL, NULL), PAM_SESSION_ERR);
        assert_non_null(strstr(host.log, "no audit session id"));
        set_acl(GRANT);
        expect("alice", IGNORED, PAM_SUCCESS);
        expect("carol", IGNORED, IGNORED);
    }
}

/* --- what sshd may say --------------------------------------------------------------------------------------------- */

static void set_rhost(pam_handle_t *pamh, const char *value)
{
    assert_int_equal(pam_set_item(pamh, PAM_RHOST, value), PAM_SUCCESS);
}

static void set_variable(pam_handle_t *pamh, const char *value)
{
    assert_int_equal(pam_putenv(pamh, value), PAM_SUCCESS);
}

static void set_user(pam_handle_t *pamh, const char *value)
{
    assert_int_equal(pam_set_item(pamh, PAM_USER, value), PAM_SUCCESS);
}

static void set_tty(pam_handle_t *pamh, const char *value)
{
    assert_int_equal(pam_set_item(pamh, PAM_TTY, value), PAM_SUCCESS);
    assert_int_equal(pam_set_item(pamh, PAM_RUSER, value), PAM_SUCCESS);
    assert_int_equal(pam_set_item(pamh, PAM_RHOST, NULL), PAM_SUCCESS);
}

/* LARGE bytes of c behind text. */
static char *large(const char *text, char c)
{
    char *all = malloc(strlen(text) + LARGE + 1);

    assert_non_null(all);
    strcpy(all, text);
    memset(all + strlen(text), c, LARGE);
    all[strlen(text) + LARGE] = '\0';
    return all;
}

static void odd_hosts(void **state)
{
    static const char *const none[] = { NULL, "", " ", "UNKNOWN", "localhost", "192.0.2.7 ", "192.0.2.07", "192.0.2.7/32",
                                        "192.0.2", "3221225991", "%s%n", "\x1b]0;x\a",
                                        "192.0.2.7\n198.51.100.1", "::ffff:192.0.2.7%lo" };
    char *much = large("192.0.2.7", '7');

    (void)state;
    for (size_t i = 0; i <= sizeof none / sizeof none[0]; i++) {
        const char *rhost = i < sizeof none / sizeof none[0] ? none[i] : much;
        set_acl(REQUIRED GRANT "from = 192.0.2.0/24\n");
        assert_int_equal(code_of("alice", pam_acct_mgmt, set_rhost, rhost), PAM_PERM_DENIED);
        assert_non_null(strstr(host.log, "no current grant for alice from an unknown address"));
        assert_int_equal(code_of("alice", pam_open_session, set_rhost, rhost), PAM_SESSION_ERR);
        assert_int_equal(code_of("carol", pam_acct_mgmt, set_rhost, rhost), IGNORED);
        set_acl(REQUIRED GRANT);
        assert_int_equal(code_of("alice", pam_acct_mgmt, set_rhost, rhost), IGNORED);
        assert_int_equal(code_of("alice", pam_open_session, set_rhost, rhost), PAM_SUCCESS);
    }
    set_acl(REQUIRED GRANT "from = 192.0.2.0/24\n");
    assert_int_equal(code_of("alice", pam_acct_mgmt, set_rhost, "::ffff:192.0.2.7"), IGNORED);
    free(much);
}

static void odd_users(void **state)
{
    static const char *const none[] = { NULL, "", " ", "alice ", "alice\n", "ALICE", "root\n", "%s%n", "../alice", "\xff\xfe" };
    char *much = large("alice", 'a');

    (void)state;
    for (size_t i = 0; i <= sizeof none / sizeof none[0]; i++) {
        const char *user = i < sizeof none / sizeof none[0] ? none[i] : much;
        assert_int_equal(code_of("root", pam_acct_mgmt, set_user, user), PAM_PERM_DENIED);
        assert_int_equal(code_of("root", pam_open_session, set_user, user), PAM_SESSION_ERR);
        assert_int_equal(code_of("root", pam_setcred, set_user, user), IGNORED);
        assert_int_equal(code_of(user, pam_acct_mgmt, NULL, NULL), PAM_PERM_DENIED);
    }
    assert_int_equal(code_of("alice", pam_open_session, set_tty, NULL), PAM_SUCCESS);
    free(much);
}

static void odd_variables(void **state)
{
    static const char *const odd[] = {
        "SSH_AUTH_INFO_0", "SSH_AUTH_INFO_0=", "SSH_AUTH_INFO_0=publickey ", "SSH_AUTH_INFO_0=\n\n\n", "SSH_AUTH_INFO_0=%s%n\x1b",
        "SSH_AUTH_INFO_0=publickey ssh-rsa AAAA//////8=", "SSH_CONNECTION", "SSH_CONNECTION=", "SSH_CONNECTION= ",
        "SSH_CONNECTION=192.0.2.7 99999 x", "SSH_CONNECTION=192.0.2.7 -1", "SSH_CONNECTION=\x1b[31m \x1b \x1b",
    };
    const struct {
        const char *text;
        char c;
    } much[] = {
        { "SSH_AUTH_INFO_0=", 'm' }, { "SSH_AUTH_INFO_0=publickey ssh-rsa ", 'A' }, { "SSH_AUTH_INFO_0=publickey ", ' ' },
        { "SSH_AUTH_INFO_0=publickey ssh-rsa AAAAB3NzaC1yc2E", '/' }, { "SSH_AUTH_INFO_0=", '\n' }, { "SSH_CONNECTION=1 ", '9' },
    };

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_int_equal(code_of("alice", pam_open_session, set_variable, odd[i]), PAM_SUCCESS);
    for (size_t i = 0; i < sizeof much / sizeof much[0]; i++) {
        char *value = large(much[i].text, much[i].c);
        assert_int_equal(code_of("alice", pam_open_session, set_variable, value), PAM_SUCCESS);
        free(value);
    }
}

/* --- the record ---------------------------------------------------------------------------------------------------- */

static void the_record_goes_with_its_session(void **state)
{
    pam_handle_t *pamh = start("sshd", "alice");
    char path[128], text[LOGIN_TEXT_SIZE];
    struct login login;

    (void)state;
    assert_int_equal(pam_open_session(pamh, 0), PAM_SUCCESS);
    snprintf(path, sizeof path, "%s/login/77", host.folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_int_equal(login_decode(text, len, &login), 0);
    assert_int_equal(login.session, 77);
    assert_int_equal(login.uid, 40001);
    assert_int_equal(login.port, 50022);
    assert_int_equal(login.pid, getpid());
    assert_string_equal(login.key, "password");
    assert_string_equal(login.service, "sshd");
    assert_false(login.confined);
    assert_int_equal(pam_close_session(pamh, 0), PAM_SUCCESS);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(pam_end(pamh, PAM_SUCCESS), PAM_SUCCESS);
}

/* In the process that would become the user, as sshd calls it. How that process ends: 7 when it goes on. */
static int users_process(const char *user, bool session, int flags)
{
    pam_handle_t *pamh = start("sshd", user);
    int status;

    host.log[0] = '\0';
    assert_int_equal(pam_setcred(pamh, PAM_ESTABLISH_CRED), PAM_SUCCESS);
    if (session)
        pam_open_session(pamh, 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(pam_setcred(pamh, flags) == PAM_SUCCESS ? 7 : 8);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    pam_close_session(pamh, 0);
    assert_int_equal(pam_end(pamh, PAM_SUCCESS), PAM_SUCCESS);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Namespaces are not to be had here, so nobody is confined as a whole. */
static void who_cannot_be_confined_does_not_go_on(void **state)
{
    (void)state;
    assert_int_equal(users_process("alice", true, PAM_ESTABLISH_CRED), 255);
    assert_int_equal(users_process("mallory", true, PAM_ESTABLISH_CRED), 255);
    assert_int_equal(users_process("mallory", true, PAM_REINITIALIZE_CRED), 255);
    assert_int_equal(users_process("mallory", true, PAM_DELETE_CRED), 7); /* the end of a login, in whatever process */
    assert_int_equal(users_process("nobody-of-that-name", true, PAM_ESTABLISH_CRED), 255);
    assert_int_equal(users_process("carol", true, PAM_ESTABLISH_CRED), 7);
    assert_int_equal(users_process("root", true, PAM_ESTABLISH_CRED), 7);
    set_acl(GRANT);
    assert_int_equal(users_process("alice", true, PAM_ESTABLISH_CRED), 7);
    /* Without our session line nobody knows what the ACL wants. */
    assert_int_equal(users_process("alice", false, PAM_ESTABLISH_CRED), 255);
    set_stack("nonsense");
    assert_int_equal(users_process("alice", true, PAM_ESTABLISH_CRED), 255);
    assert_int_equal(users_process("carol", true, PAM_ESTABLISH_CRED), 7);
}

/* --- no memory ----------------------------------------------------------------------------------------------------- */

static int counted(const char *user, int (*operation)(pam_handle_t *, int), unsigned long fail_at)
{
    pam_handle_t *pamh = start("sshd", user);

    host.n_calls = 0;
    host.fail_at = fail_at;
    host.counted = true;
    int r = operation(pamh, 0);
    host.counted = false;
    pam_close_session(pamh, 0);
    pam_end(pamh, r);
    return r;
}

/* Wherever it ends: who may not enter does not, and nobody's sshd ends. */
static void no_memory(void **state)
{
    int (*const operations[])(pam_handle_t *, int) = { pam_acct_mgmt, pam_open_session };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(counted("alice", operations[i], 0), PAM_SUCCESS);
        unsigned long n = host.n_calls;
        assert_true(n > 10);
        for (unsigned long at = 1; at <= 2 * n; at++) {
            host.fail_on = at > n;
            unsigned long nth = at > n ? at - n : at;
            counted("alice", operations[i], nth);
            counted("carol", operations[i], nth);
            assert_int_not_equal(counted("mallory", operations[i], nth), PAM_SUCCESS);
            assert_int_not_equal(counted("shelly", operations[i], nth), PAM_SUCCESS);
        }
        assert_int_equal(counted("alice", operations[i], n + 1), PAM_SUCCESS);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_may_enter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_acl_that_is_no_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(options_that_are_no_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nss_that_is_no_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_audit_session_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_hosts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_users, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_variables, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_record_goes_with_its_session, set_up, tear_down),
        /* Not with sanitizers: they do not work confined, and have a malloc of their own. */
        cmocka_unit_test_setup_teardown(who_cannot_be_confined_does_not_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory, set_up, tear_down),
    };

    return _cmocka_run_group_tests("pam_module", tests, sizeof tests / sizeof tests[0] - (CONFINE_SANITIZED ? 2 : 0), NULL, NULL);
}
