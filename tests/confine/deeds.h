/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process that was taken over would try. */
#ifndef VG_TEST_DEEDS_H
#define VG_TEST_DEEDS_H

#include <stddef.h>

/* The sockets of the process under test. */
extern int deed_client, deed_upstream, deed_control;

struct deed {
    const char *name;
    int (*prepare)(void); /* before confinement; NULL: nothing. 0, or errno */
    int (*do_it)(void);   /* 0: done; errno: not possible */
};

extern const struct deed deeds[];
extern const size_t n_deeds;

#endif
