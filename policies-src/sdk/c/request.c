#include "request.h"

#include "heap.h"

#define MP_SOURCE 1 // the one place that holds msgpuck's tables
#include "msgpuck.h"

struct cursor {
  const char *at, *end;
};

static void step(struct cursor *c, uint64_t size) {
  if (size > (uint64_t)(c->end - c->at)) __builtin_trap();
  c->at += size;
}

// A big-endian count of `width` bytes.
static uint64_t number(struct cursor *c, unsigned width) {
  const uint8_t *byte = (const uint8_t *)c->at;
  step(c, width);
  uint64_t sum = 0;
  while (width--) sum = sum << 8 | *byte++;
  return sum;
}

// Steps over one value except what it contains, and counts that. msgpuck's own `mp_check` is not used: it trusts counts
// and lengths, and adds them up in 32 bits.
static uint64_t step_over_head(struct cursor *c) {
  uint8_t head = number(c, 1);
  int hint = mp_parser_hint[head];
  if (head == 0xc1 || mp_type_hint[head] == MP_EXT) __builtin_trap(); // no value at all, or one that no host writes
  if (hint >= 0) return step(c, hint), 0;
  if (hint > MP_HINT) return -hint;
  switch (hint) {
  case MP_HINT_STR_8: return step(c, number(c, 1)), 0; // bin has the same hints
  case MP_HINT_STR_16: return step(c, number(c, 2)), 0;
  case MP_HINT_STR_32: return step(c, number(c, 4)), 0;
  case MP_HINT_ARRAY_16: return number(c, 2);
  case MP_HINT_ARRAY_32: return number(c, 4);
  case MP_HINT_MAP_16: return 2 * number(c, 2);
  case MP_HINT_MAP_32: return 2 * number(c, 4);
  default: __builtin_trap();
  }
}

value checked(const char *bytes, size_t size) {
  struct cursor c = {bytes, bytes + size};
  for (uint64_t left = 1; left; left--) left += step_over_head(&c); // a loop: depth costs nothing
  if (c.at != c.end) __builtin_trap();
  return bytes;
}

static enum mp_type type_of(value found) { return mp_typeof(*found); }

static void keep(value found, struct text key, const struct field *fields, size_t count) {
  for (; count; count--, fields++) {
    if (!is(key, fields->name)) continue;
    if (*fields->found) __builtin_trap();
    *fields->found = found;
    return;
  }
}

void fields_of(value map, const struct field *fields, size_t count) {
  if (!map) return;
  if (type_of(map) != MP_MAP) __builtin_trap();
  for (uint32_t left = mp_decode_map(&map); left; left--) {
    struct text key = text_of(map);
    mp_next(&map);
    keep(map, key, fields, count);
    mp_next(&map);
  }
}

value unless_nil(value found) { return found && type_of(found) == MP_NIL ? 0 : found; }

bool is_text(value found) { return found && type_of(found) == MP_STR; }

struct text text_of(value found) {
  if (!found) return TEXT("");
  if (type_of(found) != MP_STR) __builtin_trap();
  uint32_t size;
  const char *at = mp_decode_str(&found, &size);
  return (struct text){at, size};
}

bool truth_of(value found) {
  if (!found) return false;
  if (type_of(found) != MP_BOOL) __builtin_trap();
  return mp_decode_bool(&found);
}

struct texts texts_of(value found) {
  if (!found) return (struct texts){0, 0};
  if (type_of(found) != MP_ARRAY) __builtin_trap();
  uint32_t count = mp_decode_array(&found);
  struct text *items = need(count * sizeof *items);
  for (uint32_t i = 0; i < count; i++, mp_next(&found)) items[i] = text_of(found);
  return (struct texts){items, count};
}
