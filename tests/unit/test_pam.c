/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of pam_virtgate.so that need no PAM. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth_key.h"
#include "pam_options.h"
#include "wire/login.h"

/* --- options ----------------------------------------------------------------------------------------------------- */

static int parse(const char *words, struct pam_options *ret, char why[static OPTIONS_WHY_SIZE])
{
    static char text[1024];
    const char *argv[16];
    int argc = 0;

    snprintf(text, sizeof text, "%s", words);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return pam_options_parse(argc, argv, ret, why);
}

static void no_options(void **state)
{
    char why[OPTIONS_WHY_SIZE];
    struct pam_options options;

    (void)state;
    assert_int_equal(parse("", &options, why), 0);
    assert_string_equal(options.group, VG_GATE_GROUP);
    assert_string_equal(options.config, VG_SYSCONFDIR);
    assert_string_equal(options.hide_except, "libvirt");
    assert_false(options.hide);
    assert_true(pam_options_serve(&options, "sshd"));
    assert_false(pam_options_serve(&options, "cron"));
    assert_false(pam_options_serve(&options, ""));
    assert_false(pam_options_serve(&options, "sshd2"));
    assert_false(pam_options_serve(&options, "ssh"));
}

static void all_options(void **state)
{
    char why[OPTIONS_WHY_SIZE], name[OPTION_NAME_SIZE];
    struct pam_options options;

    (void)state;
    assert_int_equal(parse("services=sshd,sshd2 group=consoles hide hide-except=adm,ops config=/srv/acl", &options, why), 0);
    assert_string_equal(options.group, "consoles");
    assert_string_equal(options.config, "/srv/acl");
    assert_true(options.hide);
    assert_true(pam_options_serve(&options, "sshd") && pam_options_serve(&options, "sshd2"));
    assert_false(pam_options_serve(&options, "sshd,sshd2") || pam_options_serve(&options, "su"));
    const char *at = options.hide_except;
    assert_true(pam_options_next(&at, name));
    assert_string_equal(name, "adm");
    assert_true(pam_options_next(&at, name));
    assert_string_equal(name, "ops");
    assert_false(pam_options_next(&at, name));
}

static void mistakes_leave_no_gap(void **state)
{
    static const char *const wrong[] = {
        "debug", "gruop=consoles", "group=", "group=a,b", "group", "services=", "services=a,,b", "services=a,",
        "service=sshd", "hide=yes", "hide hide", "group=a group=a", "hide-except=adm", "hide hide-except=", "config=acl",
        "config=", "HIDE", "hide hide-except=adm services=cron debug",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char why[OPTIONS_WHY_SIZE] = "";
        struct pam_options options;
        assert_int_equal(parse(wrong[i], &options, why), -EINVAL);
        assert_true(why[0]);
        /* Not even a service that was not listed gets past. */
        assert_true(pam_options_serve(&options, "sshd") && pam_options_serve(&options, "anything"));
        assert_true(options.group[0] && options.config[0]);
    }
}

static void long_names(void **state)
{
    char why[OPTIONS_WHY_SIZE], text[OPTION_NAME_SIZE + 16] = "group=";
    struct pam_options options;

    (void)state;
    memset(text + 6, 'g', OPTION_NAME_SIZE - 1);
    assert_int_equal(parse(text, &options, why), 0);
    text[6 + OPTION_NAME_SIZE - 1] = 'g';
    assert_int_equal(parse(text, &options, why), -EINVAL);
}

/* --- how somebody was let in ------------------------------------------------------------------------------------- */

