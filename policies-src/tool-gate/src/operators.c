// What the characters between words do: operators, parentheses, redirections, comments, braces.

#include "reader.h"

void newline(struct shell *s) {
  if (s->here->kind == ARRAY) s->here->in_word = false;
  else end_command(s);
  if (s->pending == s->taken) return;
  if (s->here->pending || s->here->kind == ARRAY) return give_up(s, "here-document around a line break");
  read_bodies(s);
}

static bool is_array(const struct shell *s) {
  if (!s->here->in_word || s->at - s->start < 3 || s->at[-2] != '=') return false;
  char before = s->at[-3];
  return is_name(before) || before == '+' || before == ']';
}

void open_parenthesis(struct shell *s) {
  struct level *here = s->here;
  if (here->test) return end_word(s);
  if (here->kind == ARRAY) return give_up(s, "an operator inside an array");
  if (is_array(s)) return (void)push(s, ARRAY);
  end_word(s);
  push(s, follows(s, '(') ? SUM : SUBSHELL);
}

void close_parenthesis(struct shell *s) {
  struct level *here = s->here;
  if (here->test) return end_word(s);
  if (here->kind == ARRAY) return pop(s);
  bool closes = !here->cases && (here->kind == SUBSHELL || here->kind == SUBSTITUTION);
  end_command(s);
  if (!closes) return; // the end of a pattern
  if (s->pending > here->pending) return give_up(s, "here-document without an end");
  pop(s);
  if (here->kind == SUBSHELL) end_command(s);
}

static bool is_descriptor(struct text word) {
  while (word.size && *word.at >= '0' && *word.at <= '9') word.at++, word.size--;
  return !word.size;
}

void redirect(struct shell *s, char c) {
  struct level *here = s->here;
  if (peek(s) == '(') {
    add_quoted(s, "$", 1);
    s->at++;
    push(s, SUBSTITUTION);
    return;
  }
  if (here->kind == ARRAY) return give_up(s, "an operator inside an array");
  bool number = here->in_word && here->phase != IGNORED && is_descriptor(word_at_hand(s));
  here->target |= number; // it is no word, either
  end_word(s);
  if (here->test) return;
  here->reserved = false;
  if (c == '<' && follows(s, '<')) {
    if (!follows(s, '<')) return announce(s);
  } else if (!follows(s, '&') && !follows(s, '>') && c == '>') {
    follows(s, '|');
  }
  here->target = true;
}

void separator(struct shell *s, char c) {
  if (c == '&' && follows(s, '>')) redirect(s, '>');
  else if (s->here->kind == ARRAY) give_up(s, "an operator inside an array");
  else if (s->here->test && c != ';' && (follows(s, c) || c == '|')) end_word(s);
  else end_command(s);
}

void comment(struct shell *s) {
  if (s->here->in_word) return add(s, "#", 1);
  bool in_substitution = false;
  for (const struct level *level = s->levels; level <= s->here; level++) in_substitution |= level->kind == SUBSTITUTION;
  static const struct set ends = {{[0xa] = COLUMN(0), [0x0] = COLUMN(6), [0x9] = COLUMN(2)}}; // newline ` )
  for (; (s->at = find(s->at, s->end, &ends)) < s->end && *s->at != '\n'; s->at++) {
    if (s->backticks && *s->at == '`') return give_up(s, "a comment inside backticks");
    if (in_substitution && *s->at == ')') return give_up(s, "a comment with a parenthesis inside $( )");
  }
}

void unusual(struct shell *s, char c) {
  add(s, &c, 1);
  s->here->unusual = true;
}

void brace(struct shell *s, char c) {
  char next = peek(s);
  bool alone = !s->here->in_word && (s->at == s->end || is_one_of(next, c == '{' ? " \t\n" : " \t\n;&|)<>"));
  if (alone && s->here->kind != ARRAY && !s->here->test) end_command(s);
  else unusual(s, c);
}

// Inside (( )).
void in_sum(struct shell *s, char c) {
  if (c == '(') s->here->parens++;
  else if (c != ')') give_up(s, "a quote inside (( ))");
  else if (s->here->parens) s->here->parens--;
  else if (follows(s, ')')) pop(s);
  else give_up(s, "(( that does not end in ))");
}
