// Which simple commands a shell command runs.
#pragma once
#include "text.h"

// Who wants to know. The words of a simple command follow each other, each with a NUL behind it; quotes and backslashes
// are gone from them, and what only the shell can fill in is a `$`.
struct listener {
  void *self;
  // What to tell about the simple command that begins with this word: a script has many, and few matter. A plain word
  // has no quote, slash, `=`, nor anything that the shell expands. (No struct text: it would be passed in memory.)
  enum interest { NOTHING, ONE_WORD, ALL_WORDS } (*interest)(void *self, const char *at, size_t size, bool plain);
  // A simple command, from its first word that is no assignment. True ends the reading.
  bool (*hears)(void *self, const char *words, const char *end);
};

// Reads all of a command. Returns null, or why it cannot be read.
const char *read_shell(struct text command, const struct listener *listener);
