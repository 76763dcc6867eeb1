/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgate-rpc's one job: a user's connection to libvirt, from the broker's word to its end. */
#ifndef VG_RPC_RUN_H
#define VG_RPC_RUN_H

/* control: the broker's socket. Returns the exit status. */
int rpc_run(int control);

#endif
