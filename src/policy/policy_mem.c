/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy_mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int array_room(void *array, size_t n, size_t size)
{
    void *old, *grown;

    if (n & (n - 1))
        return 0;
    memcpy(&old, array, sizeof old);
    grown = reallocarray(old, n == 0 ? 1 : 2 * n, size);
    if (!grown)
        return -ENOMEM;
    memcpy(array, &grown, sizeof grown);
    return 0;
}

#define CHUNK_SIZE 65536

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, size;
    max_align_t data[];
};

static struct arena_chunk *add_chunk(struct arena *arena, size_t at_least)
{
    size_t size = at_least > CHUNK_SIZE ? at_least : CHUNK_SIZE;
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);

    if (!chunk)
        return NULL;
    chunk->next = arena->chunks;
    chunk->used = 0;
    chunk->size = size;
    arena->chunks = chunk;
    return chunk;
}

void *arena_copy(struct arena *arena, const void *data, size_t len)
{
    const size_t align = sizeof(max_align_t);
    size_t need = (len / align + 1) * align; /* always leaves a byte for the NUL */
    struct arena_chunk *chunk = arena->chunks;

    if (!chunk || chunk->size - chunk->used < need)
        chunk = add_chunk(arena, need);
    if (!chunk)
        return NULL;
    char *copy = (char *)chunk->data + chunk->used;
    chunk->used += need;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

void arena_free(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
}

struct map_slot {
    uint32_t hash;
    uint32_t value; /* 0: free; else the number + 1 */
};

/* FNV-1a with 64 bits, folded. Keys come from files of root's and lookups add nothing, so nobody can choose collisions. */
uint32_t map_hash(const void *data, size_t len)
{
    const unsigned char *byte = data;
    uint64_t hash = 0xcbf29ce484222325U;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3U;
    return (uint32_t)(hash ^ hash >> 32);
}

uint32_t map_mix(uint32_t hash, uint32_t with)
{
    uint64_t product = (hash ^ (uint64_t)(with + 1U) * 0x9e3779b97f4a7c15U) * 0xbf58476d1ce4e5b9U;

    return (uint32_t)(product >> 32);
}

static void put(struct map_slot *slots, size_t size, struct map_slot slot)
{
    size_t at = slot.hash & (size - 1);

    while (slots[at].value != 0)
        at = (at + 1) & (size - 1);
    slots[at] = slot;
}

static int grow(struct map *map)
{
    size_t size = map->size ? 2 * map->size : 64;
    struct map_slot *slots = calloc(size, sizeof *slots);

    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < map->size; i++)
        if (map->slots[i].value != 0)
            put(slots, size, map->slots[i]);
    free(map->slots);
    map->slots = slots;
    map->size = size;
    return 0;
}

int map_add(struct map *map, uint32_t hash, uint32_t value)
{
    /* At most half full: a search always ends at a free slot, and soon. */
    if (map->n >= map->size / 2 && grow(map) < 0)
        return -ENOMEM;
    put(map->slots, map->size, (struct map_slot){ .hash = hash, .value = value + 1 });
    map->n++;
    return 0;
}

uint32_t map_next(const struct map *map, uint32_t hash, size_t *at)
{
    if (map->size == 0)
        return MAP_NONE;
    for (;;) {
        const struct map_slot *slot = &map->slots[(*at)++ & (map->size - 1)];
        if (slot->value == 0)
            return MAP_NONE;
        if (slot->hash == hash)
            return slot->value - 1;
    }
}

void map_free(struct map *map)
{
    free(map->slots);
    *map = (struct map){ 0 };
}