/* Keys and certificates of ssh-keygen, and what ssh-keygen -l says of them. */
static const struct {
    const char *info, *fingerprint;
} keys[] = {
    { "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILtXn+6P6Bz6x6fKVhOv3MwG1JFKhb+qocOicIloYltp",
      "SHA256:vKjbBIrE3pClnlp6XHpPtYi8BtvohtHoPfyG7MkKdJg" },
    { "publickey ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBOwAR3eawO+6AI+593"
      "PcwwsWHOk8ulARHRgdLteC/7rcrA383R+17qAN7Pz1e7nPMsFhq4pBTEXCeLuyB+Y9zcw=",
      "SHA256:tjrG/Hf9n2f44zzO87lrggnLPfAXdote3AmzsK5/58E" },
    { "publickey ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDFppErZ6IMwx5uwD/L2luuHTZFolAq89aWHjPwYVxjimkxN7Hd4h"
      "6Q69sbr6HDMb7MrKny8wuQzWgV63pmtzPmA11gzebPZz3DxdnSE1Px1cZR7KsLZSGE1TsOxW5/T6TvP0l/CNUYTzJvEuw4fmi4l7"
      "zgk3qcJ457oitSRWn1Xw==",
      "SHA256:9/l0eizMeJ4f1SHU93aWXbNSIMAS/W8qnDHLSZX9ZjQ" },
    { "publickey ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAINHPC"
      "htO7cKitJgWv9AVfFOQBHufpHdep6RungoPI1WJAAAAILtXn+6P6Bz6x6fKVhOv3MwG1JFKhb+qocOicIloYltpAAAAAAAAAAAAA"
      "AABAAAAAmlkAAAACQAAAAVhbGljZQAAAAAAAAAA//////////8AAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAA"
      "AAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5A"
      "AAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACA+Fb4CTzIAvUY+A8/4EpcIV2fNaA5T/"
      "RGpUrdRBoEAeAAAAFMAAAALc3NoLWVkMjU1MTkAAABAjRyml1Dy2j992+dJKp5dcKU1FzlXmboHEIX+xI073g9E3rpEa5ZyVwcM0"
      "GXmtVayMk4BOQHkVkdbAv+Zu7xtCg==",
      "SHA256:vKjbBIrE3pClnlp6XHpPtYi8BtvohtHoPfyG7MkKdJg" },
    { "publickey ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3Blb"
      "nNzaC5jb20AAAAgSuwz3YCoyGUGzt4KF/XVCe4bzBBxMR20tI1JBQgE6f4AAAAIbmlzdHAyNTYAAABBBOwAR3eawO+6AI+593Pcw"
      "wsWHOk8ulARHRgdLteC/7rcrA383R+17qAN7Pz1e7nPMsFhq4pBTEXCeLuyB+Y9zcwAAAAAAAAAAAAAAAEAAAACaWQAAAAJAAAAB"
      "WFsaWNlAAAAAAAAAAD//////////wAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50L"
      "WZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c"
      "2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAID4VvgJPMgC9Rj4Dz/gSlwhXZ81oDlP9EalSt1EGgQB4AAAAUwAAA"
      "Atzc2gtZWQyNTUxOQAAAECLI2RPLR1zzF8CMzEsQDhje5nHhCjDMVcurNXZROorA+qw3jv8nxJyICT642Hmyx0/IY4h47m9gbsF2"
      "qIjzpQF",
      "SHA256:tjrG/Hf9n2f44zzO87lrggnLPfAXdote3AmzsK5/58E" },
    { "publickey ssh-rsa-cert-v01@openssh.com AAAAHHNzaC1yc2EtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgZ4KeOggUI4yyE"
      "C/EXHdP2Du6ascqELQVA8ZgN3RtC6AAAAADAQABAAAAgQDFppErZ6IMwx5uwD/L2luuHTZFolAq89aWHjPwYVxjimkxN7Hd4h6Q6"
      "9sbr6HDMb7MrKny8wuQzWgV63pmtzPmA11gzebPZz3DxdnSE1Px1cZR7KsLZSGE1TsOxW5/T6TvP0l/CNUYTzJvEuw4fmi4l7zgk"
      "3qcJ457oitSRWn1XwAAAAAAAAAAAAAAAQAAAAJpZAAAAAkAAAAFYWxpY2UAAAAAAAAAAP//////////AAAAAAAAAIIAAAAVcGVyb"
      "Wl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZ"
      "GluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgP"
      "hW+Ak8yAL1GPgPP+BKXCFdnzWgOU/0RqVK3UQaBAHgAAABTAAAAC3NzaC1lZDI1NTE5AAAAQJB7ksZk9GrEPkKhUX2S24UUFbGKP"
      "BFs7mmrDJhR8Xq0ftldFnrMT5yYAvBgvp9r6/Lb8EIRZsyR6azshFYX7Ac=",
      "SHA256:9/l0eizMeJ4f1SHU93aWXbNSIMAS/W8qnDHLSZX9ZjQ" },
};

