#include "reason.h"

#define CITED 80
#define LISTED 5

// As many whole characters as fit: a byte 10xxxxxx goes on with the one before it.
static size_t whole(struct text text, size_t room) {
  if (text.size <= room) return text.size;
  while (room && ((uint8_t)text.at[room] & 0xc0) == 0x80) room--;
  return room;
}

void say(struct reason *reason, struct text text) {
  text.size = whole(text, sizeof reason->at - reason->size);
  memcpy(reason->at + reason->size, text.at, text.size);
  reason->size += text.size;
}

void cite(struct reason *reason, struct text text) {
  size_t shown = whole(text, CITED);
  say(reason, (struct text){text.at, shown});
  if (shown < text.size) SAY(reason, "...");
}

void list(struct reason *reason, const struct text *items, size_t count) {
  for (size_t i = 0; i < count && i < LISTED; i++) {
    if (i) SAY(reason, ", ");
    cite(reason, items[i]);
  }
  if (count > LISTED) SAY(reason, ", ...");
}
