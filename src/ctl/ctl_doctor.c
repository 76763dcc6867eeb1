/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor: one line, or one JSON object, for each door of this host. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "ctl/ctl.h"
#include "doctor/doctor.h"

/* Names of machines and words of files are other people's. */
static void print_escaped(const char *text)
{
    char escaped[4 * DOOR_TEXT_SIZE];

    text_escape(escaped, sizeof escaped, text, strlen(text));
    fputs(escaped, stdout);
}

static void print_text(const struct door *door)
{
    printf("%-7s  %-18s  ", door->state == DOOR_OPEN ? "OPEN" : door_state_name(door->state), door->id);
    print_escaped(door->why);
    if (door->more)
        printf(" (and %u more)", door->more);
    if (door->mend[0]) {
        fputs("; mend: ", stdout);
        print_escaped(door->mend);
    }
    putchar('\n');
}

static void print_json(struct json *json, const struct door *door)
{
    json_put_open(json, NULL, '{');
    json_put_string(json, "id", door->id);
    json_put_string(json, "state", door_state_name(door->state));
    json_put_string(json, "why", door->why);
    json_put_int(json, "more", door->more);
    json_put_string(json, "mend", door->mend[0] ? door->mend : NULL);
    json_put_close(json, '}');
}

static void print_all(const struct ctl *ctl, const struct doors *doors)
{
    struct json json = JSON_TO(stdout);

    if (!ctl->json) {
        for (size_t i = 0; i < doors->n; i++)
            print_text(&doors->list[i]);
        return;
    }
    json_put_open(&json, NULL, '{');
    json_put_bool(&json, "ok", doors_state(doors) == DOOR_CLOSED);
    json_put_open(&json, "doors", '[');
    for (size_t i = 0; i < doors->n; i++)
        print_json(&json, &doors->list[i]);
    json_put_close(&json, ']');
    json_put_close(&json, '}');
    json_put_end(&json);
}

int ctl_doctor(const struct ctl *ctl)
{
    static struct doors doors;
    static const int codes[] = { [DOOR_CLOSED] = EX_OK, [DOOR_UNKNOWN] = EX_UNAVAILABLE, [DOOR_OPEN] = EX_CONFIG };

    if (ctl->argc > 0)
        return ctl_usage_error(ctl, "expected no words");
    if (geteuid() != 0) {
        fputs("virtgatectl: doctor: only root can look behind every door\n", stderr);
        return EX_NOPERM;
    }
    if (doctor_examine(&doors) < 0)
        return EX_OSERR;
    print_all(ctl, &doors);
    return codes[doors_state(&doors)];
}
