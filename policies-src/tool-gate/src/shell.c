// How bash and zsh split a command line, as far as one must know to tell which simple commands it runs.
//
// 1. Simple commands end at `;` `&` `|` `(` `)` and newlines, and at `{` and `}` that stand alone.
// 2. `$( )`, `<( )`, `>( )` and backticks hold commands of their own, also inside double quotes, `${ }`, `$(( ))` and
//    here-documents whose name is not quoted. The word that they stand in goes on behind them.
// 3. Quotes and backslashes are removed from words; what they enclose is no operator. Comments are stepped over, and so
//    are redirections with their targets, here-documents, and assignments before a command.
// 4. Reserved words (`if`, `do`, `!`, ...) are no commands; the words of `for`, `select`, `case`, `[[ ]]` and arrays
//    are data. A reserved word is one only where the shell would see it.
// 5. What is not closed is not read. Neither is what two shells, or two readings of the manual, could take differently:
//    whoever hides a command does it there. `give_up` names each of these.
//
// One pass, and every character is looked at a fixed number of times. Levels of nesting are a stack, without recursion.

#include "heap.h"
#include "reader.h"

// Characters that mean something, by where; everything else is part of a word, or of nothing. Rows and columns are
// those of an ASCII table.
#define EXPANDED [0x4] = COLUMN(2), [0xc] = COLUMN(5), [0x0] = COLUMN(6) // $ \ `

static const struct set kept_words = {{
    [0x0] = COLUMN(0) | COLUMN(2) | COLUMN(6), // NUL, blank, `
    [0x2] = COLUMN(2),                         // "
    [0x3] = COLUMN(2),                         // #
    [0x4] = COLUMN(2),                         // $
    [0x6] = COLUMN(2),                         // &
    [0x7] = COLUMN(2),                         // '
    [0x8] = COLUMN(2),                         // (
    [0x9] = COLUMN(0) | COLUMN(2),             // tab, )
    [0xa] = COLUMN(0) | COLUMN(2),             // newline, *
    [0xb] = COLUMN(3) | COLUMN(5) | COLUMN(7), // ; [ {
    [0xc] = COLUMN(3) | COLUMN(5) | COLUMN(7), // < \ |
    [0xd] = COLUMN(3) | COLUMN(7),             // = }
    [0xe] = COLUMN(3),                         // >
    [0xf] = COLUMN(2) | COLUMN(3),             // / ?
}};
static const struct set ignored_words = {{
    // without blank, tab, * [ = / ?
    [0x0] = COLUMN(0) | COLUMN(6), [0x2] = COLUMN(2), [0x3] = COLUMN(2), [0x4] = COLUMN(2),
    [0x6] = COLUMN(2), [0x7] = COLUMN(2), [0x8] = COLUMN(2), [0x9] = COLUMN(2), [0xa] = COLUMN(0),
    [0xb] = COLUMN(3) | COLUMN(7), [0xc] = COLUMN(3) | COLUMN(5) | COLUMN(7), [0xd] = COLUMN(7), [0xe] = COLUMN(3),
}};
static const struct set body = {{EXPANDED}};
static const struct set quotes = {{EXPANDED, [0x2] = COLUMN(2)}}; // "
static const struct set braces = {{
    [0x0] = COLUMN(6),             // `
    [0x2] = COLUMN(2),             // "
    [0x4] = COLUMN(2),             // $
    [0x7] = COLUMN(2),             // '
    [0xc] = COLUMN(3) | COLUMN(5), // \ <
    [0xd] = COLUMN(7),             // }
    [0xe] = COLUMN(3),             // >
}};
static const struct set sum = {{
    EXPANDED, [0x2] = COLUMN(2), [0x7] = COLUMN(2), [0x8] = COLUMN(2), [0x9] = COLUMN(2), // " ' ( )
}};

