/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "wire/listing.h"

#define CELL_SIZE 1100 /* of a name of 255 bytes, each escaped */

/* --- text -------------------------------------------------------------------------------------------------------- */

enum { NAME, STATE, RIGHTS, COLUMNS };
static const char *const column_key[COLUMNS] = { "name", "state", "rights" };
static const char *const column_head[COLUMNS] = { "NAME", "STATE", "RIGHTS" };

struct table {
    bool printing;         /* second walk */
    size_t width[COLUMNS];
    char cell[COLUMNS][CELL_SIZE];
};

static void table_field(void *context, const char *key, const char *value)
{
    struct table *table = context;

    for (size_t i = 0; i < COLUMNS; i++)
        if (strcmp(key, column_key[i]) == 0)
            text_escape(table->cell[i], CELL_SIZE, value, strlen(value));
}

/* Columns, not bytes: a letter of several bytes is one wide. */
static size_t width_of(const char *cell)
{
    size_t width = 0;

    for (; *cell; cell++)
        width += ((unsigned char)*cell & 0xc0U) != 0x80;
    return width;
}

static void print_row(const struct table *table, const char *const cell[COLUMNS])
{
    for (size_t i = 0; i + 1 < COLUMNS; i++)
        printf("%s%*s", cell[i], (int)(table->width[i] - width_of(cell[i]) + 2), "");
    printf("%s\n", cell[COLUMNS - 1]);
}

static void table_record(void *context)
{
    struct table *table = context;

    if (table->printing)
        print_row(table, (const char *const[]){ table->cell[NAME], table->cell[STATE], table->cell[RIGHTS] });
    for (size_t i = 0; i < COLUMNS; i++) {
        size_t width = width_of(table->cell[i]);
        if (width > table->width[i])
            table->width[i] = width;
        table->cell[i][0] = '\0';
    }
}

static int print_table(const char *data, size_t len)
{
    struct table table = { 0 };
    struct listing_reader reader = { table_field, table_record, &table };

    for (size_t i = 0; i < COLUMNS; i++)
        table.width[i] = strlen(column_head[i]);
    int r = gate_read_listing(data, len, &reader);
    if (r < 0)
        return r;
    print_row(&table, column_head);
    table.printing = true;
    return gate_read_listing(data, len, &reader);
}

static void line_field(void *context, const char *key, const char *value)
{
    char shown[CELL_SIZE];

    (void)context;
    text_escape(shown, sizeof shown, value, strlen(value));
    printf("%-8s %s\n", key, shown);
}

static void line_record(void *context)
{
    (void)context;
}

/* --- JSON -------------------------------------------------------------------------------------------------------- */

struct json_walk {
    struct json json;
    bool in_record;
    const char *list;      /* key of the array that is open, or NULL */
    bool with_devices;     /* info: both arrays are there, empty or not */
    bool had_displays, had_consoles;
};

static void leave_list(struct json_walk *walk)
{
    if (walk->list)
        json_put_close(&walk->json, ']');
    walk->list = NULL;
}

static void enter_list(struct json_walk *walk, const char *key)
{
    if (walk->list == key)
        return;
    leave_list(walk);
    json_put_open(&walk->json, key, '[');
    walk->list = key;
}

static void put_rights(struct json_walk *walk, const char *value)
{
    char word[64];

    json_put_open(&walk->json, "rights", '[');
    while (*value) {
        size_t n = strcspn(value, ", ");
        snprintf(word, sizeof word, "%.*s", (int)n, value);
        json_put_string(&walk->json, NULL, word);
        value += n + strspn(value + n, ", ");
    }
    json_put_close(&walk->json, ']');
}

/* "0 vnc" */
static void put_display(struct json_walk *walk, const char *value)
{
    size_t digits = strcspn(value, " ");
    uint64_t index = 0;

    if (io_parse_number(value, digits, 0, UINT32_MAX, &index) < 0 || value[digits] != ' ')
        return;
    json_put_open(&walk->json, NULL, '{');
    json_put_int(&walk->json, "index", (int64_t)index);
    json_put_string(&walk->json, "type", value + digits + 1);
    json_put_close(&walk->json, '}');
}

static void json_field(void *context, const char *key, const char *value)
{
    static const char displays[] = "displays", consoles[] = "consoles";
    struct json_walk *walk = context;

    if (!walk->in_record)
        json_put_open(&walk->json, NULL, '{');
    walk->in_record = true;
    if (strcmp(key, "display") == 0) {
        enter_list(walk, displays);
        walk->had_displays = true;
        put_display(walk, value);
    } else if (strcmp(key, "console") == 0) {
        enter_list(walk, consoles);
        walk->had_consoles = true;
        json_put_string(&walk->json, NULL, value);
    } else {
        leave_list(walk);
        if (strcmp(key, "rights") == 0)
            put_rights(walk, value);
        else
            json_put_string(&walk->json, key, value);
    }
}

static void put_empty_list(struct json_walk *walk, const char *key, bool had)
{
    if (walk->with_devices && !had) {
        json_put_open(&walk->json, key, '[');
        json_put_close(&walk->json, ']');
    }
}

static void json_record(void *context)
{
    struct json_walk *walk = context;

    leave_list(walk);
    put_empty_list(walk, "displays", walk->had_displays);
    put_empty_list(walk, "consoles", walk->had_consoles);
    json_put_close(&walk->json, '}');
    walk->in_record = walk->had_displays = walk->had_consoles = false;
}

/* A listing that is cut short prints nothing: JSON is made in memory first. */
static int print_json(const char *data, size_t len, bool info)
{
    struct json_walk walk = { .with_devices = info };
    struct listing_reader reader = { json_field, json_record, &walk };
    char *text = NULL;
    size_t text_len = 0;
    FILE *out = open_memstream(&text, &text_len);
    int r;

    if (!out)
        return -ENOMEM;
    walk.json.out = out;
    if (!info)
        json_put_open(&walk.json, NULL, '[');
    r = gate_read_listing(data, len, &reader);
    if (!info)
        json_put_close(&walk.json, ']');
    json_put_end(&walk.json);
    fclose(out);
    if (r == 0)
        fwrite(text, 1, text_len, stdout);
    free(text);
    return r;
}

static int finish(int r)
{
    return r == 0 && fflush(stdout) != 0 ? -EIO : r;
}

int print_list(const char *data, size_t len, bool as_json)
{
    return finish(as_json ? print_json(data, len, false) : print_table(data, len));
}

int print_info(const char *data, size_t len, bool as_json)
{
    static const struct listing_reader lines = { line_field, line_record, NULL };

    return finish(as_json ? print_json(data, len, true) : gate_read_listing(data, len, &lines));
}

/* --- help -------------------------------------------------------------------------------------------------------- */

void print_help(void)
{
    fputs("list [--json]                       the virtual machines that you may use\n"
          "info [--json] VM                    one of them\n"
          "display VM [INDEX]                  its screen (VNC or SPICE) on standard input and output\n"
          "console [--takeover] VM [DEVICE]    its serial console; leave with Ctrl-] or ~.\n"
          "help, version\n"
          "VM is a name, or uuid:UUID.\n", stdout);
    fflush(stdout);
}

void print_version(void)
{
    puts("virtgate " PACKAGE_VERSION);
    fflush(stdout);
}
