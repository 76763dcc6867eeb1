/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replays files (and the files of folders) through a fuzz target, and speaks TAP. Without arguments: the folder
 * $TEST_DATA/fuzz/seeds/NAME, NAME being this program's name without "fuzz_". */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(int dir, const char *name)
{
    FD_AUTO fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    char *data;
    size_t len;

    if (fd < 0 || io_read_all(fd, 1 << 24, &data, &len) < 0)
        return -1;
    LLVMFuzzerTestOneInput((const uint8_t *)data, len);
    free(data);
    return 0;
}

static int replay_folder(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;

    if (!dir) {
        printf("Bail out! no seeds in %s\n", path);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        n++;
        printf("%sok %d - %s\n", replay(dirfd(dir), entry->d_name) < 0 ? "not " : "", n, entry->d_name);
        fflush(stdout);
    }
    closedir(dir);
    printf("1..%d\n", n);
    return n == 0;
}

int main(int argc, char *argv[])
{
    const char *data = getenv("TEST_DATA"), *name = strstr(argv[0], "fuzz_");
    char path[4096];

    if (argc == 2)
        return replay_folder(argv[1]);
    while (name && strstr(name + 1, "fuzz_"))
        name = strstr(name + 1, "fuzz_");
    if (argc != 1 || !data || !name) {
        fprintf(stderr, "usage: %s [FOLDER]  (without FOLDER, TEST_DATA names the folder of the tests)\n", argv[0]);
        return 64;
    }
    snprintf(path, sizeof path, "%s/fuzz/seeds/%s", data, name + strlen("fuzz_"));
    return replay_folder(path);
}
