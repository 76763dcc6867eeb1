/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As much of libvirt's protocol as it takes to press a machine's power switch, over the door that the gate has for libvirt's own
 * clients: what a user may do there is decided, filtered and logged already. The other side is not trusted. */
#ifndef VG_CLIENT_LIBVIRT_RPC_H
#define VG_CLIENT_LIBVIRT_RPC_H

#include "client/say.h"

/* start, shutdown, reboot, reset, off, suspend, resume; NULL-terminated. */
extern const char *const libvirt_rpc_verbs[];

/* Over the connected socket: finds the machine (a name, or uuid:UUID) and does it. 0; EX_USAGE for an unknown verb; or
 * EX_NOPERM, EX_UNAVAILABLE, EX_PROTOCOL and why. */
int libvirt_rpc_power(int fd, int deadline_ms, const char *verb, const char *vm, char why[static WHY_SIZE]);

#endif
