/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test_command_rows.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"

static char *read_data(void)
{
    const char *folder = getenv("TEST_DATA");
    char path[4096], *data;
    size_t len;

    snprintf(path, sizeof path, "%s/data/client-commands.tsv", folder ? folder : "tests");
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || io_read_all(fd, 1 << 20, &data, &len) < 0) {
        printf("Bail out! cannot read %s\n", path);
        exit(1);
    }
    return data;
}

size_t rows_read(struct row rows[static ROWS_MAX])
{
    char *data = read_data(), *rest = NULL;
    size_t n = 0;

    strtok_r(data, "\n", &rest); /* the heading */
    for (char *line; n < ROWS_MAX && (line = strtok_r(NULL, "\n", &rest)); n++) {
        char *fields = NULL;
        strtok_r(line, "\t", &fields);
        strtok_r(NULL, "\t", &fields);
        rows[n].kind = strdup(strtok_r(NULL, "\t", &fields));
        rows[n].line = strdup(fields);
    }
    free(data);
    return n;
}

void rows_free(struct row rows[static ROWS_MAX], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(rows[i].kind);
        free(rows[i].line);
    }
}
