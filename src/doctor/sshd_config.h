/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sshd says of itself (sshd -T), judged; and which connections are worth asking it about. Pure. */
#ifndef VG_DOCTOR_SSHD_CONFIG_H
#define VG_DOCTOR_SSHD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "doctor/door.h"

/* --- what is in force -------------------------------------------------------------------------------------------- */

enum sshd_door {
    SSHD_COMMAND, SSHD_FORWARDING, SSHD_ENVIRONMENT, SSHD_SESSIONS, SSHD_PAM, SSHD_KEYWORDS, N_SSHD_DOORS
};

/* What a keyword has that it must not have. */
struct sshd_fault {
    enum sshd_door door;
    bool unknown;          /* a keyword that this virtgate does not know, and that may open something */
    char keyword[64];      /* small letters */
    char value[128];       /* as sshd prints it; empty when it prints none */
    const char *wanted;
};

#define SSHD_FAULTS_MAX 64

/* Reads the output of sshd -T, whose keywords are in small letters or mixed case by release, and lists what is not as
 * the gate's drop-in has it. Returns how many. */
size_t sshd_judge(const char *output, struct sshd_fault faults[static SSHD_FAULTS_MAX]);

/* The value of one keyword, or an empty text. */
void sshd_value(const char *output, const char *keyword, char *ret, size_t size);

/* --- which connections to ask about ------------------------------------------------------------------------------ */

/* One connection, for sshd -T -C. */
struct sshd_spec {
    char host[64], address[64], local_address[64];
    unsigned local_port;
};

/* For the words after Match, a connection that meets its criteria other than user and group; false when it has none of
 * those. Patterns become an address or name that they match: "10.0.0.0/8" 10.0.0.0, "*.example" x.example. */
bool sshd_spec_of_match(const char *words, struct sshd_spec *ret);

#endif
