/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/record.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/io.h"
#include "base/log.h"

/* Only the PAM module can vouch for an address and a key; without it they are not known. */
static void add_login(struct log_record *record, const struct connection *connection)
{
    const struct login *login = &connection->login;
    char from[ADDRESS_TEXT_SIZE] = "";

    if (connection->has_login)
        address_format(&login->address, from);
    log_field(record, "from", from[0] ? from : "unknown");
    log_field(record, "key", connection->has_login && login->key[0] ? login->key : "unknown");
}

static void add_who(struct log_record *record, const struct connection *connection)
{
    log_field(record, "session", connection->id);
    log_field(record, "user", connection->identity ? connection->identity->account.name : "");
    log_fieldf(record, "uid", "%lu", (unsigned long)connection->peer.uid);
    add_login(record, connection);
}

static void add_what(struct log_record *record, const struct outcome *outcome)
{
    char uuid[UUID_TEXT_SIZE];

    log_field(record, "vm", outcome->vm);
    if (outcome->has_uuid) {
        uuid_format(&outcome->uuid, uuid);
        log_field(record, "uuid", uuid);
    }
    if (outcome->right)
        log_field(record, "right", right_name((enum right)outcome->right));
    log_field(record, "rule", outcome->rule);
}

/* What the request was. The command line beside it is what the user's process says that it was. */
static void add_asked(struct log_record *record, const struct request *request)
{
    char target[COMMAND_TARGET_SIZE];

    if (request->kind != REQUEST_COMMAND)
        return;
    command_show_target(&request->command, target);
    log_fieldf(record, "asked", "%s%s%s", command_kind_name(request->command.kind), target[0] ? " " : "", target);
}

void record_start(const struct connection *connection)
{
    struct log_record record;

    log_begin(&record, LOG_INFO, "start");
    add_who(&record, connection);
    add_what(&record, &connection->opened);
    add_asked(&record, &connection->request);
    log_field(&record, "command", connection->request.said);
    log_field(&record, "result", "opened");
    log_send(&record);
}

void record_end(const struct connection *connection)
{
    struct log_record record;

    log_begin(&record, LOG_INFO, "end");
    add_who(&record, connection);
    add_what(&record, &connection->opened);
    log_fieldf(&record, "duration_ms", "%" PRId64, io_monotonic_ms() - connection->opened_ms);
    log_fieldf(&record, "bytes_to_user", "%" PRIu64, connection->bytes.to_user);
    log_fieldf(&record, "bytes_from_user", "%" PRIu64, connection->bytes.from_user);
    log_field(&record, "reason", connection->end_reason);
    log_send(&record);
}

void record_call(const struct connection *connection, const struct outcome *outcome)
{
    struct log_record record;

    log_begin(&record, LOG_INFO, "call");
    add_who(&record, connection);
    add_what(&record, outcome);
    log_field(&record, "call", outcome->reason);
    log_send(&record);
}

void record_refusal(const struct connection *connection, const struct outcome *outcome)
{
    struct log_record record;
    unsigned suppressed;

    if (!limit_allows(&connection->broker->limit, connection->peer.uid, io_monotonic_ms(), &suppressed))
        return;
    log_begin(&record, LOG_NOTICE, "refused");
    add_who(&record, connection);
    add_what(&record, outcome);
    add_asked(&record, &connection->request);
    log_field(&record, "command", connection->request.said);
    log_fieldf(&record, "status", "%u", outcome->status);
    log_field(&record, "reason", outcome->reason);
    if (suppressed)
        log_fieldf(&record, "suppressed", "%u", suppressed);
    log_send(&record);
}
