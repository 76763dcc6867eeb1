/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dates and hours as people write them; all of it local time. */
#include "policy/policy_impl.h"

#include <errno.h>
#include <string.h>

enum { HOUR = 60, DAY = 24 * HOUR };

/* Exactly n digits at *at; moves on behind them. */
static int digits(const char **at, const char *end, int n, int *ret)
{
    int value = 0;

    if (end - *at < n)
        return -EINVAL;
    for (int i = 0; i < n; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return -EINVAL;
        value = value * 10 + (**at - '0');
    }
    *ret = value;
    return 0;
}

static int expect(const char **at, const char *end, char c)
{
    if (*at == end || **at != c)
        return -EINVAL;
    (*at)++;
    return 0;
}

static int days_of_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Sakamoto's rule for the Gregorian calendar; 0 = Monday. */
static int weekday(int year, int month, int day)
{
    static const int shift[] = { 0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4 };

    if (month < 3)
        year--;
    int from_sunday = (year + year / 4 - year / 100 + year / 400 + shift[month - 1] + day) % 7;
    return (from_sunday + 6) % 7;
}

/* "YYYY-MM-DD", with the weekday. */
static int date_parse(const char **at, const char *end, struct moment *ret)
{
    struct moment date = { 0 };

    if (digits(at, end, 4, &date.year) < 0 || expect(at, end, '-') < 0 || digits(at, end, 2, &date.month) < 0 ||
        expect(at, end, '-') < 0 || digits(at, end, 2, &date.day) < 0)
        return -EINVAL;
    if (date.year < 1970 || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > days_of_month(date.year, date.month))
        return -EINVAL;
    date.weekday = weekday(date.year, date.month, date.day);
    *ret = date;
    return 0;
}

/* "HH:MM" up to the minute last. */
static int clock_parse(const char **at, const char *end, int last, int *ret)
{
    int hour, minute;

    if (digits(at, end, 2, &hour) < 0 || expect(at, end, ':') < 0 || digits(at, end, 2, &minute) < 0 || minute >= HOUR ||
        hour * HOUR + minute > last)
        return -EINVAL;
    *ret = hour * HOUR + minute;
    return 0;
}

int moment_at(time_t t, struct moment *ret)
{
    struct tm tm;

    if (!localtime_r(&t, &tm))
        return -errno;
    *ret = (struct moment){
        .year = tm.tm_year + 1900,
        .month = tm.tm_mon + 1,
        .day = tm.tm_mday,
        .weekday = (tm.tm_wday + 6) % 7,
        .minute = tm.tm_hour * HOUR + tm.tm_min,
    };
    return 0;
}

int moment_parse(const char *text, struct moment *ret)
{
    const char *at = text, *end = text + strlen(text);
    struct moment moment;

    if (date_parse(&at, end, &moment) < 0 || (expect(&at, end, ' ') < 0 && expect(&at, end, 'T') < 0) ||
        clock_parse(&at, end, DAY - 1, &moment.minute) < 0 || at != end)
        return -EINVAL;
    *ret = moment;
    return 0;
}

int until_parse(const char *text, struct moment *ret)
{
    const char *at = text, *end = text + strlen(text);
    struct moment date;

    if (moment_parse(text, ret) == 0)
        return 0;
    if (date_parse(&at, end, &date) < 0 || at != end)
        return -EINVAL;
    date.minute = DAY;
    *ret = date;
    return 0;
}

bool until_is_past(const struct moment *until, const struct moment *now)
{
    if (now->year != until->year)
        return now->year > until->year;
    if (now->month != until->month)
        return now->month > until->month;
    if (now->day != until->day)
        return now->day > until->day;
    return now->minute >= until->minute;
}

static int day_parse(const char **at, const char *end, int *ret)
{
    static const char days[][4] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

    for (int day = 0; end - *at >= 3 && day < 7; day++) {
        if (memcmp(*at, days[day], 3) == 0) {
            *at += 3;
            *ret = day;
            return 0;
        }
    }
    return -EINVAL;
}

/* "Day" or "Day-Day", which may run over the week's end (Fri-Mon). */
static int days_parse(const char **at, const char *end, uint8_t *ret)
{
    int first, last;
    unsigned days = 0;

    if (day_parse(at, end, &first) < 0)
        return -EINVAL;
    last = first;
    if (expect(at, end, '-') == 0 && day_parse(at, end, &last) < 0)
        return -EINVAL;
    for (int day = first; days |= 1U << day, day != last;)
        day = (day + 1) % 7;
    *ret = (uint8_t)days;
    return 0;
}

int span_parse(const char *text, size_t len, struct span *ret)
{
    const char *at = text, *end = text + len;
    struct span span = { .days = 0x7f };
    int start, stop;

    if (at < end && (*at < '0' || *at > '9')) {
        if (days_parse(&at, end, &span.days) < 0 || at == end || (*at != ' ' && *at != '\t'))
            return -EINVAL;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
    }
    if (clock_parse(&at, end, DAY - 1, &start) < 0 || expect(&at, end, '-') < 0 || clock_parse(&at, end, DAY, &stop) < 0 ||
        at != end)
        return -EINVAL;
    span.start = (uint16_t)start;
    span.end = (uint16_t)stop;
    *ret = span;
    return 0;
}

bool span_holds(const struct span *span, const struct moment *now)
{
    if (now->weekday < 0 || now->weekday > 6)
        return false;
    bool today = span->days >> now->weekday & 1;
    bool yesterday = span->days >> (now->weekday + 6) % 7 & 1;

    if (span->end > span->start)
        return today && now->minute >= span->start && now->minute < span->end;
    return (today && now->minute >= span->start) || (yesterday && now->minute < span->end);
}
