/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which calls of libvirt's protocol reach libvirtd, and why each of them is harmless. Whoever reviews this file holds the
 * prose against the table below; what is not in the table is refused, whatever it is called in a later libvirt.
 *
 * Numbers, names and layouts: libvirt 9.0.0, src/remote/remote_protocol.x (the same in later ones: numbers are only added).
 *
 * CONNECTION
 *   CONNECT_OPEN, CONNECT_CLOSE       One URI is offered, the one of the configuration; libvirtd gets that one whatever was
 *                                     said. The client may ask for less (read-only) by a flag, never for more.
 *   AUTH_LIST                         Answered here: none. The user has been authenticated by sshd; towards libvirtd it is the
 *                                     gate that did.
 *   CONNECT_SUPPORTS_FEATURE          Yes only to what works through the gate: keepalive, strings in typed parameters, event
 *                                     callbacks, close callbacks. No file descriptors, no migration.
 *   CONNECT_REGISTER_CLOSE_CALLBACK, CONNECT_UNREGISTER_CLOSE_CALLBACK
 *                                     libvirtd says why the hypervisor connection ends: a number.
 *
 * THE HOST. It is the same for all its users; who may see a machine on it learns nothing of another's from them.
 *   CONNECT_GET_TYPE, _GET_VERSION, _GET_LIB_VERSION, _GET_HOSTNAME, _GET_URI, _GET_CAPABILITIES, _IS_SECURE,
 *   NODE_GET_INFO, NODE_GET_SECURITY_MODEL
 *                                     Constants of the host and of what is installed on it.
 *   CONNECT_GET_DOMAIN_CAPABILITIES   What a machine can have here. libvirtd starts the emulator whose path is given with the
 *                                     call to ask it (CVE-2019-10167): the path is taken out, so that it asks its own.
 *
 * WHAT IS EMPTY. Networks, pools, volumes, interfaces, node devices, network filters, secrets, snapshots and checkpoints are
 *   no machines and nobody grants them. In this world there are none: their lists and counts are answered here, their
 *   events can be asked for and never come. With no object there is none to call anything on. Snapshots and checkpoints
 *   belong to a domain, which must be the user's before "none" is said of it.
 *
 * FINDING A MACHINE
 *   DOMAIN_LOOKUP_BY_ID, _BY_NAME, _BY_UUID
 *                                     libvirtd finds it; the reply is passed on if the user may see that domain. If not, and
 *                                     if there is none, the client gets libvirtd's error for one that is missing.
 *   CONNECT_LIST_ALL_DOMAINS          The reply, without the others'. A count alone is not asked for: it would be everybody's.
 *   CONNECT_NUM_OF_DOMAINS, _LIST_DOMAINS, _NUM_OF_DEFINED_DOMAINS, _LIST_DEFINED_DOMAINS
 *                                     Made here from such a list: numbers and names have no uuid to decide on.
 *   CONNECT_GET_ALL_DOMAIN_STATS      The reply, without the others' records.
 *   CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, _DEREGISTER_ANY
 *                                     Events of others are dropped. A client takes back only numbers of its own.
 *
 * READING OF A MACHINE, with any right on it
 *   DOMAIN_GET_XML_DESC               Secrets are neither asked for (SECURE, MIGRATABLE are cleared) nor passed on; displays and
 *                                     devices of rights that the user does not have are left out (rpc_xml.c).
 *   DOMAIN_GET_INFO, _GET_STATE, _GET_CONTROL_INFO, _GET_OS_TYPE, _GET_MAX_MEMORY, _GET_MAX_VCPUS, _GET_VCPUS,
 *   _GET_VCPUS_FLAGS, _GET_AUTOSTART, _IS_ACTIVE, _IS_PERSISTENT, _IS_UPDATED, _HAS_MANAGED_SAVE_IMAGE, _GET_JOB_INFO,
 *   _GET_JOB_STATS, _GET_MESSAGES, _GET_SECURITY_LABEL, _GET_SECURITY_LABEL_LIST, _GET_SCHEDULER_TYPE
 *                                     State and settings of the machine itself.
 *   DOMAIN_BLOCK_STATS, _BLOCK_STATS_FLAGS, _INTERFACE_STATS, _MEMORY_STATS, _GET_CPU_STATS, _GET_BLOCK_INFO,
 *   _GET_DISK_ERRORS                  Counters and sizes. The path or device must be one of that machine: libvirtd looks it up
 *                                     in the machine's definition.
 *   DOMAIN_GET_METADATA               Title and description; virt-viewer asks for the title. Not what other programs noted
 *                                     for themselves, as in the XML.
 *
 * display
 *   DOMAIN_SCREENSHOT                 A picture of what the user may look at anyway. Its stream flows to the client only.
 *   DOMAIN_SEND_KEY                   Keys that the user may press anyway.
 *
 * serial
 *   DOMAIN_OPEN_CONSOLE               The device is looked up in the domain's XML, and named to libvirtd: a serial or console
 *                                     device, never a parallel port or a channel. FORCE pushes another user off and needs
 *                                     takeover.
 *
 * power
 *   DOMAIN_CREATE, DOMAIN_CREATE_WITH_FLAGS
 *                                     Start; paused at most. Not discarding a saved state, not resetting NVRAM, and not
 *                                     AUTODESTROY: the machine of a user is not stopped because a gate's connection ends.
 *   DOMAIN_SHUTDOWN, DOMAIN_SHUTDOWN_FLAGS, DOMAIN_REBOOT
 *                                     By ACPI or by the guest's agent.
 *   DOMAIN_RESET, DOMAIN_DESTROY, DOMAIN_DESTROY_FLAGS
 *                                     The power switch; GRACEFUL is the only flag (not REMOVE_LOGS).
 *   DOMAIN_SUSPEND, DOMAIN_RESUME
 *
 * NOT HERE, though a client asks for it: DOMAIN_OPEN_GRAPHICS and DOMAIN_OPEN_GRAPHICS_FD pass descriptors, which cannot
 *   travel over ssh; DOMAIN_OPEN_CHANNEL reaches the guest's agent; DOMAIN_BLOCK_PEEK and DOMAIN_MEMORY_PEEK read what the guest
 *   holds; CONNECT_DOMAIN_EVENT_REGISTER and _REGISTER_ANY are the events of libvirt before 1.3.
 */
