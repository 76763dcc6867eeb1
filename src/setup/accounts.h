/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The gate's group and the broker's account, where they are missing. */
#ifndef VG_SETUP_ACCOUNTS_H
#define VG_SETUP_ACCOUNTS_H

#include <stdbool.h>

/* Makes what is missing, by systemd-sysusers where it is there, noting it in the ledger first. With dry_run it only says so.
 * An exit code. */
int accounts_make(bool dry_run);

/* For ledger_take_back(): 0 when it is gone, 1 when it has to stay (after a line that says why). */
int accounts_remove_group(void);
int accounts_remove_account(void);

#endif
