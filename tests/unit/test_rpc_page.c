/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgate-rpc(8) against the table that decides: each call that is let through is named there once, under its right, and
 * nothing else is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "rpc/rpc_allow.h"

/* The section in which a call belongs. */
static const char *section_of(const struct rpc_row *row)
{
    if (row->right == RIGHT_DISPLAY)
        return "With the right display";
    if (row->right == RIGHT_SERIAL)
        return "With the right serial";
    if (row->right == RIGHT_POWER)
        return "With the right power";
    if (row->fate == FATE_ZEROS || row->fate == FATE_CALLBACK)
        return "What there is none of";
    if (row->shape >= ARGS_DOMAIN && row->shape < ARGS_EVENTS)
        return "With any right on the machine";
    return NULL; /* the connection, the host, finding a machine: no right decides there */
}

/* Its index; the number of rows: it is not let through. */
static size_t place_of(const struct rpc_row *rows, size_t n, const char *name)
{
    size_t i = 0;

    while (i < n && strcmp(rows[i].name, name) != 0)
        i++;
    return i;
}

static void page_is_the_table(void **state)
{
    char path[4096], section[128] = "", *line = NULL;
    size_t size = 0, n_rows, n_named = 0;
    unsigned char named[1024] = { 0 };

    (void)state;
    snprintf(path, sizeof path, "%s/../src/rpc/virtgate-rpc.8", getenv("TEST_DATA"));
    FILE *page = fopen(path, "r");
    assert_non_null(page);
    const struct rpc_row *rows = rpc_allow_all(&n_rows);
    assert_true(n_rows < sizeof named);
    while (getline(&line, &size, page) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, ".Ss ", 4) == 0)
            snprintf(section, sizeof section, "%s", line + 4);
        if (strncmp(line, ".It Dv ", 7) != 0)
            continue;
        for (char *rest = NULL, *name = strtok_r(line + 7, " ,", &rest); name; name = strtok_r(NULL, " ,", &rest)) {
            size_t at = place_of(rows, n_rows, name);
            if (at == n_rows)
                fail_msg("virtgate-rpc(8) names %s, which the table does not let through", name);
            const char *wanted = section_of(&rows[at]);
            if (named[at]++)
                fail_msg("%s is named twice", name);
            if (wanted ? strcmp(section, wanted) != 0 : strncmp(section, "With", 4) == 0 || strncmp(section, "What", 4) == 0)
                fail_msg("%s is under \"%s\"", name, section);
            n_named++;
        }
    }
    free(line);
    fclose(page);
    for (size_t i = 0; i < n_rows; i++)
        if (!named[i])
            fail_msg("virtgate-rpc(8) does not name %s", rows[i].name);
    assert_int_equal(n_named, n_rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(page_is_the_table) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
