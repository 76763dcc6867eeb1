/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket" /* systemd.io/JOURNAL_NATIVE_PROTOCOL */

static const char *log_ident = "virtgate";
static bool log_to_stderr;

void log_open(const char *ident, int stderr_too)
{
    log_ident = ident;
    log_to_stderr = stderr_too;
    openlog(ident, LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
}

void log_begin(struct log_record *record, int priority, const char *event)
{
    record->priority = priority;
    record->event = event;
    record->n_fields = 0;
}

void log_field(struct log_record *record, const char *key, const char *value)
{
    if (!value || !*value || record->n_fields == LOG_FIELDS_MAX)
        return;
    record->field[record->n_fields].key = key;
    text_escape(record->field[record->n_fields].value, LOG_VALUE_SIZE, value, strlen(value));
    record->n_fields++;
}

void log_fieldf(struct log_record *record, const char *key, const char *format, ...)
{
    char value[LOG_VALUE_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    log_field(record, key, value);
}

/* "event key=value key="value with blanks"": a blank or a quote in a value cannot pass for another field. */
static void format_line(const struct log_record *record, char *line, size_t size)
{
    FILE *out = fmemopen(line, size, "w");

    if (!out) {
        snprintf(line, size, "%s", record->event);
        return;
    }
    fputs(record->event, out);
    for (size_t i = 0; i < record->n_fields; i++) {
        const char *value = record->field[i].value;
        bool quoted = strpbrk(value, " \"='") != NULL;
        fprintf(out, " %s=%s", record->field[i].key, quoted ? "\"" : "");
        for (; *value; value++) {
            if (*value == '"')
                putc('\\', out);
            putc(*value, out);
        }
        if (quoted)
            putc('"', out);
    }
    fclose(out);
    line[size - 1] = '\0';
}

static bool send_to_journal(const struct log_record *record, const char *line)
{
    static const char head[] = "VIRTGATE_";
    char text[LOG_FIELDS_MAX + 5][LOG_VALUE_SIZE + 64];
    struct iovec field[LOG_FIELDS_MAX + 5];
    char message[8192];
    int n = 0;

    if (access(JOURNAL_SOCKET, W_OK) != 0)
        return false;
    snprintf(message, sizeof message, "MESSAGE=%s", line);
    field[n++] = (struct iovec){ message, strlen(message) };
    snprintf(text[n], sizeof text[n], "PRIORITY=%d", record->priority);
    n++;
    snprintf(text[n], sizeof text[n], "SYSLOG_FACILITY=%d", LOG_FAC(LOG_AUTHPRIV));
    n++;
    snprintf(text[n], sizeof text[n], "SYSLOG_IDENTIFIER=%s", log_ident);
    n++;
    snprintf(text[n], sizeof text[n], "%sEVENT=%s", head, record->event);
    n++;
    for (size_t i = 0; i < record->n_fields; i++, n++) {
        snprintf(text[n], sizeof text[n], "%s%s=%s", head, record->field[i].key, record->field[i].value);
        for (char *c = text[n] + sizeof head - 1; *c != '='; c++)
            if (*c >= 'a' && *c <= 'z')
                *c = (char)(*c - 'a' + 'A');
    }
    for (int i = 1; i < n; i++)
        field[i] = (struct iovec){ text[i], strlen(text[i]) };
    return sd_journal_sendv(field, n) == 0;
}

void log_send(const struct log_record *record)
{
    char line[8000];

    format_line(record, line, sizeof line);
    if (log_to_stderr)
        fprintf(stderr, "%s: %s\n", log_ident, line);
    if (!send_to_journal(record, line))
        syslog(LOG_AUTHPRIV | record->priority, "%s", line);
}

void log_say(int priority, const char *format, ...)
{
    struct log_record record;
    char text[LOG_VALUE_SIZE], shown[LOG_VALUE_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    text_escape(shown, sizeof shown, text, strlen(text));
    log_begin(&record, priority, shown);
    log_send(&record);
}
