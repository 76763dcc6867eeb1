/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/rpc_error.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FROM_RPC 7
#define FROM_ACCESS 55
#define LEVEL_ERROR 2

/* As virReportError() does it: the whole, its format, what was put in. */
int rpc_error_encode(int code, const char *text, void **ret, size_t *ret_len)
{
    const char *format = code == RPC_ERR_OPERATION_DENIED ? "operation forbidden: %s" : "%s";
    char whole[512];
    char *message = whole, *str1 = (char *)(uintptr_t)format, *str2 = (char *)(uintptr_t)text;
    struct vgr_error error = {
        .code = code, .domain = code == RPC_ERR_OPERATION_DENIED ? FROM_ACCESS : FROM_RPC, .level = LEVEL_ERROR,
        .message = &message, .str1 = &str1, .str2 = &str2, .int1 = -1, .int2 = -1,
    };

    snprintf(whole, sizeof whole, "%s%s", code == RPC_ERR_OPERATION_DENIED ? "operation forbidden: " : "", text);
    return rpc_encode(RPC_CODEC(vgr_error), &error, ret, ret_len);
}

#define TEXTS 4

static void texts_of(const struct vgr_error *error, vgr_maybe_text out[static TEXTS])
{
    out[0] = error->message;
    out[1] = error->str1;
    out[2] = error->str2;
    out[3] = error->str3;
}

static char *replaced(const char *text, const char *what, const char *with)
{
    char *out = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&out, &len);

    if (!stream)
        return NULL;
    for (const char *at; (at = strstr(text, what)); text = at + strlen(what)) {
        fwrite(text, 1, (size_t)(at - text), stream);
        fputs(with, stream);
    }
    fputs(text, stream);
    if (fclose(stream) != 0) {
        free(out);
        return NULL;
    }
    return out;
}

int rpc_error_replace(struct vgr_error *error, const char *what, const char *with)
{
    vgr_maybe_text text[TEXTS];

    texts_of(error, text);
    for (size_t i = 0; i < TEXTS; i++) {
        if (!text[i] || !strstr(*text[i], what))
            continue;
        char *better = replaced(*text[i], what, with);
        if (!better)
            return -ENOMEM;
        free(*text[i]);
        *text[i] = better;
    }
    return 0;
}

void rpc_error_strip(struct vgr_error *error)
{
    rpc_release(RPC_CODEC(vgr_maybe_domain), &error->dom, sizeof error->dom);
    rpc_release(RPC_CODEC(vgr_maybe_network), &error->net, sizeof error->net);
}

/* A letter or digit; bytes of other alphabets count as such. */
static bool in_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);

    if (len == 0)
        return false;
    for (const char *at = text; (at = strstr(at, word)); at++)
        if ((at == text || !in_word(at[-1]) || !in_word(word[0])) && (!in_word(at[len]) || !in_word(word[len - 1])))
            return true;
    return false;
}

bool rpc_error_names(const struct vgr_error *error, const vgr_domain *dom)
{
    struct uuid uuid = rpc_uuid(dom->uuid);
    char written[UUID_TEXT_SIZE];
    vgr_maybe_text text[TEXTS];

    uuid_format(&uuid, written);
    texts_of(error, text);
    for (size_t i = 0; i < TEXTS; i++)
        if (text[i] && (has_word(*text[i], dom->name) || strcasestr(*text[i], written)))
            return true;
    return false;
}

int rpc_error_blank(struct vgr_error *error)
{
    struct vgr_error blank = { .code = error->code, .domain = error->domain, .level = error->level,
                               .int1 = -1, .int2 = -1 };

    blank.message = calloc(1, sizeof *blank.message);
    if (!blank.message)
        return -ENOMEM;
    *blank.message = strdup("libvirtd refuses this; ask the administrator of this host why");
    if (!*blank.message) {
        free(blank.message);
        return -ENOMEM;
    }
    rpc_release(RPC_CODEC(vgr_error), error, sizeof *error);
    *error = blank;
    return 0;
}
