/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the virt_*.c files alone. */
#ifndef VG_VIRT_HANDLE_H
#define VG_VIRT_HANDLE_H

#include <libvirt/libvirt.h>

struct virt {
    virConnectPtr connection;
};

#endif
