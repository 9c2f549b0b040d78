// Texts that stay where they are: bytes in the request or constants, with their size and without a NUL at the end.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "scan.h"

struct text {
  const char *at;
  size_t size;
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})

static inline bool is(struct text one, struct text other) {
  return one.size == other.size && !memcmp(one.at, other.at, one.size);
}

static inline char lower(char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

bool alike(const char *one, const char *other, size_t size);

// The same but for the case of ASCII letters.
static inline bool is_alike(struct text one, struct text other) {
  return one.size == other.size && (!one.size || (!((*one.at ^ *other.at) & 31) && alike(one.at, other.at, one.size)));
}

bool ends_alike(struct text whole, struct text end);

bool contains_alike(struct text whole, struct text part);

static inline bool begins(struct text whole, struct text start) {
  return whole.size >= start.size && !memcmp(whole.at, start.at, start.size);
}

static inline bool contains_one_of(struct text whole, const struct set *set) {
  const char *end = whole.at + whole.size;
  return find(whole.at, end, set) < end;
}

// A bit that words have in common when they are alike, and rarely otherwise: most words need no comparison. It was
// chosen to tell usual commands from wrappers.
static inline uint64_t mark(struct text word) {
  return word.size ? 1ull << (((*word.at & 31) * 6 + (word.at[word.size / 2] & 31) + word.size * 15) & 63) : 1;
}

// What follows the last slash.
struct text basename_of(struct text path);

// The text up to the first blank, which it loses together with that blank; empty when there is none left.
struct text next_word(struct text *rest);

bool is_utf8(struct text text);

// A name with an optional `*` at its end against a name.
bool covers(struct text pattern, struct text name);
