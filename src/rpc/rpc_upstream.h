/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way to libvirtd: which socket, and the authentication that the client is spared. */
#ifndef VG_RPC_UPSTREAM_H
#define VG_RPC_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#define RPC_WHY_SIZE 160

/* Does what the client asked for, a URI of virt-ssh-helper or the path of a socket (either may be ""), stand for the URI
 * that is offered? */
bool rpc_upstream_is_offered(const char *offered, const char *uri, const char *path);

/* Connects to the daemon of the URI and authenticates; waits as long as that takes. 0, a descriptor of the caller's that does
 * not wait, and the first serial that is not used; -errno and why. */
int rpc_upstream_open(const char *uri, bool readonly, int *ret_fd, uint32_t *ret_serial, char why[static RPC_WHY_SIZE]);

#endif