static void expect_key(const char *info, const char *wanted)
{
    char got[LOGIN_WORD_SIZE];

    auth_key_of(info, got);
    assert_string_equal(got, wanted);
}

static void fingerprints(void **state)
{
    char text[2048];

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        expect_key(keys[i].info, keys[i].fingerprint);
        snprintf(text, sizeof text, "%s\npassword", keys[i].info);
        expect_key(text, keys[i].fingerprint);
        snprintf(text, sizeof text, "password\n%s\n", keys[i].info);
        expect_key(text, keys[i].fingerprint);
    }
}

static void methods(void **state)
{
    char text[400];

    (void)state;
    expect_key("", "");
    expect_key("password", "password");
    expect_key("keyboard-interactive/pam\n", "keyboard-interactive/pam");
    expect_key("password\nkeyboard-interactive/pam", "password");
    expect_key("publickey", "publickey");
    expect_key("publickey ", "publickey");
    expect_key("publickey ssh-ed25519", "publickey");
    expect_key("publickey ssh-ed25519 ", "publickey");
    expect_key("publickey ssh-ed25519 !", "publickey");
    expect_key("publickey ssh-ed25519 AAAA", "publickey");
    expect_key("\x1b[31m evil", "");
    memset(text, 'm', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    expect_key(text, "");
}

/* Whatever is cut off a certificate: never bytes beyond its end, and no fingerprint where the key is not whole. */
static void torn_certificates(void **state)
{
    char text[2048], got[LOGIN_WORD_SIZE];

    (void)state;
    for (size_t i = 3; i < sizeof keys / sizeof keys[0]; i++)
        for (size_t len = 0; len < strlen(keys[i].info); len++) {
            snprintf(text, sizeof text, "%.*s", (int)len, keys[i].info);
            auth_key_of(text, got);
            if (len < 160)
                assert_string_not_equal(got, keys[i].fingerprint);
        }
}

/* --- records of logins -------------------------------------------------------------------------------------------- */

static struct login a_login(void)
{
    struct login login = { .session = 42, .uid = 1001, .port = 50022, .key = "SHA256:abc", .service = "sshd", .time = 1790000000,
                           .pid = 4711, .started = 123456789 };

    assert_int_equal(address_parse("192.0.2.7", &login.address), 0);
    return login;
}

static void expect_same_login(const struct login *a, const struct login *b)
{
    char text[2][LOGIN_TEXT_SIZE];
    size_t len[2];

    assert_int_equal(login_encode(a, text[0], &len[0]), 0);
    assert_int_equal(login_encode(b, text[1], &len[1]), 0);
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(text[0], text[1], len[0]);
}

static void logins_come_back(void **state)
{
    struct login logins[4] = { a_login(), a_login(), a_login(), a_login() }, got;
    char text[LOGIN_TEXT_SIZE];
    size_t len;

    (void)state;
    assert_int_equal(address_parse("2001:db8::17", &logins[1].address), 0);
    logins[1].key[0] = '\0';
    logins[2].address.family = AF_UNSPEC;
    logins[2].session = logins[2].uid = UINT32_MAX;
    logins[2].port = UINT16_MAX;
    logins[2].time = INT64_MAX;
    logins[2].started = UINT64_MAX;
    memset(logins[2].key, 'k', LOGIN_WORD_SIZE - 1);
    memset(logins[2].service, 's', LOGIN_WORD_SIZE - 1);
    logins[3].confined = true;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(login_encode(&logins[i], text, &len), 0);
        assert_int_equal(login_decode(text, len, &got), 0);
        expect_same_login(&logins[i], &got);
        assert_string_equal(got.key, logins[i].key);
        assert_int_equal(got.address.family, logins[i].address.family);
        assert_int_equal(got.confined, logins[i].confined);
    }
}

