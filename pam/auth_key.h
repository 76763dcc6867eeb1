/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How somebody was let in, from what sshd says of it. Pure. */
#ifndef VG_PAM_AUTH_KEY_H
#define VG_PAM_AUTH_KEY_H

#include "wire/login.h"

/* info: sshd's SSH_AUTH_INFO_0 (sshd_config(5), ExposeAuthInfo): lines of a method's name and, for keys, the key. Writes the
 * fingerprint of the first key as `ssh-keygen -l` and sshd's log have it (of a certificate: that of the key in it), else the
 * name of the first method, else "". */
void auth_key_of(const char *info, char out[static LOGIN_WORD_SIZE]);

#endif
