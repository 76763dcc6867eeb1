/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What doctor makes of what it has found: the pure part. That it finds it is tests/e2e/test_doctor.py's. */
#include "unit.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "doctor/door.h"
#include "doctor/listeners.h"
#include "doctor/pam_stack.h"
#include "doctor/sshd_config.h"

/* --- doors ------------------------------------------------------------------------------------------------------- */

static void the_worst_finding_stays(void **state)
{
    static struct doors doors;

    (void)state;
    struct door *door = door_add(&doors, "a.b", "looked at %d", 3);
    assert_string_equal(door->why, "looked at 3");
    assert_int_equal(doors_state(&doors), DOOR_CLOSED);
    door_unknown(door, "m1", "w1");
    door_unknown(door, "m2", "w2");
    assert_string_equal(door->why, "w1");
    assert_int_equal(door->more, 1);
    door_open(door, "m3", "w%d", 3);
    assert_string_equal(door->why, "w3");
    assert_string_equal(door->mend, "m3");
    assert_int_equal(door->more, 0);
    door_unknown(door, "m4", "w4");
    assert_int_equal(door->more, 0);
    door_open(door, "m5", "w5");
    assert_int_equal(door->more, 1);
    assert_int_equal(doors_state(&doors), DOOR_OPEN);
}

/* --- sshd -T ----------------------------------------------------------------------------------------------------- */

/* As 9.2 prints it, in part. */
static const char shipped[] =
    "port 22\nusepam yes\npermitrootlogin without-password\nx11displayoffset 10\npermitemptypasswords no\n"
    "gssapistrictacceptorcheck yes\nx11forwarding no\nx11uselocalhost yes\npermittty yes\npermituserrc no\n"
    "permituserenvironment no\nallowtcpforwarding no\nallowagentforwarding no\ndisableforwarding yes\n"
    "allowstreamlocalforwarding no\nstreamlocalbindunlink no\nexposeauthinfo no\nbanner none\n"
    "forcecommand " VG_SHELL_PATH "\nchrootdirectory none\nauthorizedkeyscommand none\nmaxsessions 10\npermittunnel no\n"
    "permitopen none\npermitlisten none\ngatewayports no\nhostbasedacceptedalgorithms ssh-ed25519\n"
    "acceptenv VIRTGATE_ACCEPTS_NO_VARIABLE\nsetenv SSH_ORIGINAL_COMMAND=\nsetenv LD_PRELOAD=\nsetenv LD_AUDIT=\n"
    "setenv LD_LIBRARY_PATH=\nsetenv BASH_ENV=\nsetenv ENV=\nsubsystem sftp /usr/lib/openssh/sftp-server\n";

static struct sshd_fault faults[SSHD_FAULTS_MAX];

/* The shipped settings with one line more, which in sshd's output would stand in the place of the other. */
static size_t judge(const char *without, const char *line)
{
    char text[sizeof shipped + 256], *at;

    snprintf(text, sizeof text, "%s", shipped);
    if (without) {
        at = strstr(text, without);
        assert_non_null(at);
        size_t len = strcspn(at, "\n") + 1;
        memmove(at, at + len, strlen(at + len) + 1);
    }
    strcat(text, line);
    return sshd_judge(text, faults);
}

static void settings_as_shipped_are_no_fault(void **state)
{
    char mixed[sizeof shipped];
    bool key = true;

    (void)state;
    assert_int_equal(judge(NULL, ""), 0);
    /* 10.5 writes its keywords in mixed case. */
    for (size_t i = 0; i < sizeof shipped; i++) {
        mixed[i] = key && i % 2 ? (char)toupper((unsigned char)shipped[i]) : shipped[i];
        key = shipped[i] == '\n' || (key && shipped[i] != ' ');
    }
    assert_int_equal(sshd_judge(mixed, faults), 0);
}

