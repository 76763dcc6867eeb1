/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgatectl doctor: is each door of this host closed? It looks at what is in force and tries what it can, as the
 * accounts that it is about. Each doors_*.c adds one group of doors; what it found is judged by the pure files
 * beside it. */
#ifndef VG_DOCTOR_H
#define VG_DOCTOR_H

#include <stddef.h>

#include "doctor/door.h"
#include "doctor/probe.h"

/* An account under the gate. */
struct member {
    char *name, *home, *shell;
    struct probe_as as;
};

struct members {
    struct member *list;
    size_t n;
};

/* Every door there is, each once. Needs root. 0 or -ENOMEM. */
int doctor_examine(struct doors *doors);

/* The members of the gate's group, by its list and as their own group. 0 or -ENOMEM; there may be none. */
int members_read(struct members *ret);
void members_free(struct members *members);

/* Groups that are as good as the machines' screens, their disks, or root. NULL at the end. */
extern const char *const doctor_mighty_groups[];

void doors_sshd(struct doors *doors, const struct members *members);
void doors_pam(struct doors *doors, const struct members *members);
void doors_accounts(struct doors *doors, const struct members *members);
void doors_libvirt(struct doors *doors, const struct members *members);
void doors_displays(struct doors *doors);
void doors_files(struct doors *doors);
void doors_host(struct doors *doors, const struct members *members);

/* Is this host started and run by systemd? Mends differ. */
bool doctor_has_systemd(void);

/* The gate's first words to one of the members who asks it from outside of any login: its exit status, or -errno, with one
 * line in *ret (the caller's, perhaps NULL). There is a member. */
int doctor_ask_gate(const struct members *members, char **ret);

/* --- processes of the host --------------------------------------------------------------------------------------- */

struct process {
    pid_t pid;
    uid_t uid;
    char exe[256];        /* the program's path, or its name in brackets when that cannot be told */
    const char *name;     /* behind its last slash */
    bool is_roots;        /* run by root, and its program's file is root's alone: not just called so by somebody */
    const char *cmdline;  /* strings one behind the other, len bytes */
    size_t len;
};

/* Calls visit for each process whose program's name begins with one of the names (NULL at the end). */
void process_each(const char *const names[], void (*visit)(void *context, const struct process *process),
                  void *context);

/* The inodes of the process's sockets; *ret is the caller's. Returns how many. */
size_t process_sockets(pid_t pid, ino_t **ret);

#endif
