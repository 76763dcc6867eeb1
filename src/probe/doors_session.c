/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a client may ask for in a session: X11, agent, environment, terminal, subsystem, shell. */
#include <stdlib.h>
#include <string.h>

#include "probe/probe.h"
#include "probe/probe_raw.h"

/* --- requests before anything is started --------------------------------------------------------------------------- */

/* One request on a session of its own, in which nothing is ever started. */
static void judge_request(struct probe *probe, ssh_channel channel, int r, struct answer *answer, struct finding *finding)
{
    if (probe_granted(probe, r, answer))
        finding_set(finding, VERDICT_OPEN, "sshd granted the request");
    else
        judge_answer(answer, NULL, finding);
    ssh_channel_close(channel);
    ssh_channel_free(channel);
}

static ssh_channel channel_for(struct probe *probe, struct answer *answer, struct finding *finding)
{
    ssh_channel channel = probe_channel(probe, answer);

    if (!channel)
        judge_answer(answer, NULL, finding);
    return channel;
}

static void try_x11(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    ssh_channel channel = channel_for(probe, &answer, finding);

    if (channel)
        judge_request(probe, channel, ssh_channel_request_x11(channel, (int)door->number, door->text, door->more, 0), &answer,
                      finding);
}

static void try_env(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    ssh_channel channel = channel_for(probe, &answer, finding);

    if (channel)
        judge_request(probe, channel, ssh_channel_request_env(channel, door->text, door->more), &answer, finding);
}

/* A name of door->number bytes, or a value of door->number2. */
static void try_long_env(struct probe *probe, const struct door *door, struct finding *finding)
{
    char *name = probe_many('L', door->number ? (size_t)door->number : 4), *value = probe_many('v', (size_t)door->number2);
    struct door full = *door;

    full.text = name;
    full.more = value;
    if (name && value)
        try_env(probe, &full, finding);
    free(name);
    free(value);
}

/* As many as door->number in one session: one of them granted is enough. */
static void try_many_env(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    ssh_channel channel = channel_for(probe, &answer, finding);
    int r = SSH_ERROR;

    if (!channel)
        return;
    for (long n = 0; n < door->number && r == SSH_ERROR && ssh_is_connected(probe->session); n++)
        r = ssh_channel_request_env(channel, door->text, door->more);
    judge_request(probe, channel, r, &answer, finding);
}

/* --- over ssh(1): what libssh cannot say, or asks no answer to ------------------------------------------------------ */

static void try_raw_request(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct raw_channel channel;
    enum raw_reply reply;

    if (!raw_session_to_ask_in(probe, &channel, &reply, finding))
        return;
    if (reply == RAW_YES && !door->more) {
        reply = raw_request(probe, &channel, door->text, NULL);
    } else if (reply == RAW_YES) {
        struct bytes env = { 0 };   /* a variable's name with a NUL in it */

        bytes_string(&env, door->more, (size_t)door->number);
        bytes_text(&env, "1");
        reply = raw_request(probe, &channel, door->text, &env);
        bytes_free(&env);
    }
    if (reply == RAW_YES)
        finding_set(finding, VERDICT_OPEN, "sshd granted the request");
    else if (reply == RAW_NO)
        finding_set(finding, VERDICT_CLOSED, "sshd refused the request");
    else
        raw_judge_silence(reply, finding);
    raw_close_channel(probe, &channel);
}

/* --- terminals and shells ------------------------------------------------------------------------------------------ */

#define SUM "echo probe-$((6*7))\n"
#define SUM_DONE "probe-42"

/* A command on a terminal of that kind: the gate must still be what answers. */
static void try_pty(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    ssh_channel channel = channel_for(probe, &answer, finding);

    if (!channel)
        return;
    if (!probe_granted(probe, ssh_channel_request_pty_size(channel, door->text, (int)door->number, (int)door->number2), &answer)
        || !probe_granted(probe, ssh_channel_request_exec(channel, "echo probe-$((6*7))"), &answer)) {
        ssh_channel_free(channel);
    } else {
        probe_read(probe, channel, SUM_DONE, &answer);
    }
    judge_answer(&answer, SUM_DONE, finding);
}

