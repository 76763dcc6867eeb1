/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "client/ssh_config.h"

static char home[] = "/tmp/test_ssh_config-XXXXXX";

static int make_home(void **state)
{
    char path[100];

    (void)state;
    if (!mkdtemp(home))
        return -1;
    snprintf(path, sizeof path, "%s/.ssh", home);
    return mkdir(path, 0700);
}

static int remove_home(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", home);
    return system(command);
}

static const char *put(const char *name, const char *text)
{
    static char path[100];

    snprintf(path, sizeof path, "%s/.ssh/%s", home, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    return path;
}

static char *flat; /* what libssh gets */
static size_t flat_len;

static char why[SSH_CONFIG_WHY_SIZE];

static struct ssh_config read_for(const char *host, const char *text)
{
    struct ssh_config config = { 0 };

    free(flat);
    FILE *out = open_memstream(&flat, &flat_len);
    assert_int_equal(ssh_config_read(&config, put("config", text), FILE_NAMED, home, host, out, why), 0);
    fclose(out);
    return config;
}

static void assert_path(const char *path, const char *name)
{
    char expected[200];

    snprintf(expected, sizeof expected, "%s/%s", home, name);
    assert_string_equal(path, expected);
}

static void takes_the_blocks_of_a_host(void **state)
{
    static const char text[] = "# everybody\n"
                               "IdentityFile ~/.ssh/first\n"
                               "Host other\n"
                               "  IdentityFile ~/.ssh/other\n"
                               "  CertificateFile ~/.ssh/other-cert\n"
                               "Host lab* !lab-9\n"
                               "  IdentityFile=%d/.ssh/%h\n"
                               "  certificatefile = \"~/.ssh/my cert\"\n"
                               "  StrictHostKeyChecking accept-new\n"
                               "  ConnectTimeout 7\n"
                               "Host *\n"
                               "  StrictHostKeyChecking yes\n"
                               "  IdentitiesOnly yes\n";

    (void)state;
    struct ssh_config config = read_for("lab-1", text);
    assert_int_equal(config.n_identities, 2);
    assert_path(config.identity[0], ".ssh/first");
    assert_path(config.identity[1], ".ssh/lab-1");
    assert_int_equal(config.n_certificates, 1);
    assert_path(config.certificate[0], ".ssh/my cert");
    assert_int_equal(config.strict, STRICT_ACCEPT_NEW); /* the first value counts */
    assert_int_equal(config.timeout_ms, 7000);
    assert_true(config.identities_only);
    assert_false(config.unsure);
    ssh_config_clear(&config);

    config = read_for("lab-9", text);
    assert_int_equal(config.n_identities, 1);
    assert_int_equal(config.n_certificates, 0);
    assert_int_equal(config.strict, STRICT_YES);
    ssh_config_clear(&config);
}

static void includes_files(void **state)
{
    (void)state;
    put("more.conf", "Host lab\nIdentityFile /keys/lab\nHost other\nIdentityFile /keys/other\n");
    struct ssh_config config = read_for("lab", "Include more.c*\nBatchMode yes\n");
    assert_int_equal(config.n_identities, 1);
    assert_string_equal(config.identity[0], "/keys/lab");
    assert_true(config.batch); /* the Host of the included file has ended with it */
    ssh_config_clear(&config);

    config = read_for("lab", "Host other\nInclude more.conf\n");
    assert_int_equal(config.n_identities, 0);
    ssh_config_clear(&config);
}

static void ends_a_circle_of_files(void **state)
{
    struct ssh_config config = { 0 };

    (void)state;
    assert_int_equal(ssh_config_read(&config, put("config", "Include config\n"), FILE_USUAL, home, "lab", NULL, why), -ELOOP);
    assert_non_null(strstr(why, "/.ssh/config: it is included too deep"));
    ssh_config_clear(&config);
}

static void names_what_would_be_passed_over(void **state)
{
    (void)state;
    struct ssh_config config = read_for("lab", "Host lab\nHostKeyAlias x\nHostKeyAlias y\nPKCS11Provider none\nVerifyHostKeyDNS no\n"
                                        "KnownHostsCommand /x\nUserKnownHostsFile a b\nHost other\nAddressFamily inet\n");
    assert_string_equal(config.lacking, "HostKeyAlias, KnownHostsCommand, a second UserKnownHostsFile");
    assert_string_equal(config.refused, "");
    ssh_config_clear(&config);

    config = read_for("lab", "RevokedHostKeys /etc/ssh/revoked\n");
    assert_string_equal(config.refused, "RevokedHostKeys");
    ssh_config_clear(&config);
}

static void leaves_a_match_to_libssh(void **state)
{
    (void)state;
    struct ssh_config config = read_for("lab", "Match exec \"true\"\nIdentityFile /keys/match\nMatch all\nIdentityFile /keys/all\n");
    assert_true(config.unsure);
    assert_int_equal(config.n_identities, 1);
    assert_string_equal(config.identity[0], "/keys/all");
    assert_string_equal(flat, "Match exec \"true\"\nIdentityFile /keys/match\nMatch all\nIdentityFile /keys/all\n");
    ssh_config_clear(&config);
}

/* A Host is compared with what was typed, also behind a HostName; that libssh never sees one is what makes it so. */
static void gives_libssh_what_counts(void **state)
{
    (void)state;
    put("more.conf", "Port 7\nMatch user x\nUser y\n");
    struct ssh_config config = read_for("lab", "Host lab\n  HostName = 10.0.0.1 \nHost other\n  Port 1\nInclude more.conf\nHost l*\n"
                                        "Include more.conf\nUser me\nHost 10.*\n  Port 2\nMatch host 10.0.0.1\nPort 3\n");
    assert_string_equal(flat, "  HostName = 10.0.0.1 \nPort 7\nMatch user x\nUser y\nMatch all\nUser me\n"
                              "Match host 10.0.0.1\nPort 3\nMatch all\n");
    ssh_config_clear(&config);
}

static void a_missing_file_says_nothing(void **state)
{
    struct ssh_config config = { 0 };

    (void)state;
    assert_int_equal(ssh_config_read(&config, "/nonexistent/config", FILE_USUAL, home, "lab", NULL, why), 0);
    assert_int_equal(ssh_config_read(&config, "/nonexistent/config", FILE_OWN, home, "lab", NULL, why), 0);
    assert_int_equal(config.n_identities, 0);
    /* But one on the command line was meant. */
    assert_int_equal(ssh_config_read(&config, "/nonexistent/config", FILE_NAMED, home, "lab", NULL, why), -ENOENT);
    assert_string_equal(why, "/nonexistent/config: No such file or directory");
    assert_int_equal(ssh_config_read(&config, home, FILE_NAMED, home, "lab", NULL, why), -EIO);
}

/* It may have a ProxyCommand in it. */
static void refuses_a_file_that_others_write(void **state)
{
    static const struct { mode_t mode; uid_t owner; gid_t group; int error; } rows[] = {
        { 0600, 0, 0, 0 }, { 0644, 0, 0, 0 }, { 0664, 0, 0, 0 }, { 0664, 0, 1, -EPERM }, { 0646, 0, 0, -EPERM },
        { 0600, 1, 0, -EPERM },
    };
    const char *path = put("config", "Port 1\n");

    (void)state;
    if (getuid() != 0)
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ssh_config config = { 0 };
        assert_int_equal(chown(path, rows[i].owner, rows[i].group), 0);
        assert_int_equal(chmod(path, rows[i].mode), 0);
        assert_int_equal(ssh_config_read(&config, path, FILE_OWN, home, "lab", NULL, why), rows[i].error);
        assert_int_equal(ssh_config_read(&config, path, FILE_NAMED, home, "lab", NULL, why), 0);
    }
    assert_int_equal(remove(path), 0);
}

