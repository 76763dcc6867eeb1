/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A conversation between a client and libvirtd, both of whom say anything, through the filter. The input is a row of messages:
 * a byte that says who speaks, and the message as it is on the wire. The serials of a reply are made to fit, so that replies
 * are taken. What comes out to either side has to be whole messages, and what comes out to libvirtd has to be in the table. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/policy.h"
#include "rpc/rpc_allow.h"
#include "rpc/rpc_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
    if (!condition)
        abort();
}

static struct policy *policy_of_alice(void)
{
    static const char text[] = "[user alice]\ndisplay = a*\nserial = a*\npower = a*\n";
    char path[] = "/tmp/virtgate-fuzz-XXXXXX";
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;
    int fd = mkstemp(path);

    check(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
    close(fd);
    check(policy_load(path, geteuid(), &policy, &errors) == 0);
    policy_errors_free(&errors);
    unlink(path);
    return policy;
}

/* Takes all that is there; the serial and procedure of the last message. */
static struct rpc_header take(struct rpc_buffer *out, int to_server, struct rpc_header last)
{
    struct rpc_message m;

    while (rpc_buffer_len(out) > 0) {
        check(rpc_frame_peek(out, RPC_FROM_SERVER_MAX, &m) == 1);
        if (to_server && m.header.program == RPC_PROGRAM_REMOTE) {
            check(m.header.type == RPC_CALL || m.header.type == RPC_STREAM);
            check(rpc_allow(m.header.procedure) != NULL);
            last = m.header;
        }
        rpc_buffer_drop(out, RPC_HEAD_SIZE + m.len);
    }
    return last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct policy *policy;
    struct rpc_filter_options options = { .uid = 1000, .user = "alice", .uri = "qemu:///system", .seed = "abcdefghijklmnopqrstuvw" };
    struct rpc_header last = { 0 };
    struct rpc_filter *filter;
    int r = 0;

    if (!policy)
        policy = policy_of_alice();
    options.view = policy;
    check(rpc_filter_new(&options, &filter) == 0);
    while (r == 0 && size > 1) {
        struct rpc_buffer in = { 0 };
        struct rpc_message m;
        bool server = data[0] & 1, fit = data[0] & 2;
        data++;
        size--;
        unsigned char *room = rpc_buffer_room(&in, size);
        check(room != NULL);
        memcpy(room, data, size);
        rpc_buffer_added(&in, size);
        r = rpc_frame_peek(&in, server ? RPC_FROM_SERVER_MAX : RPC_FROM_CLIENT_MAX, &m);
        if (r == 1) {
            data += RPC_HEAD_SIZE + m.len;
            size -= RPC_HEAD_SIZE + m.len;
            if (server && fit) {
                m.header.serial = last.serial;
                m.header.procedure = last.procedure;
            }
            r = server ? rpc_filter_from_server(filter, &m) : rpc_filter_ready(filter) ? rpc_filter_from_client(filter, &m) : 0;
            last = take(rpc_filter_to_server(filter), 1, last);
            take(rpc_filter_to_client(filter), 0, last);
        } else {
            r = -1;
        }
        rpc_buffer_free(&in);
    }
    rpc_filter_free(filter);
    return 0;
}
