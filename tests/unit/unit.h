/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What cmocka.h needs before it. */
#ifndef VG_UNIT_H
#define VG_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
