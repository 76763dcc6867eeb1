/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records of logins: files in LOGIN_FOLDER, which root alone writes and the broker's group reads. */
#ifndef VG_PAM_LOGIN_FILE_H
#define VG_PAM_LOGIN_FILE_H

#include "wire/login.h"

/* The audit session that began with this login; LOGIN_NO_SESSION: none did, because pam_loginuid has not run or the kernel does
 * not do audit. One that the listening sshd has as well (an administrator started it from a login, or the host is a container)
 * is all logins' together, and would say of one what was recorded of another. */
uint32_t login_session(void);

/* Writes the record of the login that this process serves (pid and start time are its own), and takes away those of
 * processes that are gone. 0 or -errno. */
int login_file_write(struct login *login);

/* Opens the record for login_file_mark(), which may come when nothing can be opened any more. 0 or -errno. */
int login_file_open(uint32_t session, int *ret_fd);
int login_file_mark(int fd);

void login_file_remove(uint32_t session);

#endif
