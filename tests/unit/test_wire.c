/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

#include "base/fd.h"
#include "base/io.h"
#include "wire/fdpass.h"
#include "wire/job.h"
#include "wire/listing.h"
#include "wire/outcome.h"
#include "wire/peer.h"
#include "wire/reply.h"
#include "wire/request.h"

static int n_open_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* --- fdpass ------------------------------------------------------------------------------------------------------ */

static void make_pair(int pair[static 2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
}

static void descriptors_travel_close_on_exec(void **state)
{
    int pair[2], got[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char data[4];
    size_t n;

    (void)state;
    make_pair(pair);
    assert_int_equal(fdpass_send(pair[0], "abcd", 4, &null, 1), 0);
    assert_int_equal(fdpass_recv(pair[1], data, 4, got, 2, &n), 0);
    assert_int_equal(n, 1);
    assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(got[1], -1);
    fd_close(&got[0]);
    assert_int_equal(fdpass_recv(pair[1], data, 4, got, 2, &n), -EAGAIN);
    fd_close(&pair[0]);
    assert_int_equal(fdpass_recv(pair[1], data, 4, got, 2, &n), -ECONNRESET);
    assert_int_equal(fdpass_send(pair[1], "abcd", 4, NULL, 0), -EPIPE);
    fd_close(&pair[1]);
    fd_close(&null);
}

/* Attack D16: what was not asked for is closed, whatever its number. */
static void surplus_descriptors_are_refused_and_closed(void **state)
{
    static const size_t counts[] = { 1, 3, 16, 253 };
    int pair[2], got = -1, null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char data[4], space[CMSG_SPACE(253 * sizeof(int))];

    (void)state;
    make_pair(pair);
    int before = n_open_fds();
    for (size_t i = 0; i < 4; i++) {
        struct iovec part = { data, 4 };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space,
                                  .msg_controllen = CMSG_SPACE(counts[i] * sizeof(int)) };
        memset(space, 0, sizeof space);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        if (!head)
            abort();
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(counts[i] * sizeof(int));
        for (size_t k = 0; k < counts[i]; k++)
            memcpy(CMSG_DATA(head) + k * sizeof(int), &null, sizeof(int));
        memset(data, 'x', 4);
        assert_int_equal(sendmsg(pair[0], &message, 0), 4);
        if (counts[i] == 1)
            assert_int_equal(fdpass_recv(pair[1], data, 4, NULL, 0, NULL), -EPROTO);
        else
            assert_int_equal(fdpass_recv(pair[1], data, 4, &got, 1, NULL), -EPROTO);
        assert_int_equal(got, -1);
        assert_int_equal(n_open_fds(), before);
    }
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    fd_close(&null);
}

static void messages_have_one_size(void **state)
{
    int pair[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC), got = -1;
    char data[8];

    (void)state;
    make_pair(pair);
    int before = n_open_fds();
    fdpass_send(pair[0], "abc", 3, NULL, 0);
    assert_int_equal(fdpass_recv(pair[1], data, 4, NULL, 0, NULL), -EPROTO);
    fdpass_send(pair[0], "abcde", 5, &null, 1);
    assert_int_equal(fdpass_recv(pair[1], data, 4, &got, 1, NULL), -EPROTO);
    assert_int_equal(n_open_fds(), before);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    fd_close(&null);
}

static void the_kernel_says_who_is_there(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0vg-test-peer" };
    int pair[2], listener, client, server;
    struct peer peer;

    (void)state;
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "vg-test-%d", getpid());
    make_pair(pair);
    assert_int_equal(peer_of(pair[0], &peer), 0);
    assert_int_equal(peer.uid, getuid());
    assert_int_equal(peer.pid, getpid());
    fd_close(&peer.pidfd);
    fd_close(&pair[0]);
    fd_close(&pair[1]);

    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(peer_of(server, &peer), 0);
    assert_true(peer.pidfd >= 0);
    assert_true(fcntl(peer.pidfd, F_GETFD) & FD_CLOEXEC);
    fd_close(&peer.pidfd);
    fd_close(&server);
    fd_close(&client);
    fd_close(&listener);
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

static struct request display_request(void)
{
    struct request request = { .kind = REQUEST_COMMAND };

    request.command.kind = COMMAND_DISPLAY;
    request.command.target = BY_NAME;
    request.command.index = 1;
    strcpy(request.command.vm, "cards2");
    strcpy(request.said, "display cards2 1");
    return request;
}

static int decode(const struct request *request, struct request *ret)
{
    unsigned char wire[REQUEST_WIRE_SIZE];

    gate_encode_request(request, wire);
    return broker_decode_request(wire, ret);
}

static void requests_come_through_unchanged(void **state)
{
    struct request request = display_request(), got;

    (void)state;
    assert_int_equal(decode(&request, &got), 0);
    assert_memory_equal(&got.command, &request.command, sizeof got.command);
    assert_string_equal(got.said, "display cards2 1");

    request = (struct request){ .kind = REQUEST_REFUSED };
    strcpy(request.why, "expected a command");
    assert_int_equal(decode(&request, &got), 0);
    assert_string_equal(got.why, "expected a command");

    request = (struct request){ .kind = REQUEST_COMMAND, .command = { .kind = COMMAND_DISPLAY, .target = BY_TCP,
                                                                       .port = 5903, .host = "127.0.0.1" } };
    assert_int_equal(decode(&request, &got), 0);
    request = (struct request){ .kind = REQUEST_COMMAND, .command = { .kind = COMMAND_CONSOLE, .target = BY_UUID,
                                                                       .uuid = { { 1 } }, .device = "serial0" } };
    assert_int_equal(decode(&request, &got), 0);
    request = (struct request){ .kind = REQUEST_COMMAND, .command = { .kind = COMMAND_LIST, .json = true } };
    assert_int_equal(decode(&request, &got), 0);
    request = (struct request){ .kind = REQUEST_COMMAND,
                                .command = { .kind = COMMAND_RPC, .readonly = true, .uri = "qemu:///system" } };
    assert_int_equal(decode(&request, &got), 0);
}

/* Each of these is what a hand-written client may send, and is refused alone for its one fault (attacks B14, D24). */
static void unsound_requests_are_refused(void **state)
{
    const struct request good = display_request();
    struct request got = { 0 };
#define REFUSED(change) \
    do { \
        struct request bad = good; \
        change; \
        assert_int_equal(decode(&bad, &got), -EPROTO); \
    } while (0)

    (void)state;
    REFUSED(bad.kind = 0);
    REFUSED(bad.kind = REQUEST_KICK + 1);
    REFUSED(bad.kind = REQUEST_REFUSED);                 /* carries a command */
    REFUSED(bad.command.kind = COMMAND_HELP);            /* answered by the shell */
    REFUSED(bad.command.kind = COMMAND_RPC + 1);
    REFUSED(bad.command.kind = COMMAND_LIST);            /* has a target */
    REFUSED(bad.command.kind = COMMAND_CONSOLE);         /* has an index */
    REFUSED(bad.command.target = BY_NOTHING);
    REFUSED(bad.command.target = BY_SOCKET + 1);
    REFUSED(bad.command.target = BY_UUID);               /* has a name */
    REFUSED(bad.command.target = BY_TCP);
    REFUSED(bad.command.target = BY_SOCKET);
    REFUSED(bad.command.index = COMMAND_INDEX_MAX + 1);
    REFUSED(bad.command.index = UINT32_MAX);
    REFUSED(bad.command.port = 1);
    REFUSED(bad.command.uuid.byte[0] = 1);
    REFUSED(strcpy(bad.command.host, "localhost"));
    REFUSED(strcpy(bad.command.path, "/x"));
    REFUSED(strcpy(bad.command.uri, "qemu:///system"));
    REFUSED(strcpy(bad.command.device, "serial0"));
    REFUSED(bad.command.takeover = true);
    REFUSED(bad.command.readonly = true);
    REFUSED(bad.command.json = true);
    REFUSED(bad.command.vm[0] = '-');
    REFUSED(bad.command.vm[0] = '\0');                   /* leaves bytes behind the terminator */
    REFUSED(strcpy(bad.command.vm, ".."));
    REFUSED(strcpy(bad.command.vm, "a b"));
    REFUSED(strcpy(bad.command.vm, "a\nb"));
    REFUSED(strcpy(bad.command.vm, "a/b"));
    REFUSED(memset(bad.command.vm, 'a', sizeof bad.command.vm));
    REFUSED(bad.command.vm[100] = 'x');                  /* hidden behind the terminator */
    REFUSED(memset(bad.said, 'a', sizeof bad.said));
    REFUSED(strcpy(bad.why, "x"));
#undef REFUSED
}

static void every_spare_byte_counts(void **state)
{
    struct request request = display_request(), got;
    unsigned char wire[REQUEST_WIRE_SIZE];
    size_t refused = 0;

    (void)state;
    /* magic, version, the reserved bytes, json/readonly/takeover above 1: none is ignored */
    for (size_t at = 0; at < sizeof wire; at++) {
        gate_encode_request(&request, wire);
        wire[at] = (unsigned char)(wire[at] + 2);
        if (broker_decode_request(wire, &got) < 0)
            refused++;
        else /* a name, an index, or the quoted line: the only bytes that may differ */
            assert_true(at == 12 || (at >= 36 && at < 42) || (at >= 1636 && at <= 1652));
    }
    assert_true(refused > sizeof wire - 30);
}

static void reports_are_checked(void **state)
{
    struct report report = { 5, 7 }, got;
    unsigned char wire[REPORT_WIRE_SIZE];

    (void)state;
    gate_encode_report(&report, wire);
    assert_int_equal(broker_decode_report(wire, &got), 0);
    assert_int_equal(got.to_user, 5);
    assert_int_equal(got.from_user, 7);
    wire[0] ^= 1;
    assert_int_equal(broker_decode_report(wire, &got), -EPROTO);
    wire[0] ^= 1;
    wire[5] = 1;
    assert_int_equal(broker_decode_report(wire, &got), -EPROTO);
}

/* --- replies and the rest ---------------------------------------------------------------------------------------- */

static void replies_are_checked(void **state)
{
    struct reply reply = { .kind = REPLY_REFUSED, .status = 77, .line = "no console for you on 'secret'" }, got;
    unsigned char wire[REPLY_WIRE_SIZE];

    (void)state;
    broker_encode_reply(&reply, wire);
    assert_int_equal(gate_decode_reply(wire, 0, &got), 0);
    assert_int_equal(got.status, 77);
    assert_string_equal(got.line, reply.line);
    assert_int_equal(gate_decode_reply(wire, 1, &got), -EPROTO); /* a refusal with a descriptor */
    reply.kind = REPLY_STREAM;
    broker_encode_reply(&reply, wire);
    assert_int_equal(gate_decode_reply(wire, 1, &got), 0);
    assert_int_equal(gate_decode_reply(wire, 0, &got), -EPROTO);
    strcpy(reply.line, "a\x1b[2J");
    broker_encode_reply(&reply, wire);
    assert_int_equal(gate_decode_reply(wire, 1, &got), -EPROTO);
    reply.line[0] = '\0';
    reply.kind = REPLY_END + 1;
    broker_encode_reply(&reply, wire);
    assert_int_equal(gate_decode_reply(wire, 0, &got), -EPROTO);
    reply.kind = REPLY_DONE;
    memset(reply.line, 'a', sizeof reply.line);
    broker_encode_reply(&reply, wire);
    assert_int_equal(gate_decode_reply(wire, 0, &got), -EPROTO);
}

static void outcomes_and_jobs_are_checked(void **state)
{
    struct outcome outcome = { .kind = OUTCOME_OPENED, .right = RIGHT_DISPLAY, .has_uuid = 1, .vm = "cards2" };
    struct job job = { .uid = 1000, .user = "alice", .uri = "qemu:///system", .command = { .kind = COMMAND_LIST } };

    (void)state;
    assert_int_equal(broker_check_outcome(&outcome, 1), 0);
    assert_int_equal(broker_check_outcome(&outcome, 0), -EPROTO); /* a display that could not be cut */
    outcome.right = RIGHT_SERIAL;
    assert_int_equal(broker_check_outcome(&outcome, 0), 0);
    assert_int_equal(broker_check_outcome(&outcome, 1), -EPROTO);
    outcome.right = RIGHT_SERIAL | RIGHT_DISPLAY;
    assert_int_equal(broker_check_outcome(&outcome, 0), -EPROTO);
    outcome.kind = 9;
    assert_int_equal(broker_check_outcome(&outcome, 0), -EPROTO);
    outcome = (struct outcome){ .kind = OUTCOME_OPENED }; /* a connection to libvirt */
    assert_int_equal(broker_check_outcome(&outcome, 1), 0);
    assert_int_equal(broker_check_outcome(&outcome, 0), -EPROTO);
    outcome.has_uuid = 1;
    assert_int_equal(broker_check_outcome(&outcome, 1), -EPROTO);
    outcome = (struct outcome){ .kind = OUTCOME_CALLED, .right = RIGHT_POWER, .has_uuid = 1, .vm = "cards2" };
    assert_int_equal(broker_check_outcome(&outcome, 0), 0);
    assert_int_equal(broker_check_outcome(&outcome, 1), -EPROTO);
    outcome.right = 0;
    assert_int_equal(broker_check_outcome(&outcome, 0), -EPROTO);

    assert_int_equal(session_check_job(&job), 0);
    job.command.kind = COMMAND_HELP;
    assert_int_equal(session_check_job(&job), -EPROTO);
    job.command.kind = COMMAND_LIST;
    job.user[0] = '\0';
    assert_int_equal(session_check_job(&job), -EPROTO);
}

struct seen {
    char text[128];
};

static void see_field(void *context, const char *key, const char *value)
{
    struct seen *seen = context;
    size_t len = strlen(seen->text);

    snprintf(seen->text + len, sizeof seen->text - len, "%s=%s,", key, value);
}

static void see_record(void *context)
{
    strcat(((struct seen *)context)->text, ";");
}

static int read_listing(const char *data, size_t len, struct seen *seen)
{
    struct listing_reader reader = { see_field, see_record, seen };

    seen->text[0] = '\0';
    return gate_read_listing(data, len, &reader);
}

static void listings_are_whole_and_sealed(void **state)
{
    char *text = NULL, *data;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct seen seen;
    int fd = -1;

    (void)state;
    session_put_field(out, "name", "a");
    session_put_field(out, "state", "");
    session_put_record_end(out);
    session_put_field(out, "name", "b");
    session_put_record_end(out);
    fclose(out);
    assert_int_equal(session_seal_listing(text, len, &fd), 0);
    free(text);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(io_read_all(fd, LISTING_MAX, &data, &len), 0);
    assert_int_equal(read_listing(data, len, &seen), 0);
    assert_string_equal(seen.text, "name=a,state=,;name=b,;");
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(read_listing(data, cut, &seen), -EPROTO);
    assert_int_equal(read_listing("\0x", 2, &seen), -EPROTO); /* something behind the end */
    free(data);
    fd_close(&fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_travel_close_on_exec),
        cmocka_unit_test(surplus_descriptors_are_refused_and_closed),
        cmocka_unit_test(messages_have_one_size),
        cmocka_unit_test(the_kernel_says_who_is_there),
        cmocka_unit_test(requests_come_through_unchanged),
        cmocka_unit_test(unsound_requests_are_refused),
        cmocka_unit_test(every_spare_byte_counts),
        cmocka_unit_test(reports_are_checked),
        cmocka_unit_test(replies_are_checked),
        cmocka_unit_test(outcomes_and_jobs_are_checked),
        cmocka_unit_test(listings_are_whole_and_sealed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
