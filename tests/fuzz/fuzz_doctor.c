/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What doctor reads that others shape: lines of /proc, command lines, sshd's output, files of PAM. The first byte chooses. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/listeners.h"
#include "doctor/pam_stack.h"
#include "doctor/sshd_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every file is the same one, so that it can include itself. */
static char *load(void *context, const char *name)
{
    (void)name;
    return strdup(context);
}

static void read_pam(char *text)
{
    static struct pam_stack stack;
    char why[PAM_WHY_SIZE] = "";

    for (int type = 0; type < N_PAM_TYPES; type++) {
        if (pam_stack_read("sshd", (enum pam_type)type, load, text, &stack, why) < 0) {
            if (!why[0])
                abort();
            continue;
        }
        pam_stack_asks_us(&stack, (enum pam_type)type, why);
        pam_stack_readenv(&stack);
    }
}

static void read_sshd(const char *text)
{
    static struct sshd_fault faults[SSHD_FAULTS_MAX];
    struct sshd_spec spec;
    char value[16];

    if (sshd_judge(text, faults) > SSHD_FAULTS_MAX)
        abort();
    sshd_value(text, "pidfile", value, sizeof value);
    sshd_spec_of_match(text, &spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct listener listener;
    struct qemu qemu;
    char *text = malloc(size + 1);

    if (size == 0 || !text) {
        free(text);
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0]) {
    case 'p':
        read_pam(text);
        break;
    case 's':
        read_sshd(text);
        break;
    case 'q':
        qemu_of_cmdline(text, size - 1, &qemu);
        break;
    default:
        if (listener_of_tcp(text, data[0] == '6', &listener) && !listener.address[0])
            abort();
        if (listener_of_unix(text, &listener) && listener.path[0] != '/' && listener.path[0] != '@')
            abort();
    }
    free(text);
    return 0;
}
