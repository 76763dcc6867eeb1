/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth_key.h"

#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOB_MAX 16384 /* an RSA key of 16384 bits in a certificate with many names has less */
#define METHOD "publickey "

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Bytes of base64 up to the first character that is none; 0: nothing, or too much. */
static size_t decode(const char *text, unsigned char out[static BLOB_MAX])
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t len = 0;

    for (const char *found; *text && (found = strchr(alphabet, *text)); text++) {
        bits = bits << 6 | (uint32_t)(found - alphabet);
        n_bits += 6;
        if (n_bits >= 8) {
            if (len == BLOB_MAX)
                return 0;
            n_bits -= 8;
            out[len++] = (unsigned char)(bits >> n_bits);
        }
    }
    return len;
}

/* As ssh shows it: without the = signs at the end. */
static void format(const unsigned char digest[static SHA256_DIGEST_LENGTH], char out[static LOGIN_WORD_SIZE])
{
    char *at = out + snprintf(out, LOGIN_WORD_SIZE, "SHA256:");
    uint32_t bits = 0;
    unsigned n_bits = 0;

    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        bits = bits << 8 | digest[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            *at++ = alphabet[bits >> (n_bits - 6) & 63];
    }
    *at++ = alphabet[bits << (6 - n_bits) & 63];
    *at = '\0';
}

/* --- certificates ------------------------------------------------------------------------------------------------ */

/* PROTOCOL.certkeys of OpenSSH: the type, a nonce, the fields of the key, and more. */
static const struct certificate {
    const char *type, *key_type;
    unsigned n_fields;
} certificates[] = {
    { "ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 1 },
    { "ssh-rsa-cert-v01@openssh.com", "ssh-rsa", 2 },
    { "ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", 2 },
    { "ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", 2 },
    { "ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521", 2 },
    { "sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com", 2 },
    { "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", 3 },
};

/* The end of the n fields (a length in four bytes, and that many) at from; 0: they are not there. */
static size_t skip(const unsigned char *blob, size_t len, size_t from, unsigned n)
{
    for (; n > 0; n--) {
        if (len - from < 4)
            return 0;
        size_t field = (size_t)blob[from] << 24 | (size_t)blob[from + 1] << 16 | (size_t)blob[from + 2] << 8 | blob[from + 3];
        from += 4;
        if (len - from < field)
            return 0;
        from += field;
    }
    return from;
}

static const struct certificate *certificate_of(const unsigned char *blob, size_t type_end)
{
    for (size_t i = 0; i < sizeof certificates / sizeof certificates[0]; i++)
        if (strlen(certificates[i].type) == type_end - 4 && memcmp(blob + 4, certificates[i].type, type_end - 4) == 0)
            return &certificates[i];
    return NULL;
}

/* Whole, or of a certificate the key in it. False: it is no key. */
static bool digest_key(const unsigned char *blob, size_t len, unsigned char digest[static SHA256_DIGEST_LENGTH])
{
    size_t type_end = skip(blob, len, 0, 1), start, end;

    if (type_end < 4)
        return false;
    const struct certificate *certificate = certificate_of(blob, type_end);
    SHA2_CTX hash;
    SHA256Init(&hash);
    if (!certificate) {
        SHA256Update(&hash, blob, len);
    } else {
        start = skip(blob, len, type_end, 1);
        end = start ? skip(blob, len, start, certificate->n_fields) : 0;
        if (!end)
            return false;
        size_t type_len = strlen(certificate->key_type);
        SHA256Update(&hash, (const unsigned char[]){ 0, 0, 0, (unsigned char)type_len }, 4);
        SHA256Update(&hash, (const uint8_t *)certificate->key_type, type_len);
        SHA256Update(&hash, blob + start, end - start);
    }
    SHA256Final(digest, &hash);
    return true;
}

static bool fingerprint(const char *base64, char out[static LOGIN_WORD_SIZE])
{
    unsigned char *blob = malloc(BLOB_MAX), digest[SHA256_DIGEST_LENGTH];
    bool found = false;

    if (blob) {
        size_t len = decode(base64, blob);
        found = digest_key(blob, len, digest);
    }
    if (found)
        format(digest, out);
    free(blob);
    return found;
}

void auth_key_of(const char *info, char out[static LOGIN_WORD_SIZE])
{
    size_t len = strcspn(info, " \n");

    for (const char *line = info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, METHOD, strlen(METHOD)) != 0)
            continue;
        const char *key = line + strlen(METHOD); /* the type's name, a blank, base64 */
        key += strcspn(key, " \n");
        if (*key == ' ' && fingerprint(key + 1, out))
            return;
    }
    for (size_t i = 0; i < len; i++)
        if (info[i] < ' ' || info[i] > '~')
            len = 0; /* no method's name */
    snprintf(out, LOGIN_WORD_SIZE, "%.*s", len < LOGIN_WORD_SIZE ? (int)len : 0, info);
}
