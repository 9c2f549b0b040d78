// Commands that run the command behind them: `sudo -u root curl` is `curl`.
#pragma once
#include "text.h"

// The words of a simple command, as `shell.h` hands them over.
struct words {
  const char *at, *end;
};

static inline struct text next_of(struct words *words) {
  struct text word = {words->at, strlen(words->at)};
  words->at += word.size + 1;
  return word;
}

struct wrapper;

// The wrapper of this name, or null.
const struct wrapper *wrapper_of(struct text name);

// A bit set of the wrappers' names, by `mark`.
uint64_t wrapper_marks(void);

enum unwrapped {
  RUNS,        // the words begin with the command it runs
  ONLY_ITSELF, // there is no command behind it
  ONLY_ASKS,   // it tells something about the command behind it: `command -v`
  HIDES,       // the command is inside one of its arguments: `env -S`
};

// Steps from behind a wrapper to the command it runs.
enum unwrapped unwrap(const struct wrapper *wrapper, struct words *words);
