/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Oversize and NUL: a command that a shell would run, made long, and bytes that end a string too early for somebody. */
#include <stdlib.h>
#include <string.h>

#include "probe/probe.h"
#include "probe/probe_raw.h"

#define SUM "echo probe-$((6*7)) "
#define SUM_DONE "probe-42"

/* door->number bytes in all; filled with door->text, or with one word of which the rest is a comment. */
static char *long_command(const struct door *door)
{
    size_t size = (size_t)door->number, len = strlen(SUM), piece = strlen(door->text);
    char *command = malloc(size + 1);

    if (!command)
        return NULL;
    memcpy(command, SUM, len);
    for (size_t at = len; at < size; at++)
        command[at] = door->text[(at - len) % piece];
    command[size] = '\0';
    return command;
}

static void try_long(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    char *command = long_command(door);

    if (!command)
        return;
    probe_exec(probe, command, false, NULL, SUM_DONE, &answer);
    judge_answer(&answer, SUM_DONE, finding);
    free(command);
}

/* A request whose string has NULs in it: door->more, of door->number bytes. */
static void try_nul(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct raw_channel channel;
    struct bytes string = { 0 };
    enum raw_reply reply;

    if (!raw_session_to_ask_in(probe, &channel, &reply, finding))
        return;
    bytes_string(&string, door->more, (size_t)door->number);
    if (reply != RAW_YES || ((reply = raw_request(probe, &channel, door->text, &string)) != RAW_YES && reply != RAW_NO)) {
        raw_judge_silence(reply, finding);
    } else {
        channel.answer.refused = reply == RAW_NO;
        if (reply == RAW_YES)
            raw_read(probe, &channel, NULL, SUM_DONE);
        judge_answer(&channel.answer, SUM_DONE, finding);
        raw_close_channel(probe, &channel);
    }
    bytes_free(&string);
}

#define NO_NUL "sshd itself takes no NUL within a string"
#define TOO_LONG "longer than the kernel lets an argument be"
#define LONG(id_, size_, fill_, never_) \
    { .id = "size." id_, .tried = "a command of " #size_ " bytes", .try = try_long, .text = fill_, .number = size_, \
      .never = never_ }
#define NUL(id_, tried_, request_, string_, never_) \
    { .id = "nul." id_, .tried = tried_, .try = try_nul, .text = request_, .more = string_, .number = sizeof string_ - 1, \
      .never = never_ }

static const struct door doors[] = {
    LONG("4095", 4095, "#a", NULL), LONG("4096", 4096, "#a", NULL), LONG("65535", 65535, "#a", NULL),
    LONG("65536", 65536, "#a", NULL), LONG("words", 65000, "a ", NULL), LONG("lines", 65000, "\n ", NULL),
    LONG("quotes", 65000, "''", NULL), LONG("blanks", 100000, " ", NULL), LONG("100000", 100000, "#a", NULL),
    LONG("131059", 131059, "#a", TOO_LONG), LONG("200000", 200000, "#a", TOO_LONG),
    LONG("packet", 300000, "#a", "sshd takes no packet of that size"),

    NUL("exec-first", "exec of <NUL>echo ...", "exec", "\0" SUM, NO_NUL),
    NUL("exec-within", "exec of list<NUL>; echo ...", "exec", "list\0; " SUM, NO_NUL),
    NUL("exec-last", "exec of echo ...<NUL>", "exec", SUM "\0", NULL),
    NUL("subsystem", "subsystem sftp<NUL>x", "subsystem", "sftp\0x", NO_NUL),
};

const struct family family_size = FAMILY(doors);
