/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/door.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct door *door_add(struct doors *doors, const char *id, const char *format, ...)
{
    va_list args;

    if (doors->n == DOORS_MAX)
        abort();
    struct door *door = &doors->list[doors->n++];
    *door = (struct door){ .id = id };
    va_start(args, format);
    vsnprintf(door->why, sizeof door->why, format, args);
    va_end(args);
    return door;
}

static void found(struct door *door, enum door_state state, const char *mend, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));

static void found(struct door *door, enum door_state state, const char *mend, const char *format, va_list args)
{
    if (door->state >= state) {
        door->more += door->state == state;
        return;
    }
    door->state = state;
    door->more = 0;
    vsnprintf(door->why, sizeof door->why, format, args);
    snprintf(door->mend, sizeof door->mend, "%s", mend);
}

void door_open(struct door *door, const char *mend, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    found(door, DOOR_OPEN, mend, format, args);
    va_end(args);
}

void door_unknown(struct door *door, const char *mend, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    found(door, DOOR_UNKNOWN, mend, format, args);
    va_end(args);
}

const char *door_word(char ret[static DOOR_WORD_SIZE], const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+@:,%^";
    size_t n = 0;

    if (text[0] && text[0] != '-' && strspn(text, plain) == strlen(text) && strlen(text) < DOOR_WORD_SIZE) {
        memcpy(ret, text, strlen(text) + 1);
        return ret;
    }
    ret[n++] = '\'';
    /* Room for one that takes four bytes, and the end. */
    for (; *text && n + 6 < DOOR_WORD_SIZE; text++) {
        if (*text == '\'') {
            memcpy(ret + n, "'\\''", 4);
            n += 4;
        } else {
            ret[n++] = *text;
        }
    }
    ret[n++] = '\'';
    ret[n] = '\0';
    return ret;
}

const char *door_state_name(enum door_state state)
{
    static const char *const names[] = { [DOOR_CLOSED] = "closed", [DOOR_UNKNOWN] = "unknown", [DOOR_OPEN] = "open" };

    return names[state];
}

enum door_state doors_state(const struct doors *doors)
{
    enum door_state worst = DOOR_CLOSED;

    for (size_t i = 0; i < doors->n; i++)
        if (doors->list[i].state > worst)
            worst = doors->list[i].state;
    return worst;
}
