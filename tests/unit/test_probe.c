/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What probe makes of a host's answers, and how it tells. That it asks is tests/e2e/test_probe.py's. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "probe/probe_bytes.h"
#include "probe/probe_judge.h"
#include "probe/probe_print.h"
#include "probe/probe_result.h"

/* --- results ----------------------------------------------------------------------------------------------------- */

static int status_of(const enum verdict *verdicts, size_t n, bool against_open)
{
    struct results results = { 0 };
    int status;

    for (size_t i = 0; i < n; i++) {
        struct finding finding = { .verdict = verdicts[i] };
        assert_int_equal(results_add(&results, "a.b", strdup("x"), &finding), 0);
    }
    status = results_status(&results, against_open);
    results_free(&results);
    return status;
}

#define STATUS(against_open, ...) \
    status_of((enum verdict[]){ __VA_ARGS__ }, sizeof (enum verdict[]){ __VA_ARGS__ } / sizeof(enum verdict), against_open)

static void the_status_of_a_gate(void **state)
{
    (void)state;
    assert_int_equal(STATUS(false, VERDICT_CLOSED, VERDICT_CLOSED), PROBE_WELL);
    assert_int_equal(STATUS(false, VERDICT_CLOSED, VERDICT_WORKS), PROBE_WELL);
    assert_int_equal(STATUS(false, VERDICT_CLOSED, VERDICT_UNKNOWN), PROBE_UNKNOWN);
    assert_int_equal(STATUS(false, VERDICT_CLOSED, VERDICT_UNKNOWN, VERDICT_OPEN), PROBE_OPEN);
    assert_int_equal(STATUS(false, VERDICT_CLOSED, VERDICT_FAILS), PROBE_FAILS);
    assert_int_equal(STATUS(false, VERDICT_FAILS, VERDICT_UNKNOWN), PROBE_UNKNOWN);
    assert_int_equal(STATUS(false, VERDICT_FAILS, VERDICT_OPEN), PROBE_OPEN);
    /* Not applicable is never said of a gate; if it were, it would prove nothing. */
    assert_int_equal(STATUS(false, VERDICT_CLOSED, VERDICT_NOT_APPLICABLE), PROBE_UNKNOWN);
}

static void the_status_of_an_open_host(void **state)
{
    (void)state;
    assert_int_equal(STATUS(true, VERDICT_OPEN, VERDICT_NOT_APPLICABLE), PROBE_WELL);
    assert_int_equal(STATUS(true, VERDICT_OPEN, VERDICT_CLOSED), PROBE_OPEN);
    assert_int_equal(STATUS(true, VERDICT_OPEN, VERDICT_UNKNOWN), PROBE_UNKNOWN);
}

/* Whoever reads a status of a script knows whether there was a probe. */
static void no_status_is_one_of_sysexits(void **state)
{
    (void)state;
    assert_in_range(PROBE_FAILS, 1, EX__BASE - 1);
    assert_in_range(PROBE_OPEN, 1, EX__BASE - 1);
    assert_in_range(PROBE_UNKNOWN, 1, EX__BASE - 1);
    assert_int_not_equal(PROBE_OPEN, PROBE_UNKNOWN);
    assert_int_not_equal(PROBE_OPEN, PROBE_FAILS);
    assert_int_not_equal(PROBE_UNKNOWN, PROBE_FAILS);
}

static void nothing_tried_is_not_well(void **state)
{
    (void)state;
    assert_int_equal(status_of(NULL, 0, false), PROBE_UNKNOWN);
    assert_int_equal(status_of(NULL, 0, true), PROBE_UNKNOWN);
}

static void memory_that_is_short_is_told(void **state)
{
    struct results results = { 0 };
    struct finding finding = { .verdict = VERDICT_CLOSED };

    (void)state;
    assert_int_equal(results_add(&results, "a.b", NULL, &finding), -ENOMEM);
    assert_int_equal(results.n, 0);
    results_free(&results);
}

