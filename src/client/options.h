/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgate's command line. Pure. */
#ifndef VG_CLIENT_OPTIONS_H
#define VG_CLIENT_OPTIONS_H

#include "client/remote.h"

#define WORDS_MAX_COUNT 256

enum option_bit {              /* which of them a command takes; those without a bit every command takes */
    OPTION_JSON = 1, OPTION_WATCH = 2, OPTION_RECONNECT = 4, OPTION_TAKEOVER = 8, OPTION_VIEWER = 16, OPTION_LISTEN = 32,
    OPTION_SCREENSHOT = 64, OPTION_PROBE = 128,
};

struct options {
    struct remote_options remote;              /* -F, -i, --ssh */
    bool batch, quiet, help, version;
    bool json, watch, reconnect, takeover;
    const char *viewer, *listen, *screenshot;
    struct {                                   /* probe's own, as they were typed */
        const char *other, *other_uuid, *other_port, *other_path, *expect, *only, *timeout, *max_time, *rate;
        bool other_runs, against_open, json;
    } probe;
    unsigned given;                            /* option_bits */
    size_t n_words;                            /* the command and its arguments */
    const char *word[WORDS_MAX_COUNT];
};

/* argv as main() got it; options may stand anywhere before "--". 0; or EX_USAGE and why. */
int options_parse(int argc, char *const *argv, struct options *ret, char why[static WHY_SIZE]);

/* EX_USAGE and why when an option was given that is not among allowed, else 0. */
int options_check(const struct options *options, const char *command, unsigned allowed, char why[static WHY_SIZE]);

#endif
