// What may run on a command line.
//
// 1. Every simple command counts, wherever it stands (`shell.c` finds them). A line that cannot be read is refused.
// 2. The command word is the first word behind assignments and wrappers (`sudo`, `env`, ...) with their options. For
//    `deny` a wrapper is a command word, too; for `allow` it is one only if it runs nothing.
// 3. `deny` compares the basename, whatever the case of its letters: file systems exist that find `CURL`.
// 4. An entry of several words fits when the first is the command word and the others are among its arguments. Short
//    flags fit in any order and however they are combined: `rm -rf` is `rm -f -r`.
// 5. `allow` compares exactly. A command word with a folder fits the basename only for the system's folders: anybody
//    can write a file called `./git`. Further words of an entry must be the first arguments, in their order.
// 6. A command word that only the shell can work out (`$X`, `c?rl`, `{a,b}`) is refused: it could be any.
// 7. `deny` wins.

#include "commands.h"

#include "heap.h"
#include "shell.h"
#include "wrappers.h"

struct entry {
  struct text word, more; // the command word, and the words behind it with blanks between
};

struct entries {
  const struct entry *items;
  size_t count;
  uint64_t marks; // of all command words
};

struct rules {
  struct text tool;
  struct texts allow_list;
  struct entries deny, allow;
  uint64_t marks; // of wrappers, too
  struct reason *why;
};

static struct entries entries_of(struct texts list, bool by_basename) {
  struct entry *items = need(list.count * sizeof *items);
  struct entries entries = {items, list.count, 0};
  for (size_t i = 0; i < list.count; i++) {
    struct text rest = list.items[i], word = next_word(&rest);
    items[i] = (struct entry){by_basename ? basename_of(word) : word, rest};
    entries.marks |= mark(basename_of(word));
  }
  return entries;
}

// Entries of several words.

static bool is_short(struct text word) { return word.size > 1 && word.at[0] == '-' && word.at[1] != '-'; }

// Whether a word is there, or a long flag with a value: `--force=yes` is `--force`.
static bool is_among(struct text wanted, struct words words) {
  bool is_long = wanted.size > 2 && begins(wanted, TEXT("--"));
  while (words.at < words.end) {
    struct text word = next_of(&words);
    if (begins(word, wanted) && (word.size == wanted.size || (is_long && word.at[wanted.size] == '='))) return true;
  }
  return false;
}

// Whether every letter of a short flag is in some short flag.
static bool is_combined(struct text flag, struct words words) {
  bool found[256] = {false};
  while (words.at < words.end) {
    struct text word = next_of(&words);
    for (size_t i = 1; is_short(word) && i < word.size; i++) found[(uint8_t)word.at[i]] = true;
  }
  for (size_t i = 1; i < flag.size; i++)
    if (!found[(uint8_t)flag.at[i]]) return false;
  return true;
}

static bool holds(struct text wanted, struct words words) {
  for (struct text word; (word = next_word(&wanted)).size;)
    if (!is_among(word, words) && !(is_short(word) && is_combined(word, words))) return false;
  return true;
}

static bool starts_with(struct words words, struct text wanted) {
  for (struct text word; (word = next_word(&wanted)).size;)
    if (words.at >= words.end || !is(word, next_of(&words))) return false;
  return true;
}

// Refusals.

static struct text alternative(struct text name) {
  static const struct {
    const char *names;
    struct text instead;
  } known[] = {
      {"curl wget http fetch", TEXT("use WebFetch")},
      {"cat head tail less more bat", TEXT("use Read")},
      {"grep egrep fgrep rg ag ack", TEXT("use Grep")},
      {"find fd ls tree locate", TEXT("use Glob")},
      {"sed awk perl ed patch", TEXT("use Edit")},
      {"tee dd touch cp", TEXT("use Write")},
      {"sudo doas su", TEXT("work without it, or ask the user to run it")},
      {"rm rmdir shred", TEXT("leave the files, or ask the user to remove them")},
      {"git", TEXT("prepare it and ask the user to run it")},
  };
  for (size_t i = 0; i < COUNT(known); i++) {
    struct text rest = {known[i].names, strlen(known[i].names)};
    for (struct text word; (word = next_word(&rest)).size;)
      if (is_alike(word, name)) return known[i].instead;
  }
  return TEXT("do it with another tool, or ask the user to run it");
}

static bool refuse(const struct rules *rules, struct text word, struct text more, const char *verdict) {
  struct reason *why = rules->why;
  cite(why, rules->tool);
  SAY(why, " command word \"");
  cite(why, word);
  cite(why, more);
  SAY(why, "\" ");
  say(why, (struct text){verdict, strlen(verdict)});
  return true;
}