static void each_setting_counts(void **state)
{
    static const struct {
        const char *without, *line;
        enum sshd_door door;
    } rows[] = {
        { "forcecommand", "forcecommand none\n", SSHD_COMMAND },
        { "forcecommand", "", SSHD_COMMAND },
        { "forcecommand", "ForceCommand " VG_SHELL_PATH " # comment\n", SSHD_COMMAND },
        { "forcecommand", "ForceCommand " VG_SHELL_PATH "x\n", SSHD_COMMAND },
        { "permituserrc", "PermitUserRC yes\n", SSHD_COMMAND },
        { "chrootdirectory", "chrootdirectory /srv\n", SSHD_COMMAND },
        { "disableforwarding", "disableforwarding no\n", SSHD_FORWARDING },
        { "allowtcpforwarding", "AllowTCPForwarding local\n", SSHD_FORWARDING },
        { "permitopen", "permitopen any\n", SSHD_FORWARDING },
        { "permitlisten", "permitlisten any\n", SSHD_FORWARDING },
        { "gatewayports", "gatewayports clientspecified\n", SSHD_FORWARDING },
        { "allowstreamlocalforwarding", "allowstreamlocalforwarding yes\n", SSHD_FORWARDING },
        { "streamlocalbindunlink", "streamlocalbindunlink yes\n", SSHD_FORWARDING },
        { "allowagentforwarding", "allowagentforwarding yes\n", SSHD_FORWARDING },
        { "x11forwarding", "X11Forwarding yes\n", SSHD_FORWARDING },
        { "permittunnel", "permittunnel point-to-point\n", SSHD_FORWARDING },
        { "permituserenvironment", "permituserenvironment yes\n", SSHD_ENVIRONMENT },
        { NULL, "acceptenv LANG\n", SSHD_ENVIRONMENT },
        { "setenv LD_PRELOAD=", "", SSHD_ENVIRONMENT },
        { "setenv LD_PRELOAD=", "setenv LD_PRELOAD=/x.so\n", SSHD_ENVIRONMENT },
        { "setenv ENV=", "setenv ENV=/x\n", SSHD_ENVIRONMENT },
        { "maxsessions", "maxsessions 11\n", SSHD_SESSIONS },
        { "exposeauthinfo", "exposeauthinfo yes\n", SSHD_SESSIONS },
        { "usepam", "UsePAM no\n", SSHD_PAM },
        { NULL, "PAMServiceName other\n", SSHD_PAM },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (judge(rows[i].without, rows[i].line) != 1 || faults[0].door != rows[i].door || faults[0].unknown)
            fail_msg("%s instead of %s: %s", rows[i].line, rows[i].without, faults[0].keyword);
    }
}

static void keywords_of_releases_to_come(void **state)
{
    (void)state;
    assert_int_equal(judge(NULL, "AllowVsockForwarding yes\n"), 1);
    assert_true(faults[0].unknown);
    assert_int_equal(faults[0].door, SSHD_KEYWORDS);
    assert_string_equal(faults[0].keyword, "allowvsockforwarding");
    assert_int_equal(judge(NULL, "AllowVsockForwarding no\n"), 0);
    assert_int_equal(judge(NULL, "PermitTeleport none\n"), 0);
    /* What nobody could take for a feature is none of ours. */
    assert_int_equal(judge(NULL, "KeyRoundTrips 17\nPerSourcePenalties crash:90\nRefuseConnection no\n"), 0);
    assert_int_equal(judge(NULL, "\n \nlong"), 0);
}

static void places_that_match_blocks_speak_of(void **state)
{
    static const struct {
        const char *words, *host, *address, *local;
        unsigned port;
    } good[] = {
        { "Address 10.0.0.0/8", "localhost", "10.0.0.0", "127.0.0.1", 22 },
        { "address=2001:db8::/32 user alice", "localhost", "2001:db8::", "127.0.0.1", 22 },
        { "User alice Address !10.0.0.1,192.168.*", "localhost", "192.168.1.1", "127.0.0.1", 22 },
        { "Address 10.?.0.1", "localhost", "10.1.0.1", "127.0.0.1", 22 },
        { "Host *.example.org,b", "x.example.org", "127.0.0.1", "127.0.0.1", 22 },
        { "Host \"a.example\" LocalPort 2222", "a.example", "127.0.0.1", "127.0.0.1", 2222 },
        { "LocalAddress 192.0.2.1 LocalPort 2222,2223", "localhost", "127.0.0.1", "192.0.2.1", 2222 },
    };
    static const char *const none[] = { "all", "User alice", "Group virtgate-users", "user a,b Group c", "",
                                        "# Address 1.1.1.1",
                                        "Address !10.0.0.0/8", "Address", "RDomain x" };
    struct sshd_spec spec;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!sshd_spec_of_match(good[i].words, &spec) || strcmp(spec.host, good[i].host) != 0 ||
            strcmp(spec.address, good[i].address) != 0 || strcmp(spec.local_address, good[i].local) != 0 ||
            spec.local_port != good[i].port)
            fail_msg("%s: %s %s %s %u", good[i].words, spec.host, spec.address, spec.local_address, spec.local_port);
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (sshd_spec_of_match(none[i], &spec))
            fail_msg("%s: %s %s %s %u", none[i], spec.host, spec.address, spec.local_address, spec.local_port);
}

