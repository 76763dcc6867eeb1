/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of virtgate. Each gets its arguments behind its name, returns a status, and has said why when it is not 0. */
#ifndef VG_CLIENT_H
#define VG_CLIENT_H

#include "client/options.h"

int client_run(int argc, char *const *argv);

int client_list(const struct options *options, size_t n, const char *const *argv);
int client_info(const struct options *options, size_t n, const char *const *argv);
int client_console(const struct options *options, size_t n, const char *const *argv);
int client_power(const struct options *options, size_t n, const char *const *argv);
int client_view(const struct options *options, size_t n, const char *const *argv);
int client_probe(const struct options *options, size_t n, const char *const *argv);
int client_proxy(const struct options *options, size_t n, const char *const *argv);

/* virtgate ssh, also by the name virtgate-ssh: argv behind that name, in the forms that libvirt and virt-viewer use. */
int client_ssh(int argc, char *const *argv);

/* What the commands share. The line to ask the host for, "verb [option] VM [more]", checked as the gate's own parser does.
 * 0; or EX_USAGE after a line. */
#define CLIENT_COMMAND_SIZE 512
int client_command(char out[static CLIENT_COMMAND_SIZE], const char *verb, const char *option, size_t n, const char *const *argv);

/* A remote that is connected; NULL after a line, and *ret_status. */
struct remote *client_reach(const struct options *options, const char *host, int *ret_status);

/* Prints what the command said, as it came. Returns status. */
int client_said(int status, const struct remote_said *said);

#endif