#include "rpc/rpc_allow.h"

#include <stdlib.h>

#define ANY_FLAGS UINT32_MAX
#define XML_SECURE (1U << 0)
#define XML_INACTIVE (1U << 1)
#define XML_UPDATE_CPU (1U << 2)
#define XML_MIGRATABLE (1U << 3)
#define START_PAUSED (1U << 0)
#define SHUTDOWN_ACPI_OR_AGENT (1U << 0 | 1U << 1) /* REBOOT has the same bits */
#define DESTROY_GRACEFUL (1U << 0)
#define CONSOLE_FORCE_OR_SAFE (1U << 0 | 1U << 1)
#define OPEN_READ_ONLY_OR_NO_ALIASES (1U << 0 | 1U << 1)
#define AFFECT_CURRENT_LIVE_OR_CONFIG (1U << 0 | 1U << 1)

#define NUMBER .fate = FATE_ZEROS, .zeros = 4  /* 0 */
#define NAMES .fate = FATE_ZEROS, .zeros = 4   /* an empty array */
#define OBJECTS .fate = FATE_ZEROS, .zeros = 8 /* an empty array, and how many: 0 */
#define DISPLAY .right = RIGHT_DISPLAY, .writes = true
#define SERIAL .right = RIGHT_SERIAL, .writes = true
#define POWER .right = RIGHT_POWER, .writes = true

