/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What runs learns of changed files: sshd, systemd's units, libvirt's read-only sockets. What is turned on is noted in the
 * ledger first. */
#ifndef VG_SETUP_SERVICES_H
#define VG_SETUP_SERVICES_H

/* Each sshd of root's reads its files again. */
void services_reload_sshd(void);

/* The read-only sockets that are there are closed to everybody else at once; the changed files do it from the next start on.
 * (systemd does not restart a socket whose service runs, and the service has other clients.) An exit code. */
int services_close_sockets(void);

/* Enables and starts a unit that is not enabled yet. An exit code. */
int services_enable(const char *unit);

/* For ledger_take_back(), with what was noted: 0 when done. */
int services_disable(const char *unit);
int services_reopen_socket(const char *noted);

/* systemd reads its files. */
void services_reload_units(void);

#endif
