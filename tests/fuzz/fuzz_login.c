/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What virtgated reads of a login, and what the PAM module makes of sshd's word about a key. A record that is taken can be
 * written again and then reads the same; the key's text is always one word that can stand in a record. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth_key.h"
#include "wire/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
    if (!condition)
        abort();
}

static void try_record(const char *text, size_t len)
{
    char again[LOGIN_TEXT_SIZE], third[LOGIN_TEXT_SIZE];
    size_t again_len, third_len;
    struct login login;

    if (login_decode(text, len, &login) < 0)
        return;
    check(login_encode(&login, again, &again_len) == 0);
    check(login_decode(again, again_len, &login) == 0);
    check(login_encode(&login, third, &third_len) == 0);
    check(again_len == third_len && memcmp(again, third, again_len) == 0);
}

static void try_key(const char *text)
{
    struct login login = { .service = "sshd" };
    char record[LOGIN_TEXT_SIZE];
    size_t len;

    auth_key_of(text, login.key);
    check(login_encode(&login, record, &len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    try_record(text, size);
    try_key(text);
    free(text);
    return 0;
}