static const struct set *meanings(const struct level *here) {
  switch (here->kind) {
  case QUOTES: return &quotes;
  case BRACES: return &braces;
  case SUM: return &sum;
  case BODY: return &body;
  default: return here->phase == IGNORED ? &ignored_words : &kept_words;
  }
}

struct level *push(struct shell *s, enum kind kind) {
  if (s->here == s->levels + 63) return give_up(s, "nested too deeply"), s->here;
  struct level *below = s->here, *level = ++s->here;
  *level = (struct level){.kind = kind, .owner = kind <= ARRAY ? level : below->owner, .reserved = true};
  level->words = level->word = s->out;
  level->pending = s->pending;
  level->phase = kind == ARRAY ? IGNORED : START;
  level->in_quotes = below->kind >= QUOTES && (below->kind != BRACES || below->in_quotes);
  s->backticks += kind == BACKTICKS;
  s->bodies += kind == BODY;
  if (kind > QUOTES) level->owner->muted++;
  return level;
}

void pop(struct shell *s) {
  struct level *level = s->here--;
  s->backticks -= level->kind == BACKTICKS;
  s->bodies -= level->kind == BODY;
  if (level->kind > QUOTES) level->owner->muted--;
  if (level->owner == level) s->out = level->words;
}

static void in_words(struct shell *s, char c) {
  switch (c) {
  case ' ':
  case '\t': return end_word(s);
  case '\n': return newline(s);
  case ';':
  case '&':
  case '|': return separator(s, c);
  case '(': return open_parenthesis(s);
  case ')': return close_parenthesis(s);
  case '<':
  case '>': return redirect(s, c);
  case '#': return comment(s);
  case '{':
  case '}': return brace(s, c);
  case '\'': return single_quote(s);
  case '"': return double_quote(s);
  case '/':
  case '=':
  case '*':
  case '?':
  case '[': return unusual(s, c);
  case '$': return dollar(s);
  case '`': return backtick(s);
  case '\\': return backslash(s);
  default: give_up(s, "a character without a meaning"); // NUL
  }
}

// Here a character means something.
static void mean(struct shell *s, char c) {
  if (s->here->owner == s->here) return in_words(s, c);
  if (c == '$') return dollar(s);
  if (c == '`') return backtick(s);
  if (c == '\\') return backslash(s);
  if (s->here->kind == QUOTES) return pop(s); // c is the other quote
  if (s->here->kind == BRACES) return in_braces(s, c);
  in_sum(s, c);
}

// Characters up to the next that means something, and that one.
static void advance(struct shell *s) {
  const struct set *set = meanings(s->here);
  const char *start = s->at, *p = find(start, s->end, set);
  if (p > start) {
    add(s, start, p - start);
    if (set == &ignored_words) s->here->in_word = !is_blank(p[-1]);
  }
  s->at = p;
  if (p == s->end) return;
  s->at++;
  mean(s, *p);
}

static const char *unclosed(enum kind kind) {
  switch (kind) {
  case TOP: return 0;
  case QUOTES: return UNCLOSED_QUOTE;
  case BACKTICKS: return "unclosed backtick";
  case BRACES: return "unclosed ${";
  default: return "unclosed parenthesis";
  }
}

const char *read_shell(struct text command, const struct listener *listener) {
  static struct shell shell; // large, and zero where it matters
  struct shell *s = &shell;
  s->start = s->at = s->scanned = command.at;
  s->end = command.at + command.size;
  s->listener = listener;
  s->out = need(command.size + 1); // every byte of a word and its NUL stands for a character, but for the last NUL
  s->here = s->levels;
  *s->here = (struct level){.owner = s->here, .reserved = true, .words = s->out, .word = s->out};
  while (!s->stopped) {
    if (s->at < s->end) advance(s);
    else if (s->here->kind == BODY) end_body(s);
    else break;
  }
  if (!s->stopped && s->here->kind == TOP) end_command(s);
  return s->stopped ? s->why : unclosed(s->here->kind);
}
