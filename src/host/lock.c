/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table, and why its rules are as they are.
 *
 *   oif "lo" tcp dport @ports goto display  what this host sends to itself: the loopback, and also the host's own
 *                                           other addresses, which the kernel routes over lo as well; IPv4 and IPv6
 *   meta skuid @accounts accept             ends our own chain only: another table's "no" stays a no
 *   tcp flags ... == syn reject             every other opening of a connection. It does not ask who: the kernel knows
 *                                           no uid for some sockets, and "skuid != ..." is not true of them
 *   meta skuid != @accounts reject          connections that were open when the lock was turned on. Those whose owner
 *                                           has gone already have no uid and may say their farewell in peace. QEMU
 *                                           learns of the cut when it sends: to nobody, who resets it
 *
 * No conntrack: the lock keeps nothing for a connection, and works where conntrack is not wanted. */
#include "host/lock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nftables/libnftables.h>

#include "base/io.h"

#define GUARD LOCK_TABLE "_guard"

/* --- what is in it ----------------------------------------------------------------------------------------------- */

static bool touch(struct port_range a, struct port_range b)
{
    return (unsigned)a.first <= b.last + 1U && (unsigned)b.first <= a.last + 1U;
}

int lock_add_ports(struct lock *lock, struct port_range range)
{
    size_t kept = 0;

    for (size_t i = 0; i < lock->n_ports; i++) {
        struct port_range have = lock->ports[i];
        if (touch(have, range)) {
            range.first = have.first < range.first ? have.first : range.first;
            range.last = have.last > range.last ? have.last : range.last;
        } else {
            lock->ports[kept++] = have;
        }
    }
    lock->n_ports = kept;
    if (kept == LOCK_MAX_PORTS)
        return -E2BIG;
    while (kept > 0 && lock->ports[kept - 1].first > range.first) {
        lock->ports[kept] = lock->ports[kept - 1];
        kept--;
    }
    lock->ports[kept] = range;
    lock->n_ports++;
    return 0;
}

/* uid_t and gid_t are the same integer. */
static int add_id(unsigned *list, size_t *n, unsigned id)
{
    for (size_t i = 0; i < *n; i++)
        if (list[i] == id)
            return 0;
    if (*n == LOCK_MAX_IDS)
        return -E2BIG;
    list[(*n)++] = id;
    return 0;
}

int lock_add_uid(struct lock *lock, uid_t uid)
{
    return add_id(lock->uids, &lock->n_uids, uid);
}

int lock_add_gid(struct lock *lock, gid_t gid)
{
    return add_id(lock->gids, &lock->n_gids, gid);
}

static int parse_port(const char *text, size_t len, uint16_t *ret)
{
    uint64_t port;
    int r = io_parse_number(text, len, 1, 65535, &port);

    if (r == 0)
        *ret = (uint16_t)port;
    return r;
}

static int parse_range(const char *text, size_t len, struct port_range *ret)
{
    const char *dash = memchr(text, '-', len);
    size_t head = dash ? (size_t)(dash - text) : len;

    if (parse_port(text, head, &ret->first) < 0 ||
        (dash && parse_port(dash + 1, len - head - 1, &ret->last) < 0))
        return -EINVAL;
    if (!dash)
        ret->last = ret->first;
    return ret->first <= ret->last ? 0 : -EINVAL;
}

int lock_parse_ports(struct lock *lock, const char *text)
{
    for (;;) {
        struct port_range range;
        size_t len = strcspn(text, ",");
        int r = parse_range(text, len, &range);
        if (r == 0)
            r = lock_add_ports(lock, range);
        if (r < 0)
            return r;
        if (text[len] == '\0')
            return 0;
        text += len + 1;
    }
}

/* --- as text ----------------------------------------------------------------------------------------------------- */

static void write_ports(FILE *out, const struct lock *lock)
{
    fputs("\tset ports {\n\t\ttype inet_service\n\t\tflags interval\n\t\telements = { ", out);
    for (size_t i = 0; i < lock->n_ports; i++) {
        fprintf(out, "%s%u", i ? ", " : "", lock->ports[i].first);
        if (lock->ports[i].last != lock->ports[i].first)
            fprintf(out, "-%u", lock->ports[i].last);
    }
    fputs(" }\n\t}\n", out);
}

