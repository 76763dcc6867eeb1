/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop on real sockets, with both ends in the test's hands; and what stands for the URI that is offered. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_policy.h"

#include "base/fd.h"
#include "rpc/rpc_loop.h"
#include "rpc/rpc_upstream.h"

/* --- the loop ------------------------------------------------------------------------------------------------------ */

struct loop_test {
    struct policy *policy;
    struct rpc_filter *filter;
    int client[2], server[2], control[2]; /* [0]: the loop's */
    struct rpc_totals totals;
    enum rpc_end end;
    pthread_t thread;
};

static void *run_loop(void *context)
{
    struct loop_test *t = context;

    t->end = rpc_loop(t->filter, t->client[0], t->server[0], t->control[0], &t->totals);
    return NULL;
}

static struct loop_test *begin(void)
{
    struct loop_test *t = calloc(1, sizeof *t);
    struct rpc_filter_options options = { .uid = 1000, .user = "alice", .uri = "qemu:///system", .seed = "seed" };

    assert_non_null(t);
    t->policy = load_text("[user alice]\ndisplay = cards2\n");
    options.view = t->policy;
    assert_int_equal(rpc_filter_new(&options, &t->filter), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->client), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->server), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, t->control), 0);
    assert_int_equal(pthread_create(&t->thread, NULL, run_loop, t), 0);
    return t;
}

static enum rpc_end finish(struct loop_test *t)
{
    pthread_join(t->thread, NULL);
    enum rpc_end end = t->end;
    for (int i = 0; i < 2; i++) {
        fd_close(&t->client[i]);
        fd_close(&t->server[i]);
        fd_close(&t->control[i]);
    }
    rpc_filter_free(t->filter);
    policy_free(t->policy);
    free(t);
    return end;
}

static const unsigned char get_version[28] = { 0, 0, 0, 28, 0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0 };

static void bytes_are_carried(void **state)
{
    struct loop_test *t = begin();
    unsigned char got[28];

    (void)state;
    for (size_t i = 0; i < sizeof get_version; i++)
        assert_int_equal(write(t->client[1], get_version + i, 1), 1);
    assert_int_equal(recv(t->server[1], got, sizeof got, MSG_WAITALL), sizeof got);
    assert_memory_equal(got, get_version, 20); /* but for the serial */
    got[19] = RPC_REPLY;
    assert_int_equal(write(t->server[1], got, sizeof got), sizeof got);
    assert_int_equal(recv(t->client[1], got, sizeof got, MSG_WAITALL), sizeof got);
    assert_int_equal(got[23], 9);
    fd_close(&t->client[1]);
    assert_int_equal(finish(t), RPC_CLIENT_ENDED);
}

static void each_end_has_its_word(void **state)
{
    static const unsigned char nonsense[4] = { 0xff, 0xff, 0xff, 0xff };
    struct loop_test *t = begin();

    (void)state;
    assert_int_equal(write(t->client[1], nonsense, 4), 4);
    assert_int_equal(finish(t), RPC_CLIENT_BROKE);
    t = begin();
    assert_int_equal(write(t->server[1], nonsense, 4), 4);
    assert_int_equal(finish(t), RPC_SERVER_BROKE);
    t = begin();
    fd_close(&t->server[1]);
    assert_int_equal(finish(t), RPC_SERVER_ENDED);
    t = begin();
    fd_close(&t->control[1]);
    assert_int_equal(finish(t), RPC_BROKER_ENDED);
    t = begin();
    assert_int_equal(write(t->client[1], get_version, 20), 20); /* half a message, and gone */
    fd_close(&t->client[1]);
    assert_int_equal(finish(t), RPC_CLIENT_ENDED);
}

/* libvirtd answers nothing, so nothing more is read; the end is seen all the same. */
static void an_end_behind_what_is_not_read(void **state)
{
    struct loop_test *t = begin();
    unsigned char call[28];

    (void)state;
    memcpy(call, get_version, sizeof call);
    for (unsigned char n = 0; n < 2 * RPC_CALLS_MAX; n++) {
        call[23] = n;
        assert_int_equal(write(t->client[1], call, sizeof call), sizeof call);
    }
    assert_int_equal(shutdown(t->client[1], SHUT_WR), 0);
    assert_int_equal(finish(t), RPC_CLIENT_ENDED);
}