/* libssh would take the rest of a long line for another one. */
static void refuses_a_line_that_is_too_long_for_libssh(void **state)
{
    static const char *const rows[] = { "ProxyCommand /bin/true ", "Match host lab exec ", "Host other\nMatch host " };
    char text[3000];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ssh_config config = { 0 };
        snprintf(text, sizeof text, "%s%0*d\n", rows[i], 2000, 1);
        assert_int_equal(ssh_config_read(&config, put("config", text), FILE_NAMED, home, "lab", NULL, why), -E2BIG);
        ssh_config_clear(&config);
    }
    /* Of another host's, and of a Host, it reads none. */
    snprintf(text, sizeof text, "Host other\nProxyCommand %0*d Port 7\nHost %0*d lab\nPort 3\n", 1200, 1, 1200, 1);
    struct ssh_config config = read_for("lab", text);
    assert_string_equal(flat, "Port 3\n");
    ssh_config_clear(&config);
}

static void knows_how_to_log_in(void **state)
{
    (void)state;
    struct ssh_config config = read_for("lab", "PreferredAuthentications password,publickey\nPubkeyAuthentication no\n"
                                        "PubkeyAuthentication yes\nKbdInteractiveAuthentication no\nIdentityAgent ~/agent\n"
                                        "ServerAliveInterval 7\nServerAliveCountMax 2\nServerAliveInterval 8\n");
    assert_string_equal(config.preferred, "password,publickey");
    assert_int_equal(config.off, METHOD_PUBLICKEY | METHOD_INTERACTIVE);
    assert_path(config.agent, "agent");
    assert_int_equal(config.alive_s, 7);
    assert_int_equal(config.alive_count, 2);
    ssh_config_clear(&config);
    setenv("OTHER_AGENT", "/other/agent", 1);
    config = read_for("lab", "IdentityAgent $OTHER_AGENT\n");
    assert_string_equal(config.agent, "/other/agent");
    ssh_config_clear(&config);
    config = read_for("lab", "IdentityAgent none\nIdentitiesOnly yes\n");
    assert_string_equal(config.agent, "none");
    assert_string_equal(flat, "IdentityAgent none\n"); /* the rest is done here */
    ssh_config_clear(&config);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_blocks_of_a_host),
        cmocka_unit_test(includes_files),
        cmocka_unit_test(ends_a_circle_of_files),
        cmocka_unit_test(names_what_would_be_passed_over),
        cmocka_unit_test(leaves_a_match_to_libssh),
        cmocka_unit_test(gives_libssh_what_counts),
        cmocka_unit_test(a_missing_file_says_nothing),
        cmocka_unit_test(refuses_a_file_that_others_write),
        cmocka_unit_test(refuses_a_line_that_is_too_long_for_libssh),
        cmocka_unit_test(knows_how_to_log_in),
    };

    return cmocka_run_group_tests(tests, make_home, remove_home);
}
