/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What doctor has found out: one entry for each door. */
#ifndef VG_DOCTOR_DOOR_H
#define VG_DOCTOR_DOOR_H

#include <stddef.h>

#define DOOR_TEXT_SIZE 1024
#define DOORS_MAX 64

enum door_state { DOOR_CLOSED, DOOR_UNKNOWN, DOOR_OPEN };

struct door {
    const char *id; /* a literal: "sshd.forwarding" */
    enum door_state state;
    unsigned more;  /* further findings that make it what it is, not told */
    char why[DOOR_TEXT_SIZE], mend[DOOR_TEXT_SIZE];
};

struct doors {
    struct door list[DOORS_MAX];
    size_t n;
};

/* A new door, closed until something else is found; the text says what was looked at. There is room: doctor's doors are
 * a fixed list (aborts otherwise). */
struct door *door_add(struct doors *doors, const char *id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A finding. The worst state stays, and of that the first finding; the others are counted. */
void door_open(struct door *door, const char *mend, const char *format, ...) __attribute__((format(printf, 3, 4)));
void door_unknown(struct door *door, const char *mend, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define DOOR_WORD_SIZE 512

/* A name or path as a shell takes it for one word. Mends are there to be pasted, and names of accounts, files and machines
 * are other people's. Returns ret. */
const char *door_word(char ret[static DOOR_WORD_SIZE], const char *text);

const char *door_state_name(enum door_state state);

/* The worst of all. */
enum door_state doors_state(const struct doors *doors);

#endif