static void a_long_text_is_cut(void **state)
{
    struct finding finding;
    char text[2 * PROBE_SEEN_SIZE];

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    finding_set(&finding, VERDICT_OPEN, "%s", text);
    assert_int_equal(strlen(finding.seen), PROBE_SEEN_SIZE - 1);
}

/* --- printing ---------------------------------------------------------------------------------------------------- */

static char *printed(void (*print)(FILE *, void *), void *context)
{
    char *out = NULL;
    size_t len;
    FILE *stream = open_memstream(&out, &len);

    assert_non_null(stream);
    print(stream, context);
    fclose(stream);
    return out;
}

static void print_hostile(FILE *out, void *context)
{
    probe_print_line(out, "exec.id", "id\n\033[2J", context);
}

static void a_line_is_one_line(void **state)
{
    struct finding finding;

    (void)state;
    finding_set(&finding, VERDICT_OPEN, "a\nclosed  b \"\\ \xff \xe2\x80\xae");
    char *line = printed(print_hostile, &finding);
    assert_string_equal(line, "OPEN     exec.id                   id\\x0a\\x1b[2J: a\\x0aclosed  b \"\\\\ \\xff \\xe2\\x80\\xae\n");
    free(line);
}

static void print_results(FILE *out, void *context)
{
    probe_print_json(out, "h\"ost", context, false);
}