/* In the order of the numbers: it is searched by halves. */
static const struct rpc_row rows[] = {
    { 1, "CONNECT_OPEN", ARGS_OPEN, .fate = FATE_OPEN, .flags = OPEN_READ_ONLY_OR_NO_ALIASES },
    { 2, "CONNECT_CLOSE", ARGS_NONE, .fate = FATE_FORWARD },
    { 3, "CONNECT_GET_TYPE", ARGS_NONE, .fate = FATE_FORWARD },
    { 4, "CONNECT_GET_VERSION", ARGS_NONE, .fate = FATE_FORWARD },
    { 6, "NODE_GET_INFO", ARGS_NONE, .fate = FATE_FORWARD },
    { 7, "CONNECT_GET_CAPABILITIES", ARGS_NONE, .fate = FATE_FORWARD },
    { 9, "DOMAIN_CREATE", ARGS_DOMAIN, .fate = FATE_FORWARD, POWER },
    { 12, "DOMAIN_DESTROY", ARGS_DOMAIN, .fate = FATE_FORWARD, POWER },
    { 14, "DOMAIN_GET_XML_DESC", ARGS_DOMAIN_FLAGS, .fate = FATE_XML,
      .flags = XML_SECURE | XML_INACTIVE | XML_UPDATE_CPU | XML_MIGRATABLE, .cleared = XML_SECURE | XML_MIGRATABLE },
    { 15, "DOMAIN_GET_AUTOSTART", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 16, "DOMAIN_GET_INFO", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 17, "DOMAIN_GET_MAX_MEMORY", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 18, "DOMAIN_GET_MAX_VCPUS", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 19, "DOMAIN_GET_OS_TYPE", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 20, "DOMAIN_GET_VCPUS", ARGS_DOMAIN_NUMBERS, .fate = FATE_FORWARD },
    { 21, "CONNECT_LIST_DEFINED_DOMAINS", ARGS_NUMBER, .fate = FATE_OLD_LIST },
    { 22, "DOMAIN_LOOKUP_BY_ID", ARGS_NUMBER, .fate = FATE_LOOKUP },
    { 23, "DOMAIN_LOOKUP_BY_NAME", ARGS_NAME, .fate = FATE_LOOKUP },
    { 24, "DOMAIN_LOOKUP_BY_UUID", ARGS_UUID, .fate = FATE_LOOKUP },
    { 25, "CONNECT_NUM_OF_DEFINED_DOMAINS", ARGS_NONE, .fate = FATE_OLD_LIST },
    { 27, "DOMAIN_REBOOT", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD, POWER, .flags = SHUTDOWN_ACPI_OR_AGENT },
    { 28, "DOMAIN_RESUME", ARGS_DOMAIN, .fate = FATE_FORWARD, POWER },
    { 33, "DOMAIN_SHUTDOWN", ARGS_DOMAIN, .fate = FATE_FORWARD, POWER },
    { 34, "DOMAIN_SUSPEND", ARGS_DOMAIN, .fate = FATE_FORWARD, POWER },
    { 36, "CONNECT_LIST_DEFINED_NETWORKS", ARGS_NUMBER, NAMES },
    { 37, "CONNECT_LIST_DOMAINS", ARGS_NUMBER, .fate = FATE_OLD_LIST },
    { 38, "CONNECT_LIST_NETWORKS", ARGS_NUMBER, NAMES },
    { 50, "CONNECT_NUM_OF_DEFINED_NETWORKS", ARGS_NONE, NUMBER },
    { 51, "CONNECT_NUM_OF_DOMAINS", ARGS_NONE, .fate = FATE_OLD_LIST },
    { 52, "CONNECT_NUM_OF_NETWORKS", ARGS_NONE, NUMBER },
    { 56, "DOMAIN_GET_SCHEDULER_TYPE", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 59, "CONNECT_GET_HOSTNAME", ARGS_NONE, .fate = FATE_FORWARD },
    { 60, "CONNECT_SUPPORTS_FEATURE", ARGS_NUMBER, .fate = FATE_FEATURE },
    { 64, "DOMAIN_BLOCK_STATS", ARGS_DOMAIN_NAME, .fate = FATE_FORWARD },
    { 65, "DOMAIN_INTERFACE_STATS", ARGS_DOMAIN_NAME, .fate = FATE_FORWARD },
    { 66, "AUTH_LIST", ARGS_NONE, .fate = FATE_NO_AUTH },
    { 71, "CONNECT_NUM_OF_STORAGE_POOLS", ARGS_NONE, NUMBER },
    { 72, "CONNECT_LIST_STORAGE_POOLS", ARGS_NUMBER, NAMES },
    { 73, "CONNECT_NUM_OF_DEFINED_STORAGE_POOLS", ARGS_NONE, NUMBER },
    { 74, "CONNECT_LIST_DEFINED_STORAGE_POOLS", ARGS_NUMBER, NAMES },
    { 110, "CONNECT_GET_URI", ARGS_NONE, .fate = FATE_FORWARD },
    { 111, "NODE_NUM_OF_DEVICES", ARGS_CAP, NUMBER, .flags = ANY_FLAGS },
    { 112, "NODE_LIST_DEVICES", ARGS_CAP_LIST, NAMES, .flags = ANY_FLAGS },
    { 121, "DOMAIN_GET_SECURITY_LABEL", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 122, "NODE_GET_SECURITY_MODEL", ARGS_NONE, .fate = FATE_FORWARD },
    { 126, "CONNECT_NUM_OF_INTERFACES", ARGS_NONE, NUMBER },
    { 127, "CONNECT_LIST_INTERFACES", ARGS_NUMBER, NAMES },
    { 137, "CONNECT_NUM_OF_DEFINED_INTERFACES", ARGS_NONE, NUMBER },
    { 138, "CONNECT_LIST_DEFINED_INTERFACES", ARGS_NUMBER, NAMES },
    { 139, "CONNECT_NUM_OF_SECRETS", ARGS_NONE, NUMBER },
    { 140, "CONNECT_LIST_SECRETS", ARGS_NUMBER, NAMES },
    { 149, "CONNECT_IS_SECURE", ARGS_NONE, .fate = FATE_FORWARD },
    { 150, "DOMAIN_IS_ACTIVE", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 151, "DOMAIN_IS_PERSISTENT", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 157, "CONNECT_GET_LIB_VERSION", ARGS_NONE, .fate = FATE_FORWARD },
    { 159, "DOMAIN_MEMORY_STATS", ARGS_DOMAIN_NUMBER_FLAGS, .fate = FATE_FORWARD },
    { 163, "DOMAIN_GET_JOB_INFO", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 178, "CONNECT_NUM_OF_NWFILTERS", ARGS_NONE, NUMBER },
    { 179, "CONNECT_LIST_NWFILTERS", ARGS_NUMBER, NAMES },
    { 183, "DOMAIN_HAS_MANAGED_SAVE_IMAGE", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD },
    { 187, "DOMAIN_SNAPSHOT_NUM", ARGS_DOMAIN_FLAGS, NUMBER, .flags = ANY_FLAGS },
    { 188, "DOMAIN_SNAPSHOT_LIST_NAMES", ARGS_DOMAIN_NUMBER_FLAGS, NAMES, .flags = ANY_FLAGS },
    { 190, "DOMAIN_HAS_CURRENT_SNAPSHOT", ARGS_DOMAIN_FLAGS, NUMBER, .flags = ANY_FLAGS },
    { 194, "DOMAIN_GET_BLOCK_INFO", ARGS_DOMAIN_NAME_FLAGS, .fate = FATE_FORWARD },
    { 196, "DOMAIN_CREATE_WITH_FLAGS", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD, POWER, .flags = START_PAUSED },
    { 200, "DOMAIN_GET_VCPUS_FLAGS", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD,
      .flags = AFFECT_CURRENT_LIVE_OR_CONFIG | 1U << 2 /* MAXIMUM */ },
    { 201, "DOMAIN_OPEN_CONSOLE", ARGS_CONSOLE, .fate = FATE_CONSOLE, SERIAL, .stream = true,
      .flags = CONSOLE_FORCE_OR_SAFE },
    { 202, "DOMAIN_IS_UPDATED", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 211, "DOMAIN_SCREENSHOT", ARGS_DOMAIN_NUMBER_FLAGS, .fate = FATE_FORWARD, DISPLAY, .stream = true },
    { 212, "DOMAIN_GET_STATE", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD },
    { 226, "DOMAIN_SEND_KEY", ARGS_KEYS, .fate = FATE_FORWARD, DISPLAY },
    { 229, "DOMAIN_GET_CONTROL_INFO", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD },
    { 234, "DOMAIN_DESTROY_FLAGS", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD, POWER, .flags = DESTROY_GRACEFUL },
    { 243, "DOMAIN_BLOCK_STATS_FLAGS", ARGS_DOMAIN_NAME_NUMBER_FLAGS, .fate = FATE_FORWARD,
      .flags = 1U << 2 /* TYPED_PARAM_STRING_OKAY, set by the client's library */ },
    { 245, "DOMAIN_RESET", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD, POWER },
    { 258, "DOMAIN_SHUTDOWN_FLAGS", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD, POWER, .flags = SHUTDOWN_ACPI_OR_AGENT },
    { 262, "DOMAIN_GET_CPU_STATS", ARGS_CPU_STATS, .fate = FATE_FORWARD, .flags = 1U << 2 /* TYPED_PARAM_STRING_OKAY */ },
    { 263, "DOMAIN_GET_DISK_ERRORS", ARGS_DOMAIN_NUMBER_FLAGS, .fate = FATE_FORWARD },
    { 265, "DOMAIN_GET_METADATA", ARGS_METADATA, .fate = FATE_METADATA, .flags = AFFECT_CURRENT_LIVE_OR_CONFIG },
    { 273, "CONNECT_LIST_ALL_DOMAINS", ARGS_LIST, .fate = FATE_LIST, .flags = ANY_FLAGS },
    { 274, "DOMAIN_LIST_ALL_SNAPSHOTS", ARGS_DOMAIN_NUMBER_FLAGS, OBJECTS, .flags = ANY_FLAGS },
    { 278, "DOMAIN_GET_SECURITY_LABEL_LIST", ARGS_DOMAIN, .fate = FATE_FORWARD },
    { 281, "CONNECT_LIST_ALL_STORAGE_POOLS", ARGS_LIST, OBJECTS, .flags = ANY_FLAGS },
    { 283, "CONNECT_LIST_ALL_NETWORKS", ARGS_LIST, OBJECTS, .flags = ANY_FLAGS },
    { 284, "CONNECT_LIST_ALL_INTERFACES", ARGS_LIST, OBJECTS, .flags = ANY_FLAGS },
    { 285, "CONNECT_LIST_ALL_NODE_DEVICES", ARGS_LIST, OBJECTS, .flags = ANY_FLAGS },
    { 286, "CONNECT_LIST_ALL_NWFILTERS", ARGS_LIST, OBJECTS, .flags = ANY_FLAGS },
    { 287, "CONNECT_LIST_ALL_SECRETS", ARGS_LIST, OBJECTS, .flags = ANY_FLAGS },
    { 298, "DOMAIN_GET_JOB_STATS", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD },
    { 313, "CONNECT_NETWORK_EVENT_REGISTER_ANY", ARGS_OTHER_EVENTS, .fate = FATE_CALLBACK },
    { 314, "CONNECT_NETWORK_EVENT_DEREGISTER_ANY", ARGS_NUMBER, .fate = FATE_ZEROS },
    { 316, "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", ARGS_EVENTS, .fate = FATE_EVENTS },
    { 317, "CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY", ARGS_NUMBER, .fate = FATE_NO_EVENTS },
    { 342, "CONNECT_GET_DOMAIN_CAPABILITIES", ARGS_CAPABILITIES, .fate = FATE_CAPABILITIES },
    { 344, "CONNECT_GET_ALL_DOMAIN_STATS", ARGS_STATS, .fate = FATE_STATS, .flags = ANY_FLAGS },
    { 360, "CONNECT_REGISTER_CLOSE_CALLBACK", ARGS_NONE, .fate = FATE_FORWARD },
    { 361, "CONNECT_UNREGISTER_CLOSE_CALLBACK", ARGS_NONE, .fate = FATE_FORWARD },
    { 368, "CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY", ARGS_OTHER_EVENTS, .fate = FATE_CALLBACK },
    { 369, "CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY", ARGS_NUMBER, .fate = FATE_ZEROS },
    { 374, "CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY", ARGS_OTHER_EVENTS, .fate = FATE_CALLBACK },
    { 375, "CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY", ARGS_NUMBER, .fate = FATE_ZEROS },
    { 380, "CONNECT_SECRET_EVENT_REGISTER_ANY", ARGS_OTHER_EVENTS, .fate = FATE_CALLBACK },
    { 381, "CONNECT_SECRET_EVENT_DEREGISTER_ANY", ARGS_NUMBER, .fate = FATE_ZEROS },
    { 401, "CONNECT_LIST_ALL_NWFILTER_BINDINGS", ARGS_LIST, OBJECTS, .flags = ANY_FLAGS },
    { 413, "DOMAIN_LIST_ALL_CHECKPOINTS", ARGS_DOMAIN_NUMBER_FLAGS, OBJECTS, .flags = ANY_FLAGS },
    { 426, "DOMAIN_GET_MESSAGES", ARGS_DOMAIN_FLAGS, .fate = FATE_FORWARD, .flags = 1U << 0 | 1U << 1 },
};

