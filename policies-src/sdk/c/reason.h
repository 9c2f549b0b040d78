// The one line that says why: what is wrong, and what to do instead.
#pragma once
#include "text.h"

struct reason {
  char at[600]; // the host cuts at 2,000 characters; ours are short
  size_t size;
};

// Adds a text, as far as there is room.
void say(struct reason *reason, struct text text);

// Adds at most 80 bytes of a text that somebody else wrote, cut between characters.
void cite(struct reason *reason, struct text text);

// Adds the first texts of a list: `a, b, c`.
void list(struct reason *reason, const struct text *items, size_t count);

#define SAY(reason, literal) say(reason, TEXT(literal))