static void json_is_escaped(void **state)
{
    struct results results = { 0 };
    struct finding finding;

    (void)state;
    finding_set(&finding, VERDICT_OPEN, "a\n\"b\\ \xff \033");
    assert_int_equal(results_add(&results, "exec.id", strdup("i\td"), &finding), 0);
    char *json = printed(print_results, &results);
    assert_string_equal(json,
        "{\"host\": \"h\\\"ost\", \"ok\": false, "
        "\"counts\": {\"closed\": 0, \"OPEN\": 1, \"unknown\": 0, \"n/a\": 0, \"works\": 0, \"FAILS\": 0}, "
        "\"doors\": [{\"id\": \"exec.id\", \"verdict\": \"OPEN\", \"tried\": \"i\\u0009d\", "
        "\"seen\": \"a\\u000a\\\"b\\\\ \\ufffd \\u001b\"}]}\n");
    free(json);
    results_free(&results);
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

struct answered {
    const char *out, *err;
    int status;
    bool open, refused, lost, ended;
};

static struct answer answer_of(const struct answered *row)
{
    struct answer answer = { .opened = row->open, .refused = row->refused, .lost = row->lost, .ended = row->ended, .status = row->status };

    if (row->out)
        answer_add(&answer, false, row->out, strlen(row->out));
    if (row->err)
        answer_add(&answer, true, row->err, strlen(row->err));
    return answer;
}

#define ENDED .open = true, .ended = true

static void answers_of_a_command(void **state)
{
    static const struct {
        struct answered answered;
        const char *proof;
        enum verdict verdict;
    } rows[] = {
        { { .err = "virtgate: unknown command 'id'; try help\n", .status = 64, ENDED }, NULL, VERDICT_CLOSED },
        { { .err = "virtgate: no\n", .status = 64, ENDED }, "42", VERDICT_CLOSED },
        { { .out = "virtgate: no\r\n", .status = 64, ENDED }, NULL, VERDICT_CLOSED },
        { { .out = "banner\r\nvirtgate: no\r\n", .status = 64, ENDED }, NULL, VERDICT_CLOSED },
        { { .out = "echo $((6*7))\r\nvirtgate> virtgate: no\r\nvirtgate> ", .open = true, .status = -1 }, "42", VERDICT_CLOSED },
        { { .open = true, .refused = true }, NULL, VERDICT_CLOSED },
        { { .open = true, .lost = true }, NULL, VERDICT_CLOSED },
        { { .err = "/usr/bin/virtgate-shell: Argument list too long\n", .status = 1, ENDED }, "42", VERDICT_CLOSED },
        { { .out = "uid=0(root)\n", ENDED }, NULL, VERDICT_OPEN },
        { { .err = "sh: 1: id: not found\n", .status = 127, ENDED }, NULL, VERDICT_OPEN },
        { { .status = 0, ENDED }, NULL, VERDICT_OPEN },
        { { .status = 0, ENDED }, "42", VERDICT_OPEN },
        { { .out = "42\n", .open = true, .status = -1 }, "42", VERDICT_OPEN },
        /* The gate's name is not the gate's refusal. */
        { { .err = "virtgate: hello\n", .status = 0, ENDED }, NULL, VERDICT_OPEN },
        { { .out = "# virtgate: members of the group\n", .status = 0, ENDED }, NULL, VERDICT_OPEN },
        { { .err = "bash: virtgate: command not found\n", .status = 127, ENDED }, NULL, VERDICT_OPEN },
        { { .out = "virtgate: no\n42\n", .status = 64, ENDED }, "42", VERDICT_OPEN },
        /* No answer is not a closed door. */
        { { .status = 254, ENDED }, NULL, VERDICT_UNKNOWN },
        { { .out = "what is this", .status = 1, ENDED }, "42", VERDICT_UNKNOWN },
        { { .open = true, .status = -1 }, NULL, VERDICT_UNKNOWN },
        { { .out = "half", .open = true, .status = -1 }, NULL, VERDICT_UNKNOWN },
        { { .open = false, .status = -1 }, NULL, VERDICT_UNKNOWN },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer answer = answer_of(&rows[i].answered);
        struct finding finding;

        judge_answer(&answer, rows[i].proof, &finding);
        if (finding.verdict != rows[i].verdict)
            fail_msg("row %zu: %s: %s", i, verdict_name(finding.verdict), finding.seen);
    }
}

static void answers_of_a_stream(void **state)
{
    static const struct {
        struct answered answered;
        enum verdict verdict;
    } rows[] = {
        { { .err = "virtgate: no console for you on 'x'\n", .status = 77, ENDED }, VERDICT_CLOSED },
        { { .out = "virtgate: no console for you on 'x'\r\n", .status = 77, ENDED }, VERDICT_CLOSED },
        { { .out = "virtgate: no console for you on 'x'\r\n", .open = true, .status = -1 }, VERDICT_CLOSED },
        { { .out = "RFB 003.008\n", .open = true, .status = -1 }, VERDICT_OPEN },
        { { .out = "virtgate: connected; leave with Ctrl-]\r\n", .open = true, .status = -1 }, VERDICT_OPEN },
        { { .err = "nc: connect failed\n", .status = 1, ENDED }, VERDICT_OPEN },
        { { .open = true, .status = -1 }, VERDICT_UNKNOWN },
        { { .status = 0, ENDED }, VERDICT_OPEN },
        { { .status = 1, ENDED }, VERDICT_UNKNOWN },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer answer = answer_of(&rows[i].answered);
        struct finding finding;

        judge_stream(&answer, &finding);
        if (finding.verdict != rows[i].verdict)
            fail_msg("row %zu: %s: %s", i, verdict_name(finding.verdict), finding.seen);
    }
}

static void answers_of_a_list(void **state)
{
    static const struct {
        struct answered answered;
        enum verdict verdict;
    } rows[] = {
        { { .out = "NAME    STATE\ncards2  running\n", ENDED }, VERDICT_CLOSED },
        { { .out = "my-cards\ncards.x\nxcards\n", ENDED }, VERDICT_CLOSED },
        { { .out = "", ENDED }, VERDICT_CLOSED },
        { { .out = "cards2  running\ncards   shut off\n", ENDED }, VERDICT_OPEN },
        { { .out = "cards2\ncards", ENDED }, VERDICT_OPEN },
        { { .out = "[{\"name\": \"cards2\"}, {\"name\": \"cards\"}]\n", ENDED }, VERDICT_OPEN },
        { { .err = "virtgate: no\n", .status = 77, ENDED }, VERDICT_CLOSED },
        { { .out = "cards2", .open = true, .status = -1 }, VERDICT_UNKNOWN },
    };
    static struct answer cut = { .opened = true, .ended = true };
    struct finding finding;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer answer = answer_of(&rows[i].answered);

        judge_names(&answer, "cards", &finding);
        if (finding.verdict != rows[i].verdict)
            fail_msg("row %zu: %s: %s", i, verdict_name(finding.verdict), finding.seen);
    }
    while (cut.out_len < ANSWER_SIZE - 1)
        answer_add(&cut, false, "cards2\n", 7);
    judge_names(&cut, "cards", &finding);
    assert_int_equal(finding.verdict, VERDICT_UNKNOWN);
}