static const struct rpc_event events[] = {
    { 318, "LIFECYCLE", true, 0 },
    { 319, "REBOOT", true, 0 },
    { 320, "RTC_CHANGE", true, 0 },
    { 321, "WATCHDOG", true, 0 },
    { 322, "IO_ERROR", true, 0 },
    { 323, "GRAPHICS", true, 0 },
    { 324, "IO_ERROR_REASON", true, 0 },
    { 325, "CONTROL_ERROR", true, 0 },
    { 326, "BLOCK_JOB", true, 0 },
    { 327, "DISK_CHANGE", true, 0 },
    { 328, "TRAY_CHANGE", true, 0 },
    { 329, "PMWAKEUP", true, 1 },      /* a reason comes first */
    { 330, "PMSUSPEND", true, 1 },
    { 331, "BALLOON_CHANGE", true, 0 },
    { 332, "PMSUSPEND_DISK", true, 1 },
    { 333, "DEVICE_REMOVED", true, 0 },
    { 339, "BLOCK_JOB_2", true, 0 },
    { 346, "TUNABLE", true, 0 },
    { 348, "AGENT_LIFECYCLE", true, 0 },
    { 354, "DEVICE_ADDED", true, 0 },
    { 359, "MIGRATION_ITERATION", true, 0 },
    { 362, "CONNECTION_CLOSED", false, 0 },
    { 363, "JOB_COMPLETED", true, 0 },
    { 367, "DEVICE_REMOVAL_FAILED", true, 0 },
    { 379, "METADATA_CHANGE", true, 0 },
    { 385, "BLOCK_THRESHOLD", true, 0 },
    { 423, "MEMORY_FAILURE", true, 0 },
    { 438, "MEMORY_DEVICE_SIZE_CHANGE", true, 0 },
};

static int compare_row(const void *procedure, const void *row)
{
    uint32_t a = *(const uint32_t *)procedure, b = ((const struct rpc_row *)row)->procedure;

    return (a > b) - (a < b);
}

const struct rpc_row *rpc_allow(uint32_t procedure)
{
    return bsearch(&procedure, rows, sizeof rows / sizeof rows[0], sizeof rows[0], compare_row);
}

const struct rpc_row *rpc_allow_all(size_t *ret_n)
{
    *ret_n = sizeof rows / sizeof rows[0];
    return rows;
}

bool rpc_allow_feature(int32_t feature)
{
    switch (feature) { /* libvirt, src/libvirt_internal.h */
    case 9:  /* TYPED_PARAM_STRING */
    case 10: /* PROGRAM_KEEPALIVE */
    case 14: /* REMOTE_EVENT_CALLBACK */
    case 15: /* REMOTE_CLOSE_CALLBACK */
        return true;
    default:
        return false;
    }
}

const struct rpc_event *rpc_allow_event(uint32_t procedure)
{
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i].procedure == procedure)
            return &events[i];
    return NULL;
}
