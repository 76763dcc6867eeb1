/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hosts, ports, socket paths and URIs as clients write them, and which request a socket stands for. */
#ifndef VG_COMMAND_TARGET_H
#define VG_COMMAND_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "command/command.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* One end that a client wants to be connected to. */
struct endpoint {
    bool tcp;                     /* host and port; else path */
    uint16_t port;
    char host[COMMAND_HOST_SIZE];
    char path[COMMAND_PATH_SIZE];
};

/* Each reads one spelling. 0 and *ret, or -EINVAL and why. */
int target_tcp(const char *host, const char *port, struct endpoint *ret, char why[static COMMAND_WHY_SIZE]);
int target_path(const char *path, struct endpoint *ret, char why[static COMMAND_WHY_SIZE]);
/* HOST:PORT of a socat address: the port is what follows the last colon, a host may stand in brackets. *ret_bare: the
 * host has colons and no brackets, so that only a second spelling can tell where it ends. */
int target_host_port(const char *text, struct endpoint *ret, bool *ret_bare, char why[static COMMAND_WHY_SIZE]);

/* 0 when both are the same end, else -EINVAL and what differs. */
int target_agree(const struct endpoint *a, const struct endpoint *b, char why[static COMMAND_WHY_SIZE]);

/* The request that a connection to this end stands for. */
int target_resolve(const struct endpoint *end, struct command *ret, char why[static COMMAND_WHY_SIZE]);

/* virt-ssh-helper's URI: of a local libvirt, without a transport. Fills uri and readonly (its socket= may end in -ro)
 * of *ret, which holds what the other half said (path ""  when there is none) and must agree with a socket=. */
int target_uri(const char *uri, struct command *ret, char why[static COMMAND_WHY_SIZE]);

#endif
