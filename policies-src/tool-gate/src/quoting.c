// What quotes, backslashes and `$` do, and what goes on inside them.
//
// Inside backticks the shell removes backslashes before it reads the rest, and ends at the next backtick whatever it is
// part of. Who needs quotes there can use `$( )`: they are given up.

#include "reader.h"

void double_quote(struct shell *s) {
  add_quoted(s, "", 0);
  push(s, QUOTES);
}

void single_quote(struct shell *s) {
  static const struct set quote = {{[0x7] = COLUMN(2)}};
  static const struct set or_more = {{[0x0] = COLUMN(6), [0x7] = COLUMN(2), [0xc] = COLUMN(5)}}; // ` \ as well
  const char *start = s->at;
  s->at = find(start, s->end, s->backticks ? &or_more : &quote);
  if (s->at == s->end) return give_up(s, UNCLOSED_QUOTE);
  if (*s->at != '\'') return give_up(s, "a backtick or backslash inside backticks");
  add_quoted(s, start, s->at++ - start);
}

// $'...': what its backslashes make of it is not worked out; the `$` in the word stands for it.
static void ansi_quote(struct shell *s) {
  for (s->at++; s->at < s->end && *s->at != '\''; s->at++) {
    if (s->backticks) return give_up(s, "$' inside backticks");
    if (*s->at == '\\') s->at++;
  }
  if (s->at >= s->end) give_up(s, UNCLOSED_QUOTE);
  else s->at++;
}

void dollar(struct shell *s) {
  enum kind kind = s->here->kind;
  add_quoted(s, "$", 1);
  switch (peek(s)) {
  case '(':
    s->at++;
    push(s, follows(s, '(') ? SUM : SUBSTITUTION);
    break;
  case '{':
    s->at++;
    if (is_one_of(peek(s), " \t\n|(")) give_up(s, "a command inside ${ }");
    else push(s, BRACES);
    break;
  case '[':
    if (kind <= ARRAY) give_up(s, "$[ ], which is $(( ))");
    break;
  case '\'':
    if (kind <= ARRAY) ansi_quote(s);
    else if (kind == BRACES) give_up(s, "a quote inside ${ }");
    break;
  }
}

void backtick(struct shell *s) {
  struct level *here = s->here;
  if (!s->backticks) {
    add_quoted(s, "$", 1);
    push(s, BACKTICKS);
  } else if (here->kind == BACKTICKS) {
    end_command(s);
    pop(s);
  } else {
    give_up(s, "a backtick inside backticks");
  }
}

void backslash(struct shell *s) {
  if (s->at == s->end) return;
  enum kind kind = s->here->kind;
  if (s->backticks && is_one_of(*s->at, "$`\\\"")) return give_up(s, "a backslash inside backticks");
  if (kind == SUM && *s->at != '\n') return give_up(s, "a quote inside (( ))");
  bool kept = kind == QUOTES && !is_one_of(*s->at, "$`\\\"\n");
  if (kept) return add(s, "\\", 1);
  if (*s->at++ != '\n') add_quoted(s, s->at - 1, 1);
}

// Inside ${ }.
void in_braces(struct shell *s, char c) {
  if (c == '}') return pop(s);
  if (c == '<' || c == '>') return (void)(follows(s, '(') && push(s, SUBSTITUTION));
  if ((c == '\'' && s->here->in_quotes) || s->bodies) return give_up(s, "a quote inside ${ }");
  if (c == '\'') return single_quote(s);
  push(s, QUOTES);
}