/* --- PAM --------------------------------------------------------------------------------------------------------- */

struct folder {
    const char *name, *text;
};

static char *load(void *context, const char *name)
{
    for (const struct folder *file = context; file->name; file++)
        if (strcmp(file->name, name) == 0)
            return strdup(file->text);
    return NULL;
}

#define US "account required pam_virtgate.so\n"

static void stacks(void **state)
{
    static const struct {
        const char *sshd, *other; /* the file "other" */
        const char *why;          /* NULL: ours is always asked */
    } rows[] = {
        { US "account required pam_unix.so\n", "", NULL },
        { "account required pam_nologin.so\n" US, "", NULL },
        { "account\trequisite\t/lib/security/pam_virtgate.so conf=x\n", "", NULL },
        { "-account [default=die success=ok] pam_virtgate.so\n", "", NULL },
        { "@include other\n", "# x\n" US, NULL },
        { "account include other\n", US, NULL },
        { "account \\\n required pam_virtgate.so # ours\n", "", NULL },
        { "account substack other\n" US, "account sufficient pam_unix.so\n", NULL }, /* ends itself alone */
        { "account [success=1 default=ignore] pam_unix.so\naccount requisite pam_deny.so\n" US, "", NULL },
        { US "account sufficient pam_permit.so\n", "", NULL },
        { "auth sufficient pam_permit.so\n" US, "", NULL },
        { "", "", "pam_virtgate.so is not in the PAM stack of sshd (account)" },
        { "#" US, "", "pam_virtgate.so is not in the PAM stack" },
        { "session required pam_virtgate.so\n", "", "pam_virtgate.so is not in the PAM stack" },
        { "account optional pam_virtgate.so\n", "", "sshd:1 has pam_virtgate.so as \"optional\"" },
        { "account sufficient pam_virtgate.so\n", "", "sshd:1 has pam_virtgate.so as \"sufficient\"" },
        { "account [success=ok default=ignore] pam_virtgate.so\n", "", "sshd:1 has" },
        { "account [default=bad module_unknown=ignore] pam_virtgate.so\n", "", "sshd:1 has" },
        { "account [default=bad perm_denied=ignore] pam_virtgate.so\n", "", "sshd:1 has" },
        { "account sufficient pam_permit.so\n" US, "", "sshd:1 (sufficient pam_permit.so) can end" },
        { "account SUFFICIENT pam_permit.so\n" US, "", "sshd:1 (SUFFICIENT pam_permit.so) can end" },
        { "account [success=done default=ignore] pam_x.so\n" US, "", "sshd:1 ([success=done default=ignore] pam_x.so) "
                                                                     "can end" },
        { "account [new_authtok_reqd=done success=1 default=ignore] pam_unix.so\naccount requisite pam_deny.so\n" US,
          "", "sshd:1 (" },
        { "account include other\n" US, "\naccount sufficient pam_localuser.so\n",
          "other:2 (sufficient pam_localuser.so) can end" },
        { "account substack other\n", "account sufficient pam_x.so\n" US, "other:1 (sufficient pam_x.so) can end" },
        { "account [success=1 default=ignore] pam_x.so\n" US, "", "sshd:1 ([success=1 default=ignore]) can jump past" },
        { "account [default=2] pam_x.so\naccount required pam_y.so\n" US, "", "sshd:1 ([default=2]) can jump past" },
        { "@include nothing\n" US, "", "nothing cannot be read" },
        { "account [success=1 pam_x.so\n" US, "", "sshd:1 is not understood" },
        { "account include other\n", "account include other\n", "other: files include one another" },
        /* A comment's backslash continues nothing: the second line stands. */
        { "# x \\\naccount sufficient pam_permit.so\n" US, "", "sshd:2 (sufficient pam_permit.so) can end" },
        { "account required pam_x.so # x \\\naccount sufficient pam_permit.so\n" US, "", "sshd:2 (sufficient" },
        /* What is forgotten behind it. */
        { US "account [default=reset] pam_x.so\n", "", "sshd:2 ([default=reset]) has the account stack forget" },
        { US "account include other\n", "account [success=ok default=reset] pam_x.so\n", "other:1 (" },
        { US "account substack other\n", "account [success=ok default=reset] pam_x.so\n", NULL },
        { "account requisite pam_virtgate.so\naccount [default=reset] pam_x.so\n", "", NULL },
        /* For whom it is. */
        { "account required pam_virtgate.so services=sshd,login group=" VG_GATE_GROUP " hide\n", "", NULL },
        { "account required pam_virtgate.so config=" VG_SYSCONFDIR "\n", "", NULL },
        { "account required pam_virtgate.so services=login,sshd2\n", "", "sshd:1: by its options (services=login,sshd2)" },
        { "account required pam_virtgate.so group=staff\n", "", "sshd:1: by its options (group=staff)" },
        { "account required pam_virtgate.so hide config=/tmp/x\n", "", "sshd:1: by its options (hide config=/tmp/x)" },
        { "account required pam_virtgate.so\r\n", "", "pam_virtgate.so is not in the PAM stack" },
    };
    static struct pam_stack stack;
    char why[PAM_WHY_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct folder folder[] = { { "sshd", rows[i].sshd }, { "other", rows[i].other }, { NULL, NULL } };
        bool asked = pam_stack_read("sshd", PAM_TYPE_ACCOUNT, load, folder, &stack, why) == 0 &&
                     pam_stack_asks_us(&stack, PAM_TYPE_ACCOUNT, why);
        if (asked != !rows[i].why || (!asked && strncmp(why, rows[i].why, strlen(rows[i].why)) != 0))
            fail_msg("%s: %s", rows[i].sshd, asked ? "asked" : why);
    }
}

