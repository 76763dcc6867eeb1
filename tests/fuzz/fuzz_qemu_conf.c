/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A qemu.conf of any bytes: a whole value, or one sentence. */
#include <stdlib.h>
#include <string.h>

#include "host/qemu_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[QEMU_CONF_WHY_SIZE] = "";
    struct qemu_conf conf;

    if (qemu_conf_parse((const char *)data, size, &conf, why) < 0) {
        if (strncmp(why, "line ", 5) != 0 || !memchr(why, '\0', sizeof why))
            abort();
    } else if (conf.display.first > conf.display.last || conf.websocket.first > conf.websocket.last ||
               !memchr(conf.user, '\0', sizeof conf.user)) {
        abort();
    }
    return 0;
}
