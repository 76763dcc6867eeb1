/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/probe_judge.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATE "virtgate: "
#define PROMPT "virtgate> "    /* on a terminal: what follows it on its line came before anything was typed there */
#define CONNECTED "virtgate: connected"    /* what virtgate-shell says of a console that it opened, on a terminal */
#define SHOWN 100   /* bytes of an answer in what was seen */

void answer_add(struct answer *answer, bool is_err, const void *data, size_t len)
{
    char *into = is_err ? answer->err : answer->out;
    size_t *have = is_err ? &answer->err_len : &answer->out_len;
    size_t room = ANSWER_SIZE - 1 - *have;

    if (len > room)
        len = room;
    memcpy(into + *have, data, len);
    *have += len;
    into[*have] = '\0';
}

bool answer_holds(const struct answer *answer, const char *text)
{
    return memmem(answer->out, answer->out_len, text, strlen(text)) || memmem(answer->err, answer->err_len, text, strlen(text));
}

static const char *gate_line_in(const char *text, size_t len, size_t *ret_len)
{
    const char *end = text + len;

    for (const char *at = text; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));

        if (!stop)
            stop = end;
        while ((size_t)(stop - at) > strlen(PROMPT) && memcmp(at, PROMPT, strlen(PROMPT)) == 0)
            at += strlen(PROMPT);
        if ((size_t)(stop - at) > strlen(GATE) && memcmp(at, GATE, strlen(GATE)) == 0) {
            *ret_len = (size_t)(stop - at) - (stop[-1] == '\r');
            return at;
        }
        at = stop + 1;
    }
    return NULL;
}

const char *answer_gate_line(const struct answer *answer, size_t *ret_len)
{
    const char *line = gate_line_in(answer->err, answer->err_len, ret_len);

    /* A terminal has one stream for both. */
    return line ? line : gate_line_in(answer->out, answer->out_len, ret_len);
}

/* The beginning of what came, without blanks at its end. */
static void show(const struct answer *answer, char out[static SHOWN + 1])
{
    bool has_out = answer->out_len > 0;
    const char *from = has_out ? answer->out : answer->err;
    size_t len = has_out ? answer->out_len : answer->err_len;

    if (len > SHOWN)
        len = SHOWN;
    while (len && isspace((unsigned char)from[len - 1]))
        len--;
    memcpy(out, from, len);
    out[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if (out[i] == '\0')
            out[i] = '.';
}

/* What ends the question before anything was said. */
static bool judged_early(const struct answer *answer, struct finding *finding)
{
    if (answer->lost)
        finding_set(finding, VERDICT_CLOSED, SEEN_LOST);
    else if (!answer->opened)
        finding_set(finding, VERDICT_UNKNOWN, "no session to ask in: %s", answer->why);
    else if (answer->refused)
        finding_set(finding, VERDICT_CLOSED, "sshd refused the request");
    else
        return false;
    return true;
}

static bool judged_by_the_gates_word(const struct answer *answer, struct finding *finding)
{
    size_t len;
    const char *line = answer_gate_line(answer, &len);

    /* The gate's refusals end badly. */
    if (!line || (answer->ended && answer->status == 0))
        return false;
    if (answer->ended)
        finding_set(finding, VERDICT_CLOSED, "exit %d, %.*s", answer->status, (int)len, line);
    else
        finding_set(finding, VERDICT_CLOSED, "%.*s", (int)len, line);
    return true;
}

void judge_answer(const struct answer *answer, const char *proof, struct finding *finding)
{
    char shown[SHOWN + 1];

    if (judged_early(answer, finding))
        return;
    show(answer, shown);
    if (proof && answer_holds(answer, proof))
        finding_set(finding, VERDICT_OPEN, "a shell did it: '%s'", shown);
    else if (judged_by_the_gates_word(answer, finding))
        return;
    else if (answer_holds(answer, "Argument list too long"))
        finding_set(finding, VERDICT_CLOSED, "too long for the kernel: nothing was started");
    else if (!answer->ended)
        finding_set(finding, VERDICT_UNKNOWN, "no answer in time ('%s')", shown);
    else if (answer->status != 0 && (proof || (answer->out_len == 0 && answer->err_len == 0)))
        finding_set(finding, VERDICT_UNKNOWN, "neither the gate nor a shell said a word: exit %d '%s'", answer->status, shown);
    else
        finding_set(finding, VERDICT_OPEN, "not the gate's answer: exit %d '%s'", answer->status, shown);
}

void judge_subsystem(const struct answer *answer, struct finding *finding)
{
    char shown[SHOWN + 1];
    size_t len;

    show(answer, shown);
    if (!answer->lost && answer->out_len > 0 && !answer_gate_line(answer, &len))
        finding_set(finding, VERDICT_OPEN, "it answers: '%s'", shown);
    else if (answer->opened && !answer->lost && !answer->refused && answer->ended && answer->status != 0 && answer->out_len == 0)
        finding_set(finding, VERDICT_CLOSED, "exit %d, and nothing that speaks the subsystem's protocol", answer->status);
    else
        judge_answer(answer, NULL, finding);
}

void judge_stream(const struct answer *answer, struct finding *finding)
{
    char shown[SHOWN + 1];
    size_t len;
    const char *line;

    if (judged_early(answer, finding))
        return;
    show(answer, shown);
    line = gate_line_in(answer->out, answer->out_len, &len);
    if (answer->out_len > 0 && (!line || strncmp(line, CONNECTED, strlen(CONNECTED)) == 0))
        finding_set(finding, VERDICT_OPEN, "it answers: '%s'", shown);
    else if (judged_by_the_gates_word(answer, finding))
        return;
    else if (!answer->ended)
        finding_set(finding, VERDICT_UNKNOWN, "a stream that says nothing, and no refusal");
    else if (answer->err_len > 0 || answer->status == 0)
        finding_set(finding, VERDICT_OPEN, "not the gate's answer: exit %d '%s'", answer->status, shown);
    else
        finding_set(finding, VERDICT_UNKNOWN, "exit %d without a word", answer->status);
}

/* Is the name among what came, as a word and not as a part of another? */
static bool names(const struct answer *answer, const char *name)
{
    static const char ends[] = " \t\r\n\"";   /* and the end, a NUL */
    const char *end = answer->out + answer->out_len;
    size_t len = strlen(name);

    for (const char *at = answer->out; (at = memmem(at, (size_t)(end - at), name, len)); at++)
        if ((at == answer->out || strchr(ends, at[-1])) && strchr(ends, at[len]))
            return true;
    return false;
}

void judge_names(const struct answer *answer, const char *name, struct finding *finding)
{
    if (!answer->ended || answer->status != 0)
        judge_answer(answer, NULL, finding);
    else if (names(answer, name))
        finding_set(finding, VERDICT_OPEN, "'%s' is in it", name);
    else if (answer->out_len == ANSWER_SIZE - 1)
        finding_set(finding, VERDICT_UNKNOWN, "the list is too long to be read");
    else
        finding_set(finding, VERDICT_CLOSED, "'%s' is not in it", name);
}

/* --- a channel that was asked for ---------------------------------------------------------------------------------- */

/* What connect(2) of a confined process ends in. Of socket(2), and of an address that this host has not, sshd tells nothing:
 * "open failed". A connection to where somebody may listen never ends so at once. */
static bool is_kernels_refusal(const char *text)
{
    static const char *const texts[] = { "Permission denied", "Operation not permitted",
                                         "Address family not supported by protocol", "Socket type not supported",
                                         "open failed" };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(text, texts[i]) == 0)
            return true;
    return false;
}

