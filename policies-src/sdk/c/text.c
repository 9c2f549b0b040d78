#include "text.h"

bool alike(const char *one, const char *other, size_t size) {
  while (size && lower(*one) == lower(*other)) one++, other++, size--;
  return !size;
}

bool ends_alike(struct text whole, struct text end) {
  return whole.size >= end.size && alike(whole.at + whole.size - end.size, end.at, end.size);
}

bool contains_alike(struct text whole, struct text part) {
  if (!part.size || part.size > whole.size) return false; // an empty entry in a list speaks about nothing
  char first = lower(*part.at);
  struct set firsts = {0};
  put_into(&firsts, first);
  if (first >= 'a' && first <= 'z') put_into(&firsts, first - 32);
  const char *end = whole.at + whole.size - part.size + 1;
  for (const char *at = whole.at; at < end; at++) {
    if ((uint8_t)first < 128) at = find(at, end, &firsts);
    if (at < end && alike(at, part.at, part.size)) return true;
  }
  return false;
}

struct text basename_of(struct text path) {
  static const struct set slash = {{[0xf] = COLUMN(2)}};
  const char *end = path.at + path.size, *start = path.at, *found;
  while ((found = find(start, end, &slash)) < end) start = found + 1;
  return (struct text){start, end - start};
}

struct text next_word(struct text *rest) {
  while (rest->size && *rest->at == ' ') rest->at++, rest->size--;
  struct text word = {rest->at, 0};
  while (word.size < rest->size && word.at[word.size] != ' ') word.size++;
  rest->at += word.size, rest->size -= word.size;
  return word;
}

bool covers(struct text pattern, struct text name) {
  if (!pattern.size || pattern.at[pattern.size - 1] != '*') return is(pattern, name);
  return begins(name, (struct text){pattern.at, pattern.size - 1});
}

// The size of the character at `at`, 0 if it is none: RFC 3629, section 4.
static size_t character(const uint8_t *at, size_t left) {
  if (at[0] < 0x80) return 1;
  size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
  if (at[0] < 0xc2 || at[0] > 0xf4 || size > left) return 0;
  uint8_t least = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80; // not in a longer form than needed,
  uint8_t most = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;  // no surrogate, nothing over U+10FFFF
  if (at[1] < least || at[1] > most) return 0;
  for (size_t i = 2; i < size; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  return size;
}

bool is_utf8(struct text text) {
  while (text.size) {
    size_t size = character((const uint8_t *)text.at, text.size);
    if (!size) return false;
    text.at += size, text.size -= size;
  }
  return true;
}