static void write_ids(FILE *out, const char *name, const char *key, const unsigned *ids, size_t n, bool with_root)
{
    const char *comma = with_root ? ", " : "";

    fprintf(out, "\tset %s {\n\t\ttypeof meta %s\n\t\telements = { %s", name, key, with_root ? "0" : "");
    for (size_t i = 0; i < n; i++) {
        if (with_root && ids[i] == 0)
            continue;
        fprintf(out, "%s%u", comma, ids[i]);
        comma = ", ";
    }
    fputs(" }\n\t}\n", out);
}

/* Named and then deleted: deleting one that is not there would fail. */
static void write_removal(FILE *out, const char *table)
{
    fprintf(out, "table %s\ndelete table %s\n", table, table);
}

void lock_write(FILE *out, const char *table, const struct lock *lock)
{
    write_removal(out, table);
    if (lock->n_ports == 0)
        return;
    fprintf(out, "table %s {\n", table);
    write_ports(out, lock);
    write_ids(out, "accounts", "skuid", lock->uids, lock->n_uids, true);
    if (lock->n_gids)
        write_ids(out, "groups", "skgid", lock->gids, lock->n_gids, false);
    fputs("\tchain display {\n\t\tmeta skuid @accounts accept\n", out);
    if (lock->n_gids)
        fputs("\t\tmeta skgid @groups accept\n", out);
    fputs("\t\ttcp flags & (fin | syn | rst | ack) == syn reject with tcp reset\n"
          "\t\tmeta skuid != @accounts reject with tcp reset\n"
          "\t}\n"
          "\tchain output {\n"
          "\t\ttype filter hook output priority filter; policy accept;\n"
          "\t\toif \"lo\" tcp dport @ports goto display\n"
          "\t}\n"
          "}\n", out);
}

/* --- in the kernel ----------------------------------------------------------------------------------------------- */

/* nft marks the place in the text with lines of its own; the sentence is enough here. */
static void print_errors(FILE *errors, const char *text)
{
    const char *error;

    while ((error = strstr(text, "Error: "))) {
        size_t len = strcspn(error, "\n");
        fprintf(errors, "nftables: %.*s\n", (int)(len - 7), error + 7);
        text = error + len;
    }
}

static int run(const char *ruleset, FILE *out, FILE *errors)
{
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

    if (!nft)
        return -ENOMEM;
    nft_ctx_buffer_error(nft);
    nft_ctx_buffer_output(nft);
    int r = nft_run_cmd_from_buffer(nft, ruleset) == 0 ? 0 : -EIO;
    const char *said = nft_ctx_get_error_buffer(nft);
    if (r < 0 && strstr(said, strerror(EPERM)))
        r = -EPERM;
    else if (r < 0 && strstr(said, strerror(ENOENT)))
        r = -ENOENT;
    if (r == 0 && out)
        fputs(nft_ctx_get_output_buffer(nft), out);
    if (r == -EIO)
        print_errors(errors, said);
    nft_ctx_free(nft);
    return r;
}

static const struct lock nothing;

/* nothing: takes the table away. */
static int load_as(const char *table, const struct lock *lock, FILE *errors)
{
    char *ruleset = NULL;
    size_t len;
    FILE *text = open_memstream(&ruleset, &len);

    if (!text)
        return -ENOMEM;
    lock_write(text, table, lock);
    int r = fclose(text) == EOF ? -ENOMEM : run(ruleset, NULL, errors);
    free(ruleset);
    return r;
}

int lock_load(const struct lock *lock, FILE *errors)
{
    /* A packet that comes while the kernel changes from one table to the other may find each of them, and their sets, in the
     * state in which they are empty. So there is never a change of the only table: another one stands guard meanwhile. */
    int r = load_as(GUARD, lock, errors), removed;

    if (r == 0)
        r = load_as(LOCK_TABLE, lock, errors);
    removed = load_as(GUARD, &nothing, errors);
    return r < 0 ? r : removed;
}

int lock_remove(FILE *errors)
{
    int r = load_as(LOCK_TABLE, &nothing, errors);

    return r < 0 ? r : load_as(GUARD, &nothing, errors);
}

int lock_print(FILE *out, FILE *errors)
{
    return run("list table " LOCK_TABLE "\n", out, errors);
}
