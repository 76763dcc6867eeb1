/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "doctor/doctor.h"

/* Nobody else can put another file in its place. */
static bool is_roots_path(const char *path)
{
    char part[256];
    struct stat st;

    snprintf(part, sizeof part, "%s", path);
    if (part[0] != '/' || stat(part, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    for (;;) {
        if (stat(part, &st) < 0 || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
            return false;
        if (!part[1])
            return true;
        char *slash = strrchr(part, '/');
        slash[slash == part] = '\0';
    }
}

/* Anybody can call a program sshd and give it any title. */
static bool is_roots(pid_t pid, uid_t uid, const char *exe)
{
    char path[64];
    struct stat root, here;

    if (uid != 0)
        return false;
    /* In a container its path means another file than here. */
    snprintf(path, sizeof path, "/proc/%ld/root/.", (long)pid);
    if (stat(path, &root) < 0 || stat("/", &here) < 0 || root.st_dev != here.st_dev || root.st_ino != here.st_ino)
        return false;
    return is_roots_path(exe);
}

static bool read_process(pid_t pid, struct process *ret, char **ret_cmdline)
{
    char path[64];
    static const char deleted[] = " (deleted)";
    struct stat st;

    snprintf(path, sizeof path, "/proc/%ld", (long)pid);
    if (stat(path, &st) < 0)
        return false;
    *ret = (struct process){ .pid = pid, .uid = st.st_uid };
    snprintf(path, sizeof path, "/proc/%ld/exe", (long)pid);
    ssize_t n = readlink(path, ret->exe, sizeof ret->exe - 1);
    if (n < 0)
        return false;
    ret->exe[n] = '\0';
    /* A program that was replaced since is still that program. */
    size_t len = strlen(ret->exe), tail = sizeof deleted - 1;
    if (len > tail && strcmp(ret->exe + len - tail, deleted) == 0)
        ret->exe[len - tail] = '\0';
    const char *slash = strrchr(ret->exe, '/');
    ret->name = slash ? slash + 1 : ret->exe;
    ret->is_roots = is_roots(pid, st.st_uid, ret->exe);
    snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || io_read_all(fd, 1 << 20, ret_cmdline, &ret->len) < 0)
        return false;
    ret->cmdline = *ret_cmdline;
    return true;
}

static bool is_wanted(const char *name, const char *const names[])
{
    for (size_t i = 0; names[i]; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

void process_each(const char *const names[], void (*visit)(void *context, const struct process *process), void *context)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;

    while (proc && (entry = readdir(proc))) {
        struct process process;
        char *cmdline = NULL;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (read_process((pid_t)strtol(entry->d_name, NULL, 10), &process, &cmdline) && is_wanted(process.name, names))
            visit(context, &process);
        free(cmdline);
    }
    if (proc)
        closedir(proc);
}

size_t process_sockets(pid_t pid, ino_t **ret)
{
    char path[64], target[64];
    size_t n = 0;
    const struct dirent *entry;

    *ret = NULL;
    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *folder = opendir(path);
    while (folder && (entry = readdir(folder))) {
        unsigned long inode;
        ssize_t len = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        target[len < 0 ? 0 : len] = '\0';
        if (sscanf(target, "socket:[%lu]", &inode) != 1)
            continue;
        ino_t *list = reallocarray(*ret, n + 1, sizeof *list);
        if (!list)
            break;
        *ret = list;
        list[n++] = inode;
    }
    if (folder)
        closedir(folder);
    return n;
}