static void answers_of_a_subsystem(void **state)
{
    struct finding finding;
    struct answer silent = answer_of(&(struct answered){ .status = 64, ENDED });
    struct answer speaks = answer_of(&(struct answered){ .out = "sftp", .status = 0, ENDED });
    struct answer content = answer_of(&(struct answered){ .status = 0, ENDED });
    struct answer goes_on = answer_of(&(struct answered){ .out = "sftp", .open = true, .status = -1 });
    struct answer unfinished = answer_of(&(struct answered){ .open = true, .status = -1 });

    (void)state;
    judge_subsystem(&silent, &finding);
    assert_int_equal(finding.verdict, VERDICT_CLOSED);
    judge_subsystem(&speaks, &finding);
    assert_int_equal(finding.verdict, VERDICT_OPEN);
    judge_subsystem(&content, &finding);
    assert_int_equal(finding.verdict, VERDICT_OPEN);
    judge_subsystem(&goes_on, &finding);
    assert_int_equal(finding.verdict, VERDICT_OPEN);
    judge_subsystem(&unfinished, &finding);
    assert_int_equal(finding.verdict, VERDICT_UNKNOWN);
}

static void an_answer_keeps_what_there_is_room_for(void **state)
{
    static struct answer answer = ANSWER_NONE;
    static char piece[1000];

    (void)state;
    memset(piece, 'x', sizeof piece);
    for (int i = 0; i < 100; i++)
        answer_add(&answer, false, piece, sizeof piece);
    assert_int_equal(answer.out_len, ANSWER_SIZE - 1);
    assert_int_equal(answer.out[ANSWER_SIZE - 1], '\0');
    answer_add(&answer, true, "a\0b", 3);
    assert_int_equal(answer.err_len, 3);
    assert_true(answer_holds(&answer, "b"));
}

/* --- channels ---------------------------------------------------------------------------------------------------- */

static enum verdict channel_verdict(enum asked asked, uint32_t reason, const char *text)
{
    struct finding finding;

    judge_refused_channel(asked, reason, text, &finding);
    return finding.verdict;
}

static void refusals_of_a_channel(void **state)
{
    (void)state;
    assert_int_equal(channel_verdict(ASKED_TCP, OPEN_PROHIBITED, "open failed"), VERDICT_CLOSED);
    assert_int_equal(channel_verdict(ASKED_TCP, 3, "unknown channel type"), VERDICT_CLOSED);
    assert_int_equal(channel_verdict(ASKED_OTHER, OPEN_CONNECT_FAILED, "open failed"), VERDICT_CLOSED);
    /* Who says that nobody listens there has looked. */
    assert_int_equal(channel_verdict(ASKED_TCP, OPEN_CONNECT_FAILED, "Connection refused"), VERDICT_OPEN);
    assert_int_equal(channel_verdict(ASKED_TCP, OPEN_CONNECT_FAILED, "Name or service not known"), VERDICT_OPEN);
    /* Unless the kernel kept it from looking. */
    assert_int_equal(channel_verdict(ASKED_TCP, OPEN_CONNECT_FAILED, "Permission denied"), VERDICT_CLOSED);
    assert_int_equal(channel_verdict(ASKED_TCP, OPEN_CONNECT_FAILED, "Operation not permitted"), VERDICT_CLOSED);
    assert_int_equal(channel_verdict(ASKED_TCP, OPEN_CONNECT_FAILED, "open failed"), VERDICT_CLOSED);
}

