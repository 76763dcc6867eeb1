/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PAM stack as it runs, and whether our module in it is always asked. Pure: files come through a callback. */
#ifndef VG_DOCTOR_PAM_STACK_H
#define VG_DOCTOR_PAM_STACK_H

#include <stdbool.h>
#include <stddef.h>

#define PAM_MODULE "pam_virtgate.so"
#define PAM_WHY_SIZE 256
#define PAM_LINES_MAX 256

enum pam_type { PAM_TYPE_AUTH, PAM_TYPE_ACCOUNT, PAM_TYPE_SESSION, N_PAM_TYPES };

struct pam_line {
    char file[64];          /* its name in /etc/pam.d */
    unsigned line;
    char control[128];      /* "required", or "[success=1 default=ignore]" */
    char module[128];       /* as written: a path perhaps */
    char arguments[256];
    unsigned substack;      /* 0: the stack itself; others: one number for each substack */
};

struct pam_stack {
    struct pam_line lines[PAM_LINES_MAX];
    size_t n;
};

/* The text of a file of /etc/pam.d, the caller's (free); NULL when there is none. */
typedef char *pam_loader(void *context, const char *name);

/* The lines of one type in the order in which they run, include and @include followed. 0, or -errno with a sentence:
 * -ENOENT, -EINVAL for what is not understood, -E2BIG. */
int pam_stack_read(const char *service, enum pam_type type, pam_loader *load, void *context, struct pam_stack *ret,
                   char why[static PAM_WHY_SIZE]);

/* The first line of our module, or NULL. */
const struct pam_line *pam_stack_ours(const struct pam_stack *stack);

/* True when our module is in the stack, for sshd and the gate's group, with a control that heeds its answer (for auth any
 * will do: it authenticates nobody), no line before it can end the stack or jump past it, and none behind it makes the stack
 * forget its answer. False with a sentence otherwise. */
bool pam_stack_asks_us(const struct pam_stack *stack, enum pam_type type, char why[static PAM_WHY_SIZE]);

/* The line by which pam_env.so reads ~/.pam_environment, or NULL. */
const struct pam_line *pam_stack_readenv(const struct pam_stack *stack);

const char *pam_type_name(enum pam_type type);

#endif