static void a_mark_in_one_write(void **state)
{
    struct login login = a_login(), got;
    char text[LOGIN_TEXT_SIZE];
    size_t len;

    (void)state;
    assert_int_equal(login_encode(&login, text, &len), 0);
    memcpy(text + len - LOGIN_MARK_LEN, LOGIN_CONFINED_MARK, LOGIN_MARK_LEN);
    assert_int_equal(login_decode(text, len, &got), 0);
    assert_true(got.confined);
    got.confined = false;
    expect_same_login(&login, &got);
}

static void a_login_that_cannot_be_written(void **state)
{
    static const char *const words[] = { "a b", "a\nconfined yes", "\x7f", "\xc3\xa4" };
    char text[LOGIN_TEXT_SIZE];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct login key = a_login(), service = a_login();
        snprintf(key.key, sizeof key.key, "%s", words[i]);
        snprintf(service.service, sizeof service.service, "%s", words[i]);
        assert_int_equal(login_encode(&key, text, &len), -EINVAL);
        assert_int_equal(login_encode(&service, text, &len), -EINVAL);
    }
    struct login none = a_login();
    none.service[0] = '\0';
    assert_int_equal(login_encode(&none, text, &len), -EINVAL);
}

static void nothing_else_is_a_login(void **state)
{
    struct login login = a_login(), got = { .uid = 7 };
    char text[LOGIN_TEXT_SIZE + 1];
    size_t len;

    (void)state;
    assert_int_equal(login_encode(&login, text, &len), 0);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(login_decode(text, cut, &got), -EINVAL);
    text[len] = '\n';
    assert_int_equal(login_decode(text, len + 1, &got), -EINVAL);
    text[len] = '\0';
    assert_int_equal(login_decode(text, len + 1, &got), -EINVAL);
    static const char *const changes[][2] = {
        { "login 1", "login 2" }, { "uid 1001", "uid -100" }, { "uid 1001", "uid 0100" }, { "uid 1001", "uid  100" },
        { "uid 1001", "uid 10 1" }, { "port 50022", "port 65536" }, { "192.0.2.7", "192.0.2.x" }, { "192.0.2.7", "192.0.2.\n" },
        { "session", "sessi0n" }, { "confined no ", "confined no\n" }, { "confined no ", "confined yes" },
        { "pid 4711", "pid 47\t1" }, { "service sshd", "service ss d" },
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char changed[LOGIN_TEXT_SIZE];
        memcpy(changed, text, sizeof changed);
        char *at = strstr(changed, changes[i][0]);
        assert_non_null(at);
        memcpy(at, changes[i][1], strlen(changes[i][1]));
        int r = login_decode(changed, len, &got);
        assert_int_equal(r, strstr(changes[i][1], "yes") ? 0 : -EINVAL);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_options),
        cmocka_unit_test(all_options),
        cmocka_unit_test(mistakes_leave_no_gap),
        cmocka_unit_test(long_names),
        cmocka_unit_test(fingerprints),
        cmocka_unit_test(methods),
        cmocka_unit_test(torn_certificates),
        cmocka_unit_test(logins_come_back),
        cmocka_unit_test(a_mark_in_one_write),
        cmocka_unit_test(a_login_that_cannot_be_written),
        cmocka_unit_test(nothing_else_is_a_login),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