static void auth_may_be_optional(void **state)
{
    struct folder folder[] = { { "sshd", "auth optional pam_virtgate.so\nauth required pam_unix.so\n" }, { NULL,
        NULL } };
    static struct pam_stack stack;
    char why[PAM_WHY_SIZE];

    (void)state;
    assert_int_equal(pam_stack_read("sshd", PAM_TYPE_AUTH, load, folder, &stack, why), 0);
    assert_int_equal(stack.n, 2);
    assert_true(pam_stack_asks_us(&stack, PAM_TYPE_AUTH, why));
    folder[0].text = "auth sufficient pam_unix.so\nauth optional pam_virtgate.so\n";
    assert_int_equal(pam_stack_read("sshd", PAM_TYPE_AUTH, load, folder, &stack, why), 0);
    assert_false(pam_stack_asks_us(&stack, PAM_TYPE_AUTH, why));
}

static void session_line_needs_an_audit_session(void **state)
{
    struct folder folder[] = { { "sshd", "session required pam_loginuid.so\nsession required pam_virtgate.so\n" },
                               { NULL, NULL } };
    static struct pam_stack stack;
    char why[PAM_WHY_SIZE];

    (void)state;
    assert_int_equal(pam_stack_read("sshd", PAM_TYPE_SESSION, load, folder, &stack, why), 0);
    assert_true(pam_stack_asks_us(&stack, PAM_TYPE_SESSION, why));
    folder[0].text = "session required pam_virtgate.so\nsession required pam_loginuid.so\n";
    assert_int_equal(pam_stack_read("sshd", PAM_TYPE_SESSION, load, folder, &stack, why), 0);
    assert_false(pam_stack_asks_us(&stack, PAM_TYPE_SESSION, why));
    assert_non_null(strstr(why, "sshd:1: no pam_loginuid.so"));
}

