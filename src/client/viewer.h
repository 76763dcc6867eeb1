/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which program shows a display, and how it is called. Pure, but for the search in PATH. */
#ifndef VG_CLIENT_VIEWER_H
#define VG_CLIENT_VIEWER_H

#include <stdbool.h>

#include "client/listen.h"

#define VIEWER_WORDS_MAX 20
#define VIEWER_TEXT_SIZE 1024

struct viewer {
    char text[VIEWER_TEXT_SIZE];          /* the program and its arguments, blanks between them, %u and %p in them */
    bool by_path;                         /* it can connect to a socket in the file system */
};

/* command: --viewer's, or NULL for the first of remote-viewer, vncviewer and gvncviewer that is there and knows the type
 * ("vnc", "spice"). Only what is known to can connect by a path. 0; or EX_UNAVAILABLE, EX_USAGE and why. */
int viewer_choose(const char *command, const char *type, struct viewer *ret, char why[static WHY_SIZE]);

/* The words to run it with, in text. 0 or -E2BIG. */
int viewer_words(const struct viewer *viewer, const char *type, const struct listening *listening,
                 char text[static VIEWER_TEXT_SIZE],
                 const char *words[static VIEWER_WORDS_MAX]);

/* spice+unix:///PATH, vnc://127.0.0.1:PORT */
void viewer_uri(const char *type, const struct listening *listening, char out[static 200]);

#endif
