// Here-documents: their text is no command, but what `$( )` and backticks run in it is, unless the name was quoted.
//
// A name that two shells could read differently is given up, and so is a document where they differ about its end. What
// is found here is the end that bash finds; whoever moves it hides commands in the text.

#include "reader.h"

// Behind the line at `*at`. A body with an unquoted name is joined at a backslash before the newline.
static bool next_line(const struct document *d, const char **at, const char *end) {
  static const struct set newline = {{[0xa] = COLUMN(0)}};
  static const struct set or_backslash = {{[0xa] = COLUMN(0), [0xc] = COLUMN(5)}};
  const char *p = *at;
  while ((p = find(p, end, d->quoted ? &newline : &or_backslash)) < end && *p != '\n') p = p + 2 < end ? p + 2 : end;
  *at = p < end ? p + 1 : end;
  return p < end;
}

// Whether the line at `*at` is the name alone; then `*at` is behind it. Two lines that only resemble it are given up: one
// that is joined to the next, where bash 5.2 loses its way inside $( ), and `EOF)`, which bash takes for the end there.
static bool is_last(struct shell *s, const struct document *d, const char **at) {
  const char *p = *at;
  unsigned size = 0;
  while (d->tabs && p < s->end && *p == '\t') p++;
  while (size < d->size && p < s->end && *p == d->name[size]) p++, size++;
  bool joined = !d->quoted && s->end - p > 1 && p[0] == '\\' && p[1] == '\n';
  bool closed = size == d->size && p < s->end && *p == ')' && s->here->kind != TOP;
  if (joined || closed) give_up(s, "here-document with a line like its end");
  if (size < d->size || (p < s->end && *p != '\n')) return false;
  *at = p < s->end ? p + 1 : s->end;
  return true;
}

// Reads the bodies that begin here. One that is expanded becomes a level of its own and ends by calling this again.
void read_bodies(struct shell *s) {
  while (s->taken < s->pending) {
    const struct document *d = &s->documents[s->taken++];
    const char *last = s->at, *next = s->at;
    while (!is_last(s, d, &next)) {
      if (!next_line(d, &next, s->end)) return give_up(s, "here-document without an end");
      last = next;
    }
    if (!d->quoted) {
      struct level *body = push(s, BODY);
      body->end = s->end;
      body->next = next;
      s->end = last;
      return;
    }
    s->at = next;
  }
  s->pending = s->taken = 0;
  s->scanned = s->at;
}

void end_body(struct shell *s) {
  s->end = s->here->end;
  s->at = s->here->next;
  pop(s);
  read_bodies(s);
}

// `a[1<<2]=x` announces no document. Whether this could be one of these.
static bool is_in_index(struct shell *s) {
  static const struct set brackets = {{[0xb] = COLUMN(5), [0xd] = COLUMN(5)}};
  const char *p = s->scanned;
  while ((p = find(p, s->at, &brackets)) < s->at) {
    if (*p == ']') s->index = false;
    else if (p > s->start && is_name(p[-1])) s->index = true;
    p++;
  }
  s->scanned = s->at;
  return s->index;
}

// What may mean something else, or something only to some shells, in the name of a document.
static bool is_odd(const struct shell *s, char c, char quote) {
  if (c == '\\') return quote || s->at + 1 == s->end || is_one_of(s->at[1], " \t\n;&|<>()'\"\\$`");
  return is_one_of(c, "$`\n");
}

static void read_name(struct shell *s, struct document *d) {
  char quote = 0;
  for (; s->at < s->end && (quote || !is_one_of(*s->at, " \t\n;&|<>()")); s->at++) {
    char c = *s->at;
    if (c == quote) quote = 0;
    else if (!quote && (c == '\'' || c == '"')) quote = c, d->quoted = true;
    else if (is_odd(s, c, quote)) return give_up(s, "here-document with an odd name");
    else if (c == '\\') d->quoted = true;
    else if (d->size == sizeof d->name) return give_up(s, "here-document with a long name");
    else d->name[d->size++] = c;
  }
  if (quote) give_up(s, UNCLOSED_QUOTE);
  else if (!d->size) give_up(s, "here-document without a name"); // even if it is '': bash loses it inside $( )
}

void announce(struct shell *s) {
  if (s->backticks || s->bodies) return give_up(s, "here-document inside backticks or another one");
  if (is_in_index(s)) return give_up(s, "<< inside [ ]");
  if (s->pending == 8) return give_up(s, "too many here-documents");
  struct document *d = &s->documents[s->pending++];
  *d = (struct document){.tabs = follows(s, '-')};
  while (is_blank(peek(s))) s->at++;
  read_name(s, d);
}