/* One who asks and does not listen is not read any more. */
static void who_does_not_read_is_not_read(void **state)
{
    struct loop_test *t = begin();
    unsigned char refused[28];
    size_t sent = 0;

    (void)state;
    memcpy(refused, get_version, sizeof refused);
    refused[15] = 11; /* answered by the gate, with some 200 bytes for these 28 */
    while (sent < 64 << 20) {
        ssize_t n = send(t->client[1], refused, sizeof refused, MSG_DONTWAIT);
        if (n < 0) {
            usleep(100000);
            n = send(t->client[1], refused, sizeof refused, MSG_DONTWAIT);
            if (n < 0)
                break;
        }
        sent += (size_t)n;
    }
    assert_true(sent < 8 << 20);
    fd_close(&t->control[1]);
    assert_int_equal(finish(t), RPC_BROKER_ENDED);
}

/* Capabilities as long as a message can be: they are with the client before libvirtd has said all, and what the client
 * asks meanwhile is answered after them. */
static void a_long_reply_is_not_kept(void **state)
{
    const size_t len = 30U << 20, first = 1U << 20;
    struct loop_test *t = begin();
    unsigned char ask[28], got[28], *data = calloc(1, len);
    uint32_t word = htonl((uint32_t)len);

    (void)state;
    assert_non_null(data);
    memcpy(ask, get_version, sizeof ask);
    ask[15] = 7; /* CONNECT_GET_CAPABILITIES */
    assert_int_equal(write(t->client[1], ask, sizeof ask), sizeof ask);
    assert_int_equal(recv(t->server[1], data, sizeof ask, MSG_WAITALL), sizeof ask);
    memcpy(data, &word, sizeof word);
    data[19] = RPC_REPLY;
    for (size_t put = 0, taken = 0; put < len;) {
        ssize_t n = send(t->server[1], data + put, put < first ? first - put : len - put, MSG_DONTWAIT);
        put += n > 0 ? (size_t)n : 0;
        if (put == first) {
            assert_true(recv(t->client[1], got, sizeof got, MSG_WAITALL | MSG_PEEK) == sizeof got);
            ask[15] = 11; /* refused by the gate */
            ask[23]++;
            assert_int_equal(write(t->client[1], ask, sizeof ask), sizeof ask);
        }
        while (taken < put && (n = recv(t->client[1], data + taken, put - taken, MSG_DONTWAIT)) > 0)
            taken += (size_t)n;
        if (put == len)
            assert_int_equal(recv(t->client[1], data + taken, len - taken, MSG_WAITALL), len - taken);
    }
    assert_int_equal(data[23], get_version[23]);
    for (size_t i = 28; i < len; i++)
        if (data[i] != 0)
            fail_msg("byte %zu is another", i);
    assert_int_equal(recv(t->client[1], got, sizeof got, MSG_WAITALL), sizeof got);
    assert_int_equal(got[15], 11);
    assert_int_equal(got[23], ask[23]);
    fd_close(&t->client[1]);
    assert_int_equal(finish(t), RPC_CLIENT_ENDED);
    free(data);
}

/* --- what is offered ----------------------------------------------------------------------------------------------- */

static void what_stands_for_the_uri(void **state)
{
    static const struct {
        const char *offered, *uri, *path;
        bool is;
    } row[] = {
        { "qemu:///system", "qemu:///system", "", true },
        { "qemu:///system", "qemu:///system?socket=/run/libvirt/libvirt-sock", "", true },
        { "qemu:///system", "qemu:///session", "", false },
        { "qemu:///system", "qemu:///syste", "", false },
        { "qemu:///system", "qemu:///systemd", "", false },
        { "qemu:///system", "qemu:///session", "/run/libvirt/libvirt-sock", false },
        { "qemu:///system", "", "/var/run/libvirt/libvirt-sock", true },
        { "qemu:///system", "", "/var/run/libvirt/virtqemud-sock", true },
        { "qemu:///system", "", "/var/run/libvirt/virtnetworkd-sock", false },
        { "test:///default", "", "/var/run/libvirt/virtqemud-sock", false },
        { "test:///default", "", "/var/run/libvirt/libvirt-sock", true },
        { "test:///default", "test:///default", "", true },
        { "qemu:///system", "", "", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        assert_int_equal(rpc_upstream_is_offered(row[i].offered, row[i].uri, row[i].path), row[i].is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_carried), cmocka_unit_test(each_end_has_its_word),
        cmocka_unit_test(who_does_not_read_is_not_read), cmocka_unit_test(a_long_reply_is_not_kept),
        cmocka_unit_test(an_end_behind_what_is_not_read),
        cmocka_unit_test(what_stands_for_the_uri),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
