/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every message that one process of virtgate takes from another. The first byte chooses which; the rest is the message,
 * padded with zeros. What a decoder takes, the other side's encoder must make again byte by byte: a message has one form. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "wire/job.h"
#include "wire/listing.h"
#include "wire/outcome.h"
#include "wire/reply.h"
#include "wire/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
    if (!condition)
        abort();
}

static void try_request(const unsigned char *in)
{
    unsigned char again[REQUEST_WIRE_SIZE];
    struct request request;

    if (broker_decode_request(in, &request) < 0)
        return;
    gate_encode_request(&request, again);
    check(memcmp(in, again, sizeof again) == 0);
    check(strlen(request.command.vm) < sizeof request.command.vm && strlen(request.said) < sizeof request.said);
}

static void try_report(const unsigned char *in)
{
    unsigned char again[REPORT_WIRE_SIZE];
    struct report report;

    if (broker_decode_report(in, &report) == 0) {
        gate_encode_report(&report, again);
        check(memcmp(in, again, sizeof again) == 0);
    }
}

static void try_reply(const unsigned char *in)
{
    unsigned char again[REPLY_WIRE_SIZE];
    struct reply reply;

    for (unsigned n_fds = 0; n_fds < 3; n_fds++) {
        if (gate_decode_reply(in, n_fds, &reply) < 0)
            continue;
        check(n_fds < 2 && text_is_plain(reply.line, strlen(reply.line)));
        broker_encode_reply(&reply, again);
        check(memcmp(in, again, sizeof again) == 0);
    }
}

static void try_outcome(const unsigned char *in)
{
    struct outcome outcome;

    memcpy(&outcome, in, sizeof outcome);
    if (broker_check_outcome(&outcome, 1) == 0)
        check(outcome.kind == OUTCOME_OPENED && (outcome.right == RIGHT_DISPLAY || !outcome.right));
}

static void see_field(void *context, const char *key, const char *value)
{
    *(size_t *)context += strlen(key) + strlen(value);
}

static void see_record(void *context)
{
    (void)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char message[4096] = { 0 };
    size_t seen = 0;
    struct listing_reader reader = { see_field, see_record, &seen };

    if (size == 0)
        return 0;
    memcpy(message, data + 1, size - 1 < sizeof message ? size - 1 : sizeof message);
    switch (data[0] % 5) {
    case 0:
        try_request(message);
        break;
    case 1:
        try_report(message);
        break;
    case 2:
        try_reply(message);
        break;
    case 3:
        try_outcome(message);
        break;
    case 4:
        gate_read_listing((const char *)data + 1, size - 1, &reader);
        check(seen <= size);
        break;
    }
    return 0;
}
