// Looks for characters, sixteen bytes at a time: a command of a megabyte must not cost its length in instructions.
#pragma once
#include <stdint.h>

// A set of ASCII characters: the character 0xHL is in it if bit H of row L is set.
struct set {
  uint8_t rows[16];
};

// The characters of column H, for writing a set down: `[0xL] = COLUMN(H)`.
#define COLUMN(h) (1 << (h))

// The first character of the set, or the end. May look at 15 bytes behind the end: `take` leaves so many.
const char *find(const char *at, const char *end, const struct set *set);

// Puts a character into a set, if it is ASCII.
void put_into(struct set *set, char c);
