/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host lock's nftables table: who may connect to a display's port of this host. The text is made here, purely; only
 * the last three functions touch the kernel. */
#ifndef VG_HOST_LOCK_H
#define VG_HOST_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "host/qemu_conf.h"

#define LOCK_TABLE "inet virtgate"
#define LOCK_MAX_PORTS 64
#define LOCK_MAX_IDS 1024

struct lock {
    struct port_range ports[LOCK_MAX_PORTS];
    size_t n_ports;
    uid_t uids[LOCK_MAX_IDS]; /* uid 0 is always among those who may, whether it is here or not */
    size_t n_uids;
    gid_t gids[LOCK_MAX_IDS];
    size_t n_gids;
};

/* Each: 0, or -E2BIG when there is no room. What is there already is not added again; ranges that touch become one. */
int lock_add_ports(struct lock *lock, struct port_range range);
int lock_add_uid(struct lock *lock, uid_t uid);
int lock_add_gid(struct lock *lock, gid_t gid);

/* Reads "5905" or "5900-5999", several with commas, into lock. 0, -EINVAL or -E2BIG. */
int lock_parse_ports(struct lock *lock, const char *text);

/* Writes the table as nft(8) reads it, replacing one of this name (LOCK_TABLE) that is there: applied as a whole or not at
 * all. */
void lock_write(FILE *out, const char *table, const struct lock *lock);

/* In the kernel. 0; -EPERM for want of rights; -ENOMEM; -EIO with nft's own words, several lines perhaps, on the stream
 * errors. */

/* Puts the table in, in the place of one that is there. */
int lock_load(const struct lock *lock, FILE *errors);

/* Takes the table away; there being none is as good. */
int lock_remove(FILE *errors);

/* Prints the table. -ENOENT when there is none. */
int lock_print(FILE *out, FILE *errors);

#endif