/* door->more, of door->number bytes, for the terminal's modes; then as above. */
static void try_modes(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct bytes pty = { 0 }, command = { 0 };
    struct raw_channel channel;
    enum raw_reply reply;

    if (!raw_session_to_ask_in(probe, &channel, &reply, finding))
        return;
    bytes_string(&pty, door->text, (size_t)door->number2);
    for (int i = 0; i < 4; i++)
        bytes_u32(&pty, 0);
    bytes_string(&pty, door->more, (size_t)door->number);
    bytes_text(&command, "echo probe-$((6*7))");
    if (reply == RAW_YES)
        reply = raw_request(probe, &channel, "pty-req", &pty);
    if (reply == RAW_YES)
        reply = raw_request(probe, &channel, "exec", &command);
    if (reply == RAW_YES || reply == RAW_NO) {
        channel.answer.refused = reply == RAW_NO;
        if (reply == RAW_YES)
            raw_read(probe, &channel, NULL, SUM_DONE);
        judge_answer(&channel.answer, SUM_DONE, finding);
        raw_close_channel(probe, &channel);
    } else {
        raw_judge_silence(reply, finding);
    }
    bytes_free(&pty);
    bytes_free(&command);
}

static void try_long_term(struct probe *probe, const struct door *door, struct finding *finding)
{
    char *term = probe_many('t', (size_t)door->number);
    struct door full = *door;

    full.text = term;
    full.number = 80;
    if (term)
        try_pty(probe, &full, finding);
    free(term);
}

/* A shell asked to add: what answers the sum is one. door->number: on a terminal; door->text: what is typed. */
static void try_shell(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    ssh_channel channel = channel_for(probe, &answer, finding);

    if (!channel)
        return;
    if ((door->number && !probe_granted(probe, ssh_channel_request_pty(channel), &answer))
        || !probe_granted(probe, ssh_channel_request_shell(channel), &answer)) {
        ssh_channel_free(channel);
    } else {
        ssh_channel_write(channel, door->text, (uint32_t)strlen(door->text));
        /* A terminal's end of file is a key. */
        if (!door->number)
            ssh_channel_send_eof(channel);
        probe_read(probe, channel, SUM_DONE, &answer);
    }
    judge_answer(&answer, SUM_DONE, finding);
}

static void try_sum(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;

    probe_exec(probe, door->text, door->number, SUM "exit\n", SUM_DONE, &answer);
    judge_answer(&answer, SUM_DONE, finding);
}

/* --- subsystems ---------------------------------------------------------------------------------------------------- */

/* sftp's first message; a server of it says something only then. */
static const char sftp_init[] = "\0\0\0\5\1\0\0\0\3";

static void try_subsystem(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    ssh_channel channel = channel_for(probe, &answer, finding);
    char *name = door->number ? probe_many('s', (size_t)door->number) : NULL;

    if (!channel) {
        free(name);
        return;
    }
    if (!probe_granted(probe, ssh_channel_request_subsystem(channel, name ? name : door->text), &answer)) {
        ssh_channel_free(channel);
    } else {
        ssh_channel_write(channel, sftp_init, sizeof sftp_init - 1);
        /* No end of input: sftp-server may see that before it has answered, and go. */
        answer.enough = 4;
        probe_read(probe, channel, NULL, &answer);
    }
    judge_subsystem(&answer, finding);
    free(name);
}

/* --- the doors ----------------------------------------------------------------------------------------------------- */

#define COOKIE "0123456789abcdef0123456789abcdef"
#define BAD_X11 "sshd itself takes no such name or cookie for X11"
#define NO_SUCH_REQUEST "not every sshd knows this request"
#define NO_NUL "sshd itself takes no NUL in a name"
#define NO_SUCH_SUBSYSTEM "only a subsystem that its configuration names"
#define ENV(name_, id_, value_) { .id = "env." id_, .tried = "env " name_, .try = try_env, .text = name_, .more = value_ }
#define MODES(id_, tried_, term_, modes_, never_) \
    { .id = "pty." id_, .tried = "a command on a terminal " tried_, .try = try_modes, .text = term_, \
      .number2 = sizeof term_ - 1, .more = modes_, .number = sizeof modes_ - 1, .never = never_ }
