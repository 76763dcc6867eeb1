/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/who.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "wire/listing.h"

static void put_number(FILE *listing, const char *key, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, number);
    session_put_field(listing, key, text);
}

static void put_session(FILE *listing, const struct connection *c)
{
    const struct login *login = &c->login;
    char from[ADDRESS_TEXT_SIZE] = "", uuid[UUID_TEXT_SIZE] = "";

    if (c->has_login)
        address_format(&login->address, from);
    if (c->opened.has_uuid)
        uuid_format(&c->opened.uuid, uuid);
    session_put_field(listing, "session", c->id);
    session_put_field(listing, "user", c->identity ? c->identity->account.name : "");
    put_number(listing, "uid", c->peer.uid);
    session_put_field(listing, "from", from);
    session_put_field(listing, "key", c->has_login ? login->key : "");
    session_put_field(listing, "vm", c->opened.vm);
    session_put_field(listing, "uuid", uuid);
    session_put_field(listing, "right", c->opened.right ? right_name((enum right)c->opened.right) : "");
    session_put_field(listing, "rule", c->opened.rule);
    put_number(listing, "seconds", (uint64_t)(io_monotonic_ms() - c->opened_ms) / 1000);
    put_number(listing, "to_user", c->bytes.to_user);
    put_number(listing, "from_user", c->bytes.from_user);
    session_put_record_end(listing);
}

int who_list(const struct broker *broker, int *ret_fd)
{
    char *text = NULL;
    size_t len = 0;
    FILE *listing = open_memstream(&text, &len);

    if (!listing)
        return -ENOMEM;
    for (const struct connection *c = broker->connections; c; c = c->next)
        if (c->state == LIVE)
            put_session(listing, c);
    int r = fclose(listing) == EOF ? -ENOMEM : session_seal_listing(text, len, ret_fd);
    free(text);
    return r;
}
