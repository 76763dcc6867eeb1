/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pam.module, pam.environment: the stack of sshd, as its files are now (libpam reads them at each login). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "doctor/doctor.h"
#include "doctor/pam_stack.h"
#include "policy/policy.h"

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

/* With its file gone, "required" lines keep everybody out, and the optional one, which confines, is passed over. */
static void examine_file(struct door *door, const struct pam_line *line)
{
    char path[512], mend[DOOR_TEXT_SIZE], word[DOOR_WORD_SIZE];
    struct stat st;

    snprintf(path, sizeof path, "%s%s", line->module[0] == '/' ? "" : VG_PAM_MODULES "/", line->module);
    snprintf(mend, sizeof mend, "install virtgate again (make install); %s must be root's, mode 0755",
             door_word(word, path));
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        door_open(door, mend, "%s:%u names %s, and there is no such file", line->file, line->line, path);
    else if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
        door_open(door, mend, "%s can be written by others than root", path);
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
        door_open(module, pam_stack_ours(stack) ? mends[type] : "virtgatectl setup", "%s", why);
    if ((line = pam_stack_ours(stack)))
        examine_file(module, line);
    if ((line = pam_stack_readenv(stack))) {
        snprintf(mend, sizeof mend, "sed -i --follow-symlinks '%us/user_readenv=[0-9]*/user_readenv=0/g' %s%s", line->line,
                 line->file[0] == '/' ? "" : VG_PAM_DIR "/", line->file);
        door_open(environment, mend, "%s:%u has a login read ~/.pam_environment, by which users set LD_PRELOAD",
                  line->file, line->line);
    }
}

/* --- does the gate ask for it? ------------------------------------------------------------------------------------ */

/* The broker's answer counts: the file may be newer than what virtgated has read. */
static void examine_running(struct door *door, const struct members *members)
{
    char *said = NULL;
    int status = members->n > 0 ? doctor_ask_gate(members, &said) : -1;
    bool refused = said && strstr(said, "has confined");

    /* What is wrong with a gate that does not answer is for host.broker to say. */
    if (status == EX_OK)
        door_open(door, "virtgatectl reload", "the ACL has confined = required, and virtgated serves %s without it",
                  members->list[0].name);
    else if (status == EX_NOPERM && !refused)
        door_unknown(door, "virtgatectl reload", "the ACL has confined = required, and virtgated refuses %s for another "
                     "reason: %s", members->list[0].name, said);
    free(said);
}

static void examine_confined(struct door *door, const struct door *module, const struct members *members)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;

    if (policy_load(VG_SYSCONFDIR, 0, &policy, &errors) < 0)
        door_unknown(door, "virtgatectl check, mend it, virtgatectl reload", "the ACL has errors");
    else if (policy_settings(policy)->confined)
        examine_running(door, members);
    else if (module->state != DOOR_CLOSED)
        door_unknown(door, "close pam.module, then this one", "confined = required is not set");
    else
        door_open(door, policy_settings(policy)->confined_is_set
                            ? "write confined = required where the ACL has confined = optional; virtgatectl reload"
                            : "virtgatectl setup",
                  "confined = required is not set: a login past a line of PAM, cron or another sshd is served");
    policy_errors_free(&errors);
    policy_free(policy);
}

void doors_pam(struct doors *doors, const struct members *members)
{
    struct door *module = door_add(doors, "pam.module", PAM_MODULE " is asked at each login, come what may");
    struct door *environment = door_add(doors, "pam.environment", "no module reads ~/.pam_environment");
    struct door *confined = door_add(doors, "pam.confined", "the gate serves only logins that " PAM_MODULE " confined");
    struct pam_stack *stack = malloc(sizeof *stack);

    if (!stack) {
        door_unknown(module, "", "memory ran out");
        return;
    }
    for (int type = 0; type < N_PAM_TYPES; type++)
        examine(module, environment, (enum pam_type)type, stack);
    free(stack);
    examine_confined(confined, module, members);
}
