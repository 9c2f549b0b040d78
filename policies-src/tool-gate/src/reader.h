// The inside of the shell reader: `shell.c` goes from character to character and holds the levels of nesting, `words.c`
// collects words and simple commands; `operators.c`, `quoting.c` and `documents.c` are what characters do.
#pragma once
#include "shell.h"

#define UNCLOSED_QUOTE "unclosed quote"

enum kind { TOP, SUBSHELL, SUBSTITUTION, BACKTICKS, ARRAY, QUOTES, BRACES, SUM, BODY }; // up to ARRAY: of words

enum phase {
  START,   // no word of this simple command yet, or only `time`
  WORDS,   // its words are kept
  LISTEN,  // its words are data, but one of them ends that
  IGNORED, // its words do not matter
};

struct level {
  enum kind kind;
  struct level *owner; // the innermost level of words: itself, or the one whose word this level is part of
  // of words:
  enum phase phase;
  bool in_word;       // the word at hand has begun,
  bool quoted;        // some of it was quoted or expanded,
  bool unusual;       // some of it is one of / = * ? [ {
  bool target;        // it belongs to a redirection
  bool reserved;      // a reserved word would be one here
  bool name;          // the next word is the name of a function
  bool test;          // inside [[ ]]
  bool loop;          // behind `for`: `do` starts a command
  unsigned cases;     // open `case`: their `)` ends a pattern
  unsigned muted;     // levels above that are part of the word at hand, but not of its text
  unsigned pending;   // here-documents that waited for their bodies when this level was opened
  char *words, *word; // where the simple command and the word at hand begin
  // of other kinds:
  bool in_quotes;   // braces where a quote does not quote, or not in every shell
  unsigned parens;  // of a sum
  const char *end;  // of a body: the end of what surrounds it,
  const char *next; // and where that goes on
};

struct document {
  char name[64];
  unsigned size;
  bool quoted, tabs;
};

struct shell {
  const char *start, *at, *end;
  bool stopped; // the listener has heard enough, or
  const char *why; // it cannot be read
  const struct listener *listener;
  char *out; // where the next byte of a word goes
  struct level *here;
  unsigned backticks, bodies; // levels of these kinds that are open
  unsigned pending, taken;    // here-documents: announced since the last newline, and bodies of them read
  struct document documents[8];
  const char *scanned; // up to here `index` is right
  bool index;          // the last `name[` has no `]` yet
  struct level levels[64];
};

static inline void give_up(struct shell *s, const char *why) {
  s->why = why;
  s->stopped = true;
}

static inline bool is_blank(char c) { return c == ' ' || c == '\t'; }

static inline bool is_name(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static inline bool is_one_of(char c, const char *set) {
  while (*set && *set != c) set++;
  return *set;
}

// The next character; 0 at the end, where no character is left to mean anything. A newline behind a backslash is gone
// before the shell looks: `$\` and `(` on the next line are `$(`.
static inline char peek(struct shell *s) {
  while (s->end - s->at > 1 && s->at[0] == '\\' && s->at[1] == '\n') s->at += 2;
  return s->at < s->end ? *s->at : 0;
}

static inline bool follows(struct shell *s, char c) {
  if (peek(s) != c) return false;
  s->at++;
  return true;
}

// shell.c
struct level *push(struct shell *s, enum kind kind);
void pop(struct shell *s);

// words.c
void add(struct shell *s, const char *from, size_t size);        // to the word at hand, which it begins
void add_quoted(struct shell *s, const char *from, size_t size); // the same, and it is no reserved word any more
void end_word(struct shell *s);
void end_command(struct shell *s);
struct text word_at_hand(const struct shell *s);

// operators.c: the character has been stepped over
void newline(struct shell *s);
void separator(struct shell *s, char c);
void open_parenthesis(struct shell *s);
void close_parenthesis(struct shell *s);
void redirect(struct shell *s, char c);
void comment(struct shell *s);
void brace(struct shell *s, char c);
void unusual(struct shell *s, char c);
void in_sum(struct shell *s, char c);

// quoting.c: the same
void single_quote(struct shell *s);
void double_quote(struct shell *s);
void dollar(struct shell *s);
void backtick(struct shell *s);
void backslash(struct shell *s);
void in_braces(struct shell *s, char c);

// documents.c
void announce(struct shell *s);    // behind `<<`
void read_bodies(struct shell *s); // behind a newline
void end_body(struct shell *s);
