/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a client asks for: SSH_ORIGINAL_COMMAND as one typed request. Pure; nothing is executed, expanded or looked up.
 *
 * A request is a claim: who may do what is decided by the broker's side (policy/policy.h). */
#ifndef VG_COMMAND_H
#define VG_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

#define COMMAND_TEXT_MAX 65536  /* bytes of a command line that are looked at; one to be accepted is far shorter */
#define COMMAND_NAME_SIZE 256   /* a domain's name, with the terminator */
#define COMMAND_HOST_SIZE 256
#define COMMAND_PATH_SIZE 512
#define COMMAND_DEVICE_SIZE 64
#define COMMAND_INDEX_MAX 255   /* of a domain's <graphics> elements */
#define COMMAND_WHY_SIZE 240

enum command_kind {
    COMMAND_HELP,
    COMMAND_VERSION,
    COMMAND_LIST,     /* json */
    COMMAND_INFO,     /* target: BY_NAME or BY_UUID; json */
    COMMAND_DISPLAY,  /* target: any; index for BY_NAME and BY_UUID */
    COMMAND_CONSOLE,  /* target: BY_NAME or BY_UUID; device; takeover */
    COMMAND_RPC,      /* target: BY_NOTHING; path or uri (or both), readonly */
};

enum command_target {
    BY_NOTHING,
    BY_NAME,          /* vm */
    BY_UUID,          /* uuid */
    BY_TCP,           /* host and port: a hint that selects a running domain */
    BY_SOCKET,        /* path: the same */
};

struct command {      /* what does not belong to kind and target is zero */
    enum command_kind kind;
    enum command_target target;
    bool json;
    bool readonly;
    bool takeover;
    uint32_t index;
    uint16_t port;
    struct uuid uuid;
    char vm[COMMAND_NAME_SIZE];
    char host[COMMAND_HOST_SIZE];
    char path[COMMAND_PATH_SIZE];     /* absolute path of a socket: of a display, or of libvirt for COMMAND_RPC */
    char uri[COMMAND_PATH_SIZE];      /* COMMAND_RPC by virt-ssh-helper: its URI, "" when only a socket was named */
    char device[COMMAND_DEVICE_SIZE]; /* alias of a serial or console device, "" for the first */
};

/* Reads a whole command line of len bytes (NULs included: they are refused). 0 and *ret; or -EINVAL and one sentence in
 * why: printable, UTF-8, without the client's unescaped bytes, says what was expected. */
int command_parse(const char *text, size_t len, struct command *ret, char why[static COMMAND_WHY_SIZE]);

/* The arguments of nc that clients use, when virtgate-shell stands in for it: [-4|-6] [-q N|-qN] -U PATH | HOST PORT.
 * argv without the program's name. As command_parse(). */
int command_from_netcat(size_t argc, const char *const *argv, struct command *ret, char why[static COMMAND_WHY_SIZE]);

/* True for a name that may be typed as VM: 1-255 of A-Z a-z 0-9 . _ + - @ :, not starting with '-' or '.', and not
 * starting with "uuid:". */
bool command_is_vm_name(const char *name, size_t len);

#define COMMAND_TARGET_SIZE 200

/* What was asked for, to be shown: a name, uuid:UUID, "HOST port PORT" or a path; escaped (base/text.h), cut when long. */
void command_show_target(const struct command *command, char out[static COMMAND_TARGET_SIZE]);

/* Word for a kind, as `virtgatectl explain --command` and the log print it ("display"). */
const char *command_kind_name(enum command_kind kind);

#endif
