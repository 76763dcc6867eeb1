/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One session process: waits for one job from the broker, serves it, ends. */
#ifndef VG_SESSION_H
#define VG_SESSION_H

/* control: the broker's socket, SOCK_SEQPACKET; uri: of libvirtd, which is connected to ahead of the job. Returns the exit
 * status of the process. */
int session_run(int control, const char *uri);

#endif
