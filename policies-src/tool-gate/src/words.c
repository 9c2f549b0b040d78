// Words and simple commands: what is kept of them, and when the listener hears of one.
//
// A word at the start of a simple command may be a reserved word or an assignment, which are no words of the command,
// or the command word. Whether the words behind that are kept is the listener's choice.

#include "reader.h"

void add(struct shell *s, const char *from, size_t size) {
  struct level *owner = s->here->owner;
  if (owner->muted) return;
  owner->in_word = true;
  if (owner->phase == IGNORED) return;
  memcpy(s->out, from, size);
  s->out += size;
}

void add_quoted(struct shell *s, const char *from, size_t size) {
  struct level *owner = s->here->owner;
  add(s, from, size);
  owner->quoted |= !owner->muted;
}

struct text word_at_hand(const struct shell *s) {
  return (struct text){s->here->word, s->out - s->here->word};
}

static void hear(struct shell *s) {
  struct level *here = s->here;
  if (s->out > here->words && !s->stopped) s->stopped = s->listener->hears(s->listener->self, here->words, s->out);
  s->out = here->word = here->words;
}

static bool is_assignment(struct text word) {
  size_t i = 0;
  while (i < word.size && is_name(word.at[i])) i++;
  if (!i || (word.at[0] >= '0' && word.at[0] <= '9')) return false;
  if (i < word.size && word.at[i] == '[') while (i < word.size && word.at[i++] != ']') {}
  if (i < word.size && word.at[i] == '+') i++;
  return i < word.size && word.at[i] == '=';
}

enum role { NO, BEFORE_COMMAND, END_OF_CASE, CASE, FOR, FUNCTION, TEST, COPROC };

#define IS(literal) is(word, TEXT(literal))

// Every first word comes here, so this is no loop over a table.
static enum role role_of(struct text word) {
  switch (word.size ? *word.at : 0) {
  case '!': return IS("!") ? BEFORE_COMMAND : NO;
  case '[': return IS("[[") ? TEST : NO;
  case 'c': return IS("case") ? CASE : IS("coproc") ? COPROC : NO;
  case 'd': return IS("do") || IS("done") ? BEFORE_COMMAND : NO;
  case 'e': return IS("else") || IS("elif") ? BEFORE_COMMAND : IS("esac") ? END_OF_CASE : NO;
  case 'f': return IS("fi") ? BEFORE_COMMAND : IS("for") || IS("foreach") ? FOR : IS("function") ? FUNCTION : NO;
  case 'i': return IS("if") ? BEFORE_COMMAND : NO;
  case 'r': return IS("repeat") ? FUNCTION : NO;
  case 's': return IS("select") ? FOR : NO;
  case 't': return IS("then") ? BEFORE_COMMAND : NO;
  case 'u': return IS("until") ? BEFORE_COMMAND : NO;
  case 'w': return IS("while") ? BEFORE_COMMAND : NO;
  default: return NO;
  }
}

static void take_role(struct shell *s, enum role role) {
  struct level *here = s->here;
  s->out = here->word; // the reserved word is none of the command's
  hear(s);             // `time`, if it came before
  here->cases += role == CASE;
  here->cases -= role == END_OF_CASE && here->cases;
  here->name = role == FUNCTION;
  here->test = role == TEST;
  here->loop = role == FOR;
  here->phase = role == CASE ? IGNORED : here->test || here->loop ? LISTEN : START;
  if (role == COPROC) give_up(s, "coproc");
}

// The first word that is no assignment. `time` is one more reserved word, but also a program: it is kept.
static void first_word(struct shell *s, struct text word) {
  struct level *here = s->here;
  bool timed = here->word > here->words;
  if (here->reserved && !here->quoted && is(word, TEXT("time"))) return;
  if (timed && (is(word, TEXT("-p")) || is(word, TEXT("--")))) return;
  bool plain = !here->quoted && !here->unusual;
  enum interest interest = timed ? ALL_WORDS : s->listener->interest(s->listener->self, word.at, word.size, plain);
  here->phase = interest == ALL_WORDS ? WORDS : IGNORED;
  if (interest == NOTHING) s->out = here->word;
  else if (interest == ONE_WORD) hear(s);
}

static void starting_word(struct shell *s, struct text word) {
  struct level *here = s->here;
  enum role role = here->quoted ? NO : role_of(word);
  if (here->name || (here->unusual && is_assignment(word))) {
    s->out = here->word;
    here->reserved = here->name;
    here->name = false;
  } else if (role && !here->reserved) {
    give_up(s, "a reserved word behind a redirection or an assignment"); // bash may swap them: `$(<f ! ls)`
  } else if (role) {
    take_role(s, role);
  } else {
    *s->out++ = 0;
    first_word(s, word);
  }
}

// A word among data: the one that ends them.
static void listening_word(struct shell *s, struct text word) {
  struct level *here = s->here;
  bool ends = !here->quoted && ((here->test && is(word, TEXT("]]"))) || (here->loop && is(word, TEXT("do"))));
  s->out = here->word;
  if (!ends) return;
  here->test = here->loop = false;
  here->phase = START;
}

void end_word(struct shell *s) {
  struct level *here = s->here;
  if (!here->in_word) return;
  if (here->phase != IGNORED) {
    struct text word = word_at_hand(s);
    if (here->target) s->out = here->word;
    else if (here->phase == START) starting_word(s, word);
    else if (here->phase == LISTEN) listening_word(s, word);
    else *s->out++ = 0;
  }
  here->in_word = here->quoted = here->unusual = here->target = false;
  here->word = s->out;
}

void end_command(struct shell *s) {
  struct level *here = s->here;
  end_word(s);
  hear(s);
  here->phase = START;
  here->quoted = here->unusual = here->target = false; // where words do not matter, they end without notice
  here->reserved = true;
  here->name = here->test = here->loop = false;
}
