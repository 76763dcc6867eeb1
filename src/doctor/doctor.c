/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/doctor.h"

#include <unistd.h>

bool doctor_has_systemd(void)
{
    return access("/run/systemd/system", F_OK) == 0;
}

int doctor_examine(struct doors *doors)
{
    struct members members;
    int r = members_read(&members);

    if (r < 0)
        return r;
    doors_accounts(doors, &members);
    doors_sshd(doors, &members);
    doors_pam(doors, &members);
    doors_libvirt(doors, &members);
    doors_displays(doors);
    doors_host(doors, &members);
    doors_files(doors);
    members_free(&members);
    return 0;
}
