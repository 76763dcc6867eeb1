/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of a policy: many small things that live exactly as long as the policy, and hash tables that find them. */
#ifndef VG_POLICY_MEM_H
#define VG_POLICY_MEM_H

#include <stddef.h>
#include <stdint.h>

/* Makes room for element n of an array that holds n elements; array is the address of the pointer. The room is a function
 * of n (the next power of two), so that no array needs a capacity beside its count. 0 or -ENOMEM. */
int array_room(void *array, size_t n, size_t size);

struct arena {
    struct arena_chunk *chunks;
};

/* A copy of the bytes with a NUL after them, aligned for any type; NULL: no memory. */
void *arena_copy(struct arena *arena, const void *data, size_t len);
void arena_free(struct arena *arena);

/* From hashes to numbers. The caller compares: a hash may lead to several numbers, and to those of another hash never. */
struct map {
    struct map_slot *slots;
    size_t size, n; /* size: 0 or a power of two */
};

#define MAP_NONE UINT32_MAX

uint32_t map_hash(const void *data, size_t len);
uint32_t map_mix(uint32_t hash, uint32_t with);
/* 0 or -ENOMEM. value < MAP_NONE. */
int map_add(struct map *map, uint32_t hash, uint32_t value);
/* The next number under hash, in no order; *at starts as hash. MAP_NONE: no more. */
uint32_t map_next(const struct map *map, uint32_t hash, size_t *at);
void map_free(struct map *map);

#endif
