// Options of wrappers, as far as one must know to find the command behind them.

#include "wrappers.h"

struct wrapper {
  struct text name;
  const char *letters; // short options that take an argument
  const char *longs;   // long ones, with blanks between
  unsigned operands;   // words of its own before the command
};

static const struct wrapper wrappers[] = {
    {TEXT("sudo"), "CDghpRrTtUu",
     "chdir chroot close-from command-timeout group host other-user prompt role type user", 0},
    {TEXT("env"), "auC", "argv0 chdir unset", 0},
    {TEXT("nohup"), "", "", 0},
    {TEXT("time"), "fo", "format output", 0},
    {TEXT("exec"), "a", "", 0},
    {TEXT("command"), "", "", 0},
    {TEXT("xargs"), "adEILnPsJRS", "arg-file delimiter max-args max-chars max-procs process-slot-var", 0},
    {TEXT("nice"), "n", "adjustment", 0},
    // and what is used in the same way
    {TEXT("timeout"), "ks", "kill-after signal", 1},
    {TEXT("doas"), "Cu", "", 0},
    {TEXT("setsid"), "", "", 0},
    {TEXT("stdbuf"), "eio", "error input output", 0},
    {TEXT("builtin"), "", "", 0},
    {TEXT("noglob"), "", "", 0},
    {TEXT("nocorrect"), "", "", 0},
    {TEXT("-"), "", "", 0},
};

uint64_t wrapper_marks(void) {
  uint64_t marks = 0;
  for (size_t i = 0; i < COUNT(wrappers); i++) marks |= mark(wrappers[i].name);
  return marks;
}

const struct wrapper *wrapper_of(struct text name) {
  for (size_t i = 0; i < COUNT(wrappers); i++)
    if (is_alike(wrappers[i].name, name)) return &wrappers[i];
  return 0;
}

static bool has(const char *letters, char c) {
  while (*letters && *letters != c) letters++;
  return *letters;
}

// Whether a long option is one of the names, which it may shorten.
static bool names(const char *longs, struct text option) {
  struct text rest = {longs, strlen(longs)};
  for (struct text name; (name = next_word(&rest)).size;)
    if (begins(name, option)) return true;
  return false;
}

enum option { ALONE, WITH_ARGUMENT, ENDS_OPTIONS, QUERY, STRING };

static enum option long_option(const struct wrapper *wrapper, struct text name) {
  if (!name.size) return ENDS_OPTIONS;
  if (is(wrapper->name, TEXT("env")) && *name.at == 's') return STRING; // --split-string
  return !memchr(name.at, '=', name.size) && names(wrapper->longs, name) ? WITH_ARGUMENT : ALONE;
}

static enum option option_of(const struct wrapper *wrapper, struct text word) {
  if (word.size > 1 && word.at[1] == '-') return long_option(wrapper, (struct text){word.at + 2, word.size - 2});
  for (size_t i = 1; i < word.size; i++) {
    char c = word.at[i];
    if (is(wrapper->name, TEXT("env")) && c == 'S') return STRING; // a whole command in one word
    if (is(wrapper->name, TEXT("command")) && (c == 'v' || c == 'V')) return QUERY;
    if (has(wrapper->letters, c)) return i + 1 == word.size ? WITH_ARGUMENT : ALONE;
  }
  return ALONE;
}

static bool is_assignment(struct text word) {
  size_t i = 0;
  while (i < word.size && word.at[i] != '=' && word.at[i] != '/') i++;
  return i && i < word.size && word.at[i] == '=';
}

// Steps from behind a wrapper to the command it runs. Returns what stopped it, if it did not get there.
enum unwrapped unwrap(const struct wrapper *wrapper, struct words *words) {
  unsigned operands = wrapper->operands;
  bool options = true;
  while (words->at < words->end) {
    struct words ahead = *words;
    struct text word = next_of(&ahead);
    if (options && word.size && *word.at == '-') {
      enum option option = option_of(wrapper, word);
      if (option == QUERY) return ONLY_ASKS;
      if (option == STRING) return HIDES;
      options = option != ENDS_OPTIONS;
      if (option == WITH_ARGUMENT && ahead.at < ahead.end) next_of(&ahead);
    } else if (operands) {
      operands--;
    } else if (!is_assignment(word)) {
      return RUNS;
    }
    *words = ahead;
  }
  return ONLY_ITSELF;
}