void judge_refused_channel(enum asked asked, uint32_t reason, const char *text, struct finding *finding)
{
    if (asked == ASKED_TCP && reason == OPEN_CONNECT_FAILED && is_kernels_refusal(text))
        finding_set(finding, VERDICT_CLOSED, "sshd would, but its process may not: %s", text);
    else if (asked == ASKED_TCP && reason == OPEN_CONNECT_FAILED)
        finding_set(finding, VERDICT_OPEN, "sshd tried to connect: %s", text);
    else if (reason == OPEN_PROHIBITED)
        finding_set(finding, VERDICT_CLOSED, "administratively prohibited: %s", text);
    else
        finding_set(finding, VERDICT_CLOSED, "refused, reason %u: %s", (unsigned)reason, text);
}

bool judge_libssh_refusal(const char *message, uint32_t *ret_reason, const char **ret_text)
{
    const char *at = strstr(message, " error (");
    char *end;
    unsigned long reason;

    if (strncmp(message, "Channel opening failure: ", 25) != 0 || !at)
        return false;
    at += strlen(" error (");
    reason = strtoul(at, &end, 10);
    if (end == at || strncmp(end, ") ", 2) != 0)
        return false;
    *ret_reason = (uint32_t)reason;
    *ret_text = end + 2;
    return true;
}

/* --- libvirt's protocol -------------------------------------------------------------------------------------------- */

/* libvirt/virterror.h */
#define ERR_NO_SUPPORT 3
#define ERR_OPERATION_DENIED 29
#define ERR_NO_DOMAIN 42
#define ERR_ACCESS_DENIED 88

void judge_rpc_reply(int code, const char *message, struct finding *finding)
{
    switch (code) {
    case 0:
        finding_set(finding, VERDICT_OPEN, "the call was answered");
        break;
    case ERR_NO_SUPPORT:
    case ERR_OPERATION_DENIED:
    case ERR_NO_DOMAIN:
    case ERR_ACCESS_DENIED:
        finding_set(finding, VERDICT_CLOSED, "error %d, %s", code, message);
        break;
    default:
        finding_set(finding, VERDICT_OPEN, "libvirtd itself had the call: error %d, %s", code, message);
    }
}