#define PTY(id_, tried_, term_, cols_, rows_) \
    { .id = "pty." id_, .tried = "a command on a terminal " tried_, .try = try_pty, .text = term_, .number = cols_, \
      .number2 = rows_ }

/* Interrupt, end of file, flow control, signals by keys, lines by the terminal, echo, newlines: off. And the end of the list. */
#define OFF(mode) mode "\0\0\0\0"
#define EACH_MODE OFF("\1") OFF("\2") OFF("\3") OFF("\4") OFF("\5") OFF("\12") OFF("\44") OFF("\46") OFF("\62") OFF("\63") \
    OFF("\65") OFF("\106") OFF("\110") "\0"

static const struct door doors[] = {
    { .id = "x11", .tried = "x11-req", .try = try_x11, .text = "MIT-MAGIC-COOKIE-1", .more = COOKIE },
    { .id = "x11.single", .tried = "x11-req of a single connection", .try = try_x11, .text = "MIT-MAGIC-COOKIE-1",
      .more = COOKIE, .number = 1 },
    { .id = "x11.xauth-command", .tried = "x11-req with a command for xauth in the protocol's name", .try = try_x11,
      .text = "MIT-MAGIC-COOKIE-1\nlist", .more = COOKIE, .never = BAD_X11 },
    { .id = "x11.odd-cookie", .tried = "x11-req with a cookie that is none", .try = try_x11, .text = "MIT-MAGIC-COOKIE-1",
      .more = "$(id)", .never = BAD_X11 },
    { .id = "agent.openssh", .tried = "auth-agent-req@openssh.com", .try = try_raw_request,
      .text = "auth-agent-req@openssh.com" },
    { .id = "agent.rfc", .tried = "agent-req", .try = try_raw_request, .text = "agent-req", .never = NO_SUCH_REQUEST },

    ENV("LANG", "lang", "C"), ENV("LC_ALL", "lc-all", "C"), ENV("LC_X", "lc-x", "1"), ENV("TERM", "term", "xterm"),
    { .id = "env.function", .tried = "env LC_ALL with a shell function in it", .try = try_env, .text = "LC_ALL",
      .more = "() { :;}; echo" },
    ENV("LD_PRELOAD", "ld-preload", "/nonexistent"), ENV("LD_LIBRARY_PATH", "ld-library-path", "/nonexistent"),
    ENV("LD_AUDIT", "ld-audit", "/nonexistent"), ENV("PATH", "path", "/nonexistent"),
    ENV("BASH_ENV", "bash-env", "/nonexistent"), ENV("ENV", "env", "/nonexistent"), ENV("IFS", "ifs", "x"),
    ENV("PS4", "ps4", "$(id)"), ENV("SHELL", "shell", "/bin/sh"), ENV("HOME", "home", "/tmp"), ENV("USER", "user", "root"),
    ENV("GCONV_PATH", "gconv-path", "/nonexistent"), ENV("LOCPATH", "locpath", "/nonexistent"),
    ENV("NLSPATH", "nlspath", "/nonexistent"), ENV("GLIBC_TUNABLES", "glibc-tunables", "x"),
    ENV("TERMINFO", "terminfo", "/nonexistent"), ENV("TZ", "tz", "/etc/shadow"), ENV("TMPDIR", "tmpdir", "/nonexistent"),
    ENV("PYTHONPATH", "pythonpath", "/nonexistent"), ENV("PERL5OPT", "perl5opt", "-Mx"), ENV("DISPLAY", "display", ":0"),
    ENV("SSH_ORIGINAL_COMMAND", "original-command", "list"), ENV("SSH_AUTH_SOCK", "auth-sock", "/nonexistent"),
    ENV("LIBVIRT_DEFAULT_URI", "libvirt-uri", "test:///default"), ENV("VIRTGATE_SOCKET", "virtgate-socket", "/nonexistent"),
    { .id = "env.none", .tried = "env without a name", .try = try_env, .text = "", .more = "1" },
    { .id = "env.equals", .tried = "env LC_A=B", .try = try_env, .text = "LC_A=B", .more = "1" },
    { .id = "env.newline", .tried = "env LC_<LF>X", .try = try_env, .text = "LC_\nX", .more = "1" },
    { .id = "env.nul", .tried = "env LANG<NUL>X", .try = try_raw_request, .text = "env", .more = "LANG\0X", .number = 6,
      .never = NO_NUL },
    { .id = "env.long-name", .tried = "env with a name of 64 KiB", .try = try_long_env, .number = 65536, .number2 = 1 },
    { .id = "env.long-value", .tried = "env with a value of 200 KiB", .try = try_long_env, .number2 = 200 * 1024 },
    { .id = "env.many", .tried = "env 200 times", .try = try_many_env, .text = "LC_MANY", .more = "1", .number = 200 },

    PTY("plain", "as usual", "xterm", 80, 24),
    PTY("term-path", "called ../../../../tmp/x", "../../../../tmp/x", 80, 24),
    PTY("term-escape", "called ESC[31m", "\033[31m", 80, 24),
    PTY("term-none", "without a name", "", 80, 24),
    PTY("term-command", "called $(id)", "$(id)", 80, 24),
    { .id = "pty.term-long", .tried = "a command on a terminal with a name of 4000 bytes", .try = try_long_term, .number = 4000,
      .number2 = 24 },
    PTY("size-0", "of 0 columns and rows", "xterm", 0, 0),
    PTY("size-1", "of 1 column and row", "xterm", 1, 1),
    PTY("size-65535", "of 65535 columns and rows", "xterm", 65535, 65535),
    PTY("size-minus-1", "of 4294967295 columns and rows", "xterm", -1, -1),

    MODES("modes-unknown", "with modes that nobody knows", "xterm", "\xc8\1\2\3\4\5\6\7", NULL),
    MODES("modes-none", "with each mode and key set to nothing", "xterm", EACH_MODE, NULL),
    MODES("modes-cut", "with half a mode", "xterm", "\1\0", "sshd itself takes no half of one"),
    MODES("term-nul", "called xterm<NUL>x", "xterm\0x", "", NO_NUL),

    { .id = "shell", .tried = "shell", .try = try_shell, .text = SUM },
    { .id = "shell.tty", .tried = "shell on a terminal", .try = try_shell, .text = "echo probe-$((6*7))\rexit\r", .number = 1 },
    { .id = "shell.keys", .tried = "shell on a terminal, escapes typed", .try = try_shell,
      .text = "!/bin/sh\r:!sh\r|sh\recho probe-$((6*7))\rexit\r", .number = 1 },
    { .id = "shell.empty", .tried = "exec of nothing", .try = try_sum, .text = "" },
    { .id = "shell.empty-tty", .tried = "exec of nothing on a terminal", .try = try_sum, .text = "", .number = 1 },

    { .id = "subsystem.sftp", .tried = "subsystem sftp", .try = try_subsystem, .text = "sftp" },
    { .id = "subsystem.netconf", .tried = "subsystem netconf", .try = try_subsystem, .text = "netconf",
      .never = NO_SUCH_SUBSYSTEM },
    { .id = "subsystem.none", .tried = "subsystem without a name", .try = try_subsystem, .text = "",
      .never = NO_SUCH_SUBSYSTEM },
    { .id = "subsystem.path", .tried = "subsystem ../../bin/sh", .try = try_subsystem, .text = "../../bin/sh",
      .never = NO_SUCH_SUBSYSTEM },
    { .id = "subsystem.program", .tried = "subsystem /bin/sh", .try = try_subsystem, .text = "/bin/sh",
      .never = NO_SUCH_SUBSYSTEM },
    { .id = "subsystem.internal", .tried = "subsystem internal-sftp", .try = try_subsystem, .text = "internal-sftp",
      .never = NO_SUCH_SUBSYSTEM },
    { .id = "subsystem.newline", .tried = "subsystem sftp<LF>id", .try = try_subsystem, .text = "sftp\nid",
      .never = NO_SUCH_SUBSYSTEM },
    { .id = "subsystem.long", .tried = "subsystem with a name of 10 KiB", .try = try_subsystem, .number = 10240,
      .never = NO_SUCH_SUBSYSTEM },
};

const struct family family_session = FAMILY(doors);