static void what_libssh_says_is_taken_apart(void **state)
{
    uint32_t reason = 0;
    const char *text = NULL;

    (void)state;
    assert_true(judge_libssh_refusal("Channel opening failure: channel 43 error (2) Connection refused", &reason, &text));
    assert_int_equal(reason, 2);
    assert_string_equal(text, "Connection refused");
    assert_false(judge_libssh_refusal("Socket error: disconnected", &reason, &text));
    assert_false(judge_libssh_refusal("Channel opening failure: channel 43", &reason, &text));
    assert_false(judge_libssh_refusal("Channel opening failure: channel 43 error (x) y", &reason, &text));
    assert_false(judge_libssh_refusal("", &reason, &text));
}

/* --- libvirt ----------------------------------------------------------------------------------------------------- */

static void replies_of_libvirt(void **state)
{
    static const struct {
        int code;
        enum verdict verdict;
    } rows[] = { { 0, VERDICT_OPEN }, { 3, VERDICT_CLOSED }, { 29, VERDICT_CLOSED }, { 42, VERDICT_CLOSED }, { 88, VERDICT_CLOSED },
                 { 8, VERDICT_OPEN }, { 55, VERDICT_OPEN }, { 1, VERDICT_OPEN }, { -1, VERDICT_OPEN } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct finding finding;

        judge_rpc_reply(rows[i].code, "why", &finding);
        assert_int_equal(finding.verdict, rows[i].verdict);
    }
}

static void bytes_are_as_the_protocols_have_them(void **state)
{
    static const uint8_t wanted[] = { 0, 0, 0, 2, 'a', 'b', 0, 0, 0, 5, 'a', 'b', 'c', 'd', 'e', 0, 0, 0, 0, 0, 0, 4, 'a', 'b', 'c', 'd',
                                      0x80, 0, 0, 1 };
    struct bytes bytes = { 0 };

    (void)state;
    bytes_text(&bytes, "ab");
    bytes_xdr(&bytes, "abcde");
    bytes_xdr(&bytes, "abcd");
    bytes_u32(&bytes, 0x80000001);
    assert_false(bytes.failed);
    assert_int_equal(bytes.len, sizeof wanted);
    assert_memory_equal(bytes.data, wanted, sizeof wanted);
    assert_int_equal(bytes_get_u32(wanted + sizeof wanted - 4), 0x80000001);
    bytes_free(&bytes);
    assert_null(bytes.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_of_a_gate),
        cmocka_unit_test(the_status_of_an_open_host),
        cmocka_unit_test(no_status_is_one_of_sysexits),
        cmocka_unit_test(nothing_tried_is_not_well),
        cmocka_unit_test(memory_that_is_short_is_told),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(a_line_is_one_line),
        cmocka_unit_test(json_is_escaped),
        cmocka_unit_test(answers_of_a_command),
        cmocka_unit_test(answers_of_a_stream),
        cmocka_unit_test(answers_of_a_list),
        cmocka_unit_test(answers_of_a_subsystem),
        cmocka_unit_test(an_answer_keeps_what_there_is_room_for),
        cmocka_unit_test(refusals_of_a_channel),
        cmocka_unit_test(what_libssh_says_is_taken_apart),
        cmocka_unit_test(replies_of_libvirt),
        cmocka_unit_test(bytes_are_as_the_protocols_have_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