static void words_for_a_shell(void **state)
{
    static const struct {
        const char *text, *word;
    } rows[] = {
        { "alice", "alice" }, { "/var/x_1.img", "/var/x_1.img" }, { "", "''" }, { "-G", "'-G'" }, { "a b", "'a b'" },
        { "a;reboot", "'a;reboot'" }, { "$(x)`y`", "'$(x)`y`'" }, { "it's", "'it'\\''s'" }, { "DOM\\a", "'DOM\\a'" },
    };
    char word[DOOR_WORD_SIZE], text[2 * DOOR_WORD_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(door_word(word, rows[i].text), rows[i].word);
    memset(text, '\'', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(strlen(door_word(word, text)) < DOOR_WORD_SIZE);
    assert_int_equal(word[strlen(word) - 1], '\'');
}

static void environment_files_of_users(void **state)
{
    static const struct {
        const char *text;
        bool reads;
    } rows[] = {
        { "session required pam_env.so user_readenv=1 envfile=/etc/default/locale\n", true },
        { "session required /lib/security/pam_env.so envfile=x user_readenv=1\n", true },
        { "session required pam_env.so user_readenv=0\n", false },
        { "session required pam_env.so user_readenv=0 user_readenv=1\n", true },
        { "session required pam_env.so user_readenv=01\n", true },
        { "session required pam_env.so envfile=x\n", false },
        { "session required pam_env.so # user_readenv=1\n", false },
        { "session required pam_other.so user_readenv=1\n", false },
    };
    static struct pam_stack stack;
    char why[PAM_WHY_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct folder folder[] = { { "sshd", rows[i].text }, { NULL, NULL } };
        assert_int_equal(pam_stack_read("sshd", PAM_TYPE_SESSION, load, folder, &stack, why), 0);
        if ((pam_stack_readenv(&stack) != NULL) != rows[i].reads)
            fail_msg("%s", rows[i].text);
    }
}

/* --- listeners --------------------------------------------------------------------------------------------------- */

static void lines_of_proc_net(void **state)
{
    struct listener found;

    (void)state;
    assert_true(listener_of_tcp("   1: 0100007F:170F 00000000:0000 0A 00000000:00000000 00:00000000 00000000 64055     "
                                "   0 16408241 1 "
                                "000000007fde311d 100 0 0 10 0", false, &found));
    assert_string_equal(found.address, "127.0.0.1");
    assert_int_equal(found.port, 5903);
    assert_int_equal(found.inode, 16408241);
    assert_true(listener_is_loopback(&found));
    assert_true(listener_of_tcp("   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0     "
                                "   0 16407478 1 0 "
                                "100 0 0 10 0", false, &found));
    assert_false(listener_is_loopback(&found));
    assert_string_equal(listener_reach(&found), "127.0.0.1");
    /* A connection; the heading; IPv6's table is another. */
    assert_false(listener_of_tcp("   3: 0100007F:CB38 0100007F:0016 06 00000000:00000000 03:000016DA 00000000     0    "
                                 "    0 0 3 0", false, &found));
    assert_false(listener_of_tcp("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
                                 "timeout inode", false, &found));
    assert_true(listener_of_tcp("   0: 00000000000000000000000001000000:170C 00000000000000000000000000000000:0000 0A "
                                "00000000:00000000 "
                                "00:00000000 00000000     0        0 77 1 0 100 0 0 10 0", true, &found));
    assert_string_equal(found.address, "::1");
    assert_true(listener_is_loopback(&found));
    assert_true(listener_of_tcp("   0: 0000000000000000FFFF00000100007F:170C 00000000000000000000000000000000:0000 0A "
                                "00000000:00000000 "
                                "00:00000000 00000000     0        0 77 1 0 100 0 0 10 0", true, &found));
    assert_true(listener_is_loopback(&found));
    assert_false(listener_of_tcp("   0: 00000000000000000000000001000000:170C 00000000000000000000000000000000:0000 0A "
                                 "0:0 0:0 0 0 0 77 1",
                                 false, &found));
}

static void lines_of_proc_net_unix(void **state)
{
    struct listener found;

    (void)state;
    assert_true(listener_of_unix("00000000ea1c7a10: 00000002 00000000 00010000 0001 01 16408158 /var/lib/x y/vnc.sock",
                                 &found));
    assert_string_equal(found.path, "/var/lib/x y/vnc.sock");
    assert_int_equal(found.inode, 16408158);
    assert_int_equal(found.type, SOCK_STREAM);
    assert_false(listener_of_unix("00000000268bc427: 00000003 00000000 00000000 0001 03 16409773 "
                                  "/var/lib/monitor.sock", &found));
    assert_true(listener_of_unix("00000000ea1c7a10: 00000002 00000000 00010000 0001 01 16408158 @abstract", &found));
    assert_string_equal(found.path, "@abstract");
    assert_false(listener_of_unix("00000000ea1c7a10: 00000002 00000000 00010000 0001 01 16408158", &found));
    assert_false(listener_of_unix("Num       RefCount Protocol Flags    Type St Inode Path", &found));
}

#define WORDS(text) (text), sizeof (text)

static void command_lines_of_qemu(void **state)
{
    static const struct {
        const char *words;
        size_t len;
        const char *name;
        bool monitor;
        uint16_t gdb;
    } rows[] = {
        { WORDS("qemu\0-name\0guest=a b,debug-threads=on\0-S"), "a b", false, 0 },
        { WORDS("qemu\0-name\0web"), "web", false, 0 },
        { WORDS("qemu\0-name"), "?", false, 0 },
        { WORDS("qemu\0-chardev\0socket,id=charmonitor,fd=34,server=on\0-mon\0chardev=charmonitor,id=monitor,mode=control"), "?", false, 0 },
        { WORDS("qemu\0-chardev\0socket,id=m,host=127.0.0.1,port=4444,server=on\0-mon\0chardev=m,mode=control"), "?",
          true, 0 },
        { WORDS("qemu\0-chardev\0socket,port=4444,id=m\0-mon\0m"), "?", true, 0 },
        { WORDS("qemu\0-chardev\0socket,port=4444,id=mm\0-mon\0m"), "?", false, 0 },
        { WORDS("qemu\0-monitor\0stdio"), "?", false, 0 },
        { WORDS("qemu\0-monitor\0telnet:127.0.0.1:4444,server"), "?", true, 0 },
        { WORDS("qemu\0-qmp\0tcp:0:4444"), "?", true, 0 },
        { WORDS("qemu\0-qmp-pretty\0tcp:0:4444"), "?", true, 0 },
        { WORDS("qemu\0-qmp\0unix:/x"), "?", false, 0 },
        { WORDS("qemu\0-s"), "?", false, 1234 },
        { WORDS("qemu\0-gdb\0tcp::9000"), "?", false, 9000 },
        { WORDS("qemu\0-gdb\0tcp:127.0.0.1:9001,nodelay"), "?", false, 9001 },
        { WORDS("qemu\0-gdb\0stdio"), "?", false, 0 },
        { "", 0, "?", false, 0 },
    };
    struct qemu qemu;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        qemu_of_cmdline(rows[i].words, rows[i].len, &qemu);
        if (strcmp(qemu.name, rows[i].name) != 0 || qemu.has_tcp_monitor != rows[i].monitor ||
            qemu.gdb_port != rows[i].gdb)
            fail_msg("row %zu: %s %d %u", i, qemu.name, qemu.has_tcp_monitor, qemu.gdb_port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_finding_stays),           cmocka_unit_test(settings_as_shipped_are_no_fault),
        cmocka_unit_test(each_setting_counts),               cmocka_unit_test(keywords_of_releases_to_come),
        cmocka_unit_test(places_that_match_blocks_speak_of), cmocka_unit_test(stacks),
        cmocka_unit_test(auth_may_be_optional),              cmocka_unit_test(environment_files_of_users),
        cmocka_unit_test(words_for_a_shell),
        cmocka_unit_test(session_line_needs_an_audit_session),
        cmocka_unit_test(lines_of_proc_net),                 cmocka_unit_test(lines_of_proc_net_unix),
        cmocka_unit_test(command_lines_of_qemu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
