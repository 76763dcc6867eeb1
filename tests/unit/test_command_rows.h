/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command lines that known clients send: tests/data/client-commands.tsv (client, versions, kind, line). */
#ifndef VG_TEST_COMMAND_ROWS_H
#define VG_TEST_COMMAND_ROWS_H

#include <stddef.h>

#define ROWS_MAX 100

struct row {
    char *kind;  /* rpc-rw, rpc-ro, tcp or unix */
    char *line;
};

/* Reads all rows but the heading; returns their number. Ends the program with a message when it cannot. */
size_t rows_read(struct row rows[static ROWS_MAX]);
void rows_free(struct row rows[static ROWS_MAX], size_t n);

#endif
