/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One record: to the journal with its fields when journald listens, else to syslog, facility authpriv.
 * For programs (*_main.c and the session loop); libraries return what they have to say. */
#ifndef VG_BASE_LOG_H
#define VG_BASE_LOG_H

#include <stddef.h>
#include <syslog.h>

#define LOG_FIELDS_MAX 24
#define LOG_VALUE_SIZE 512

struct log_record {
    int priority;                     /* LOG_INFO ... of syslog(3) */
    const char *event;                /* the first word of the line: start, end, refused, reload ... */
    size_t n_fields;
    struct {
        const char *key;              /* small letters; VIRTGATE_<KEY> in the journal, key=value in the line */
        char value[LOG_VALUE_SIZE];   /* escaped already */
    } field[LOG_FIELDS_MAX];
};

/* ident is kept, not copied. With stderr_too every record goes to standard error as well. */
void log_open(const char *ident, int stderr_too);

/* Starts an empty record. */
void log_begin(struct log_record *record, int priority, const char *event);

/* Adds a field; the value is escaped (text_escape) and cut at LOG_VALUE_SIZE. An empty or NULL value adds nothing. */
void log_field(struct log_record *record, const char *key, const char *value);
void log_fieldf(struct log_record *record, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void log_send(const struct log_record *record);

/* A record that is only a sentence. */
void log_say(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
