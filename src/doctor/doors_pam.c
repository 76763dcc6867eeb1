/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pam.module, pam.environment: the stack of sshd, as its files are now (libpam reads them at each login). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "doctor/doctor.h"
#include "doctor/pam_stack.h"

static char *load(void *context, const char *name)
{
    const char *const *folders = context;
    char path[512];

    for (size_t i = 0; folders[i]; i++) {
        if (name[0] == '/')
            snprintf(path, sizeof path, "%s", name);
        else
            snprintf(path, sizeof path, "%s/%s", folders[i], name);
        char *text = probe_read(path);
        if (text)
            return text;
    }
    return NULL;
}

static void examine(struct door *module, struct door *environment, enum pam_type type, struct pam_stack *stack)
{
    static const char *folders[] = { VG_PAM_DIR, "/usr/lib/pam.d", NULL };
    static const char *const mends[N_PAM_TYPES] = {
        [PAM_TYPE_AUTH] = "put \"auth optional " PAM_MODULE "\" first in " VG_PAM_DIR "/sshd",
        [PAM_TYPE_ACCOUNT] = "put \"account required " PAM_MODULE "\" before the other account lines of "
                             VG_PAM_DIR "/sshd",
        [PAM_TYPE_SESSION] = "put \"session required " PAM_MODULE "\" into " VG_PAM_DIR "/sshd, behind "
                             "pam_loginuid.so and before what ends the stack or jumps",
    };
    char why[PAM_WHY_SIZE], mend[DOOR_TEXT_SIZE];
    const struct pam_line *line;

    if (pam_stack_read("sshd", type, load, folders, stack, why) < 0) {
        door_unknown(module, "put the file in order; pam.d(5)", "%s", why);
        return;
    }
    if (!pam_stack_asks_us(stack, type, why))
        door_open(module, mends[type], "%s", why);
    if ((line = pam_stack_readenv(stack))) {
        snprintf(mend, sizeof mend, "take user_readenv=1 out of " VG_PAM_DIR "/%s, line %u", line->file, line->line);
        door_open(environment, mend, "%s:%u has a login read ~/.pam_environment, by which users set LD_PRELOAD",
                  line->file, line->line);
    }
}

void doors_pam(struct doors *doors)
{
    struct door *module = door_add(doors, "pam.module", PAM_MODULE " is asked at each login, come what may");
    struct door *environment = door_add(doors, "pam.environment", "no module reads ~/.pam_environment");
    struct pam_stack *stack = malloc(sizeof *stack);

    if (!stack) {
        door_unknown(module, "", "memory ran out");
        return;
    }
    for (int type = 0; type < N_PAM_TYPES; type++)
        examine(module, environment, (enum pam_type)type, stack);
    free(stack);
}
