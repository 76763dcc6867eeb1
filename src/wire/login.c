/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/login.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD "virtgate-login 1\n"
#define UNMARKED "confined no \n"
#define UNKNOWN "unknown"

_Static_assert(sizeof UNMARKED == sizeof LOGIN_CONFINED_MARK, "one takes the other's place");

static bool is_word(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

int login_encode(const struct login *login, char out[static LOGIN_TEXT_SIZE], size_t *ret_len)
{
    char address[ADDRESS_TEXT_SIZE];
    const char *key = login->key[0] ? login->key : UNKNOWN;

    address_format(&login->address, address);
    if (!is_word(key) || !is_word(login->service))
        return -EINVAL;
    int len = snprintf(out, LOGIN_TEXT_SIZE,
                       HEAD "session %" PRIu32 "\nuid %" PRIu32 "\naddress %s\nport %u\nkey %s\nservice %s\n"
                       "time %" PRId64 "\npid %d\nstarted %" PRIu64 "\n%s",
                       login->session, (uint32_t)login->uid, address[0] ? address : UNKNOWN, login->port, key, login->service,
                       login->time, (int)login->pid, login->started, login->confined ? LOGIN_CONFINED_MARK : UNMARKED);
    if (len < 0 || len >= LOGIN_TEXT_SIZE)
        return -EINVAL;
    *ret_len = (size_t)len;
    return 0;
}

/* --- decoding ---------------------------------------------------------------------------------------------------- */

struct in {
    const char *at, *end;
    bool bad;
};

static bool take(struct in *in, const char *text)
{
    size_t len = strlen(text);

    if ((size_t)(in->end - in->at) < len || memcmp(in->at, text, len) != 0)
        return false;
    in->at += len;
    return true;
}

/* The value of the line that begins with name. */
static void take_word(struct in *in, const char *name, char out[static LOGIN_WORD_SIZE])
{
    const char *newline;

    out[0] = '\0';
    if (in->bad || !take(in, name) || !take(in, " ") ||
        !(newline = memchr(in->at, '\n', (size_t)(in->end - in->at))) || newline - in->at >= LOGIN_WORD_SIZE) {
        in->bad = true;
        return;
    }
    memcpy(out, in->at, (size_t)(newline - in->at));
    out[newline - in->at] = '\0';
    in->at = newline + 1;
    in->bad = !is_word(out);
}

static uint64_t take_number(struct in *in, const char *name, uint64_t max)
{
    char word[LOGIN_WORD_SIZE];
    uint64_t n = 0;

    take_word(in, name, word);
    for (const char *c = word; *c && !in->bad; c++) {
        in->bad = *c < '0' || *c > '9' || n > (max - (uint64_t)(*c - '0')) / 10 || (word[0] == '0' && word[1]);
        n = 10 * n + (uint64_t)(*c - '0');
    }
    return n;
}

static void take_address(struct in *in, struct address *ret)
{
    char word[LOGIN_WORD_SIZE];

    take_word(in, "address", word);
    ret->family = AF_UNSPEC;
    if (!in->bad && strcmp(word, UNKNOWN) != 0)
        in->bad = address_parse(word, ret) < 0;
}

int login_decode(const char *text, size_t len, struct login *ret)
{
    struct in in = { .at = text, .end = text + len };
    struct login login = { 0 };

    in.bad = !take(&in, HEAD);
    login.session = (uint32_t)take_number(&in, "session", UINT32_MAX);
    login.uid = (uid_t)take_number(&in, "uid", UINT32_MAX);
    take_address(&in, &login.address);
    login.port = (uint16_t)take_number(&in, "port", UINT16_MAX);
    take_word(&in, "key", login.key);
    take_word(&in, "service", login.service);
    login.time = (int64_t)take_number(&in, "time", INT64_MAX);
    login.pid = (pid_t)take_number(&in, "pid", INT32_MAX);
    login.started = take_number(&in, "started", UINT64_MAX);
    login.confined = take(&in, LOGIN_CONFINED_MARK);
    if (in.bad || (!login.confined && !take(&in, UNMARKED)) || in.at != in.end)
        return -EINVAL;
    if (strcmp(login.key, UNKNOWN) == 0)
        login.key[0] = '\0';
    *ret = login;
    return 0;
}