static bool cannot_read(const struct rules *rules, const char *what, struct text word) {
  struct reason *why = rules->why;
  SAY(why, "cannot read this command: ");
  say(why, (struct text){what, strlen(what)});
  cite(why, word);
  return true;
}

static bool is_denied(const struct rules *rules, struct text name, struct words arguments) {
  if (!(rules->deny.marks & mark(name))) return false;
  for (size_t i = 0; i < rules->deny.count; i++) {
    const struct entry *entry = &rules->deny.items[i];
    if (!is_alike(entry->word, name) || !holds(entry->more, arguments)) continue;
    refuse(rules, entry->word, entry->more, "is denied here: ");
    say(rules->why, alternative(name));
    return true;
  }
  return false;
}

static bool is_system(struct text folder) {
  static const struct text folders[] = {
      TEXT("/bin/"),  TEXT("/usr/bin/"),  TEXT("/usr/local/bin/"),
      TEXT("/sbin/"), TEXT("/usr/sbin/"), TEXT("/opt/homebrew/bin/"),
  };
  for (size_t i = 0; i < COUNT(folders); i++)
    if (is(folders[i], folder)) return true;
  return false;
}

static bool is_allowed(const struct rules *rules, struct text word, struct text name, struct words arguments) {
  if (!rules->allow.count) return true;
  if (rules->allow.marks & mark(name)) {
    bool by_name = name.size == word.size || is_system((struct text){word.at, word.size - name.size});
    for (size_t i = 0; i < rules->allow.count; i++) {
      const struct entry *entry = &rules->allow.items[i];
      bool fits = is(entry->word, word) || (by_name && is(entry->word, name));
      if (fits && starts_with(arguments, entry->more)) return true;
    }
  }
  refuse(rules, word, TEXT(""), "is not allowed here: use ");
  list(rules->why, rules->allow_list.items, rules->allow_list.count);
  return false;
}

static bool is_unknown(struct text name) {
  static const struct set expanded = {{
      [0x4] = COLUMN(2),             // $
      [0xa] = COLUMN(2),             // *
      [0xb] = COLUMN(5) | COLUMN(7), // [ {
      [0xd] = COLUMN(3),             // =, which is the path of a command in zsh
      [0xf] = COLUMN(3),             // ?
  }};
  if (is(name, TEXT("!"))) return true; // none such; a `!` that bash may still take for its own
  return contains_one_of(name, &expanded) && !is(name, TEXT("[")) && !is(name, TEXT("[["));
}

static bool refuses_word(const struct rules *rules, struct text word, struct words arguments) {
  struct text name = basename_of(word);
  if (is_unknown(name)) return cannot_read(rules, "write out the command word ", word);
  return is_denied(rules, name, arguments) || !is_allowed(rules, word, name, arguments);
}

// Listening to the shell.

static bool refuses_words(void *self, const char *at, const char *end) {
  const struct rules *rules = self;
  struct words words = {at, end};
  for (;;) {
    struct text word = next_of(&words), name = basename_of(word);
    const struct wrapper *wrapper = words.at < words.end ? wrapper_of(name) : 0;
    struct words inside = words;
    enum unwrapped inner = wrapper ? unwrap(wrapper, &inside) : ONLY_ITSELF;
    if (inner == HIDES) return cannot_read(rules, "write out what ", TEXT("env -S runs"));
    if (inner != RUNS) return refuses_word(rules, word, words);
    if (is_denied(rules, name, words)) return true;
    words = inside;
  }
}

static bool has_longer(const struct entries *entries, struct text name) {
  for (size_t i = 0; i < entries->count; i++)
    if (entries->items[i].more.size && is_alike(basename_of(entries->items[i].word), name)) return true;
  return false;
}

static enum interest interest(void *self, const char *at, size_t size, bool plain) {
  struct text word = {at, size};
  const struct rules *rules = self;
  if (plain && !(rules->marks & mark(word))) return rules->allow.count ? ONE_WORD : NOTHING;
  struct text name = basename_of(word);
  return wrapper_of(name) || has_longer(&rules->deny, name) || has_longer(&rules->allow, name) ? ALL_WORDS : ONE_WORD;
}

bool refuses_command(struct text tool, struct text command, struct texts deny, struct texts allow, struct reason *why) {
  struct rules rules = {tool, allow, entries_of(deny, true), entries_of(allow, false), 0, why};
  rules.marks = rules.deny.marks | rules.allow.marks | wrapper_marks();
  const char *unreadable = read_shell(command, &(struct listener){&rules, interest, refuses_words});
  if (unreadable) cannot_read(&rules, unreadable, TEXT(""));
  return why->size;
}
