// A policy in C is one file that includes this header and defines `policy`:
//
//   #include "wasmguard.h"
//
//   struct answer policy(const struct request *request) {
//     struct text path = input_text(request, "file_path");
//     if (!is(request->event_name, TEXT("PreToolUse")) || !is_below(path, TEXT("/etc"))) return pass();
//     return deny(JOIN(path, TEXT(" is in /etc")));
//   }
//
// No C library is linked and nothing is imported. `text.h` has more for texts, `heap.h` memory, `path.h` paths,
// `request.h` the values of a request, and msgpuck.h is the msgpack library itself.
//
// A request that cannot be read, or of which a policy asks something that has the wrong type, ends in a trap and never
// in an answer: the host makes that a deny.
#pragma once
#define MP_SOURCE 1 // this file is the one place that holds msgpuck's tables
#include "msgpuck.h"

#include "heap.h"
#include "path.h"
#include "request.h"
#include "text.h"

// The request. A text that is not there is empty, and its `at` is null.
struct request {
  struct text event_name, tool_name, cwd;
  value event, tool_input, settings; // maps, for `fields_of`; the tool's input is null if there is none
  struct text state;                 // bytes: what the last answer remembered; `at` is null for nothing
};

enum effect { PASS, ALLOW, ASK, DENY };

// What the policy says. Made by one of the four below; then it may say more.
struct answer {
  enum effect effect;
  bool interrupts;
  struct text reason, context, state;
  struct said *rewrite, *output, *notes; // null for none
};

// The policy. You write it.
struct answer policy(const struct request *request);

// Reading. Names are C strings; a field or setting that comes twice is a trap.

// A field of the tool's input; none if there is no such field, or something else than a text.
static inline struct text input_text(const struct request *request, const char *field);

// Several at once cost one walk instead of one each: `fields_of` a map, then these of the values that it found.
static inline struct text text_if_any(value found);
static inline struct text text_or(value found, struct text unset);
static inline struct texts texts_or(value found, struct texts unset);

// What the owner set, or `unset`. A setting of another type is a trap: the host has checked it with the manifest.
static inline struct text setting_text(const struct request *request, const char *name, struct text unset);
static inline bool setting_bool(const struct request *request, const char *name, bool unset);
static inline int64_t setting_integer(const struct request *request, const char *name, int64_t unset);
static inline struct texts setting_texts(const struct request *request, const char *name, struct texts unset);

static inline bool is_there(struct text text) { return text.at != 0; }

// A text of several: JOIN(TEXT("a"), path, ...). It stays where it is until the answer is read.
#define JOIN(...) joined((const struct text[]){__VA_ARGS__}, COUNT(((const struct text[]){__VA_ARGS__})))
static inline struct text joined(const struct text *parts, size_t count);

// Paths, as text: links are not followed.

// An absolute path without `.`, `..` and doubled slashes; any other text as it is. Above the top there is only `/`.
static inline struct text normal(struct text path);

// Whether a path is the folder or below it: `/etcetera` is not below `/etc`. Compares texts: see `normal`.
static inline bool is_below(struct text path, struct text folder);

// Answering.

static inline struct answer pass(void) { return (struct answer){PASS}; }
static inline struct answer allow(struct text reason) { return (struct answer){ALLOW, .reason = reason}; }
static inline struct answer ask(struct text reason) { return (struct answer){ASK, .reason = reason}; }
static inline struct answer deny(struct text reason) { return (struct answer){DENY, .reason = reason}; }

// Puts a text into a field of the tool's input: answer.reason says why. `rewrite_packed` puts any msgpack value there,
// and the two of the output replace it, or the fields of it that are in a msgpack map.
static inline void rewrite(struct answer *answer, const char *field, struct text text);
static inline void rewrite_packed(struct answer *answer, const char *field, struct text packed);
static inline void rewrite_output(struct answer *answer, struct text text);
static inline void rewrite_output_packed(struct answer *answer, struct text packed);

static inline void context(struct answer *answer, struct text text) { answer->context = text; } // for the model
static inline void note(struct answer *answer, struct text text);                              // for the record
static inline void interrupt(struct answer *answer) { answer->interrupts = true; } // with a deny: stop the run

// What to be given as `state` the next time; empty bytes forget it.
static inline void remember(struct answer *answer, struct text bytes) {
  answer->state = bytes.size ? bytes : TEXT("");
}

// From here on it is the inside of the kit.

#include "heap.c"
#include "path.c"
#include "request.c"
#include "scan.c"
#include "string.c"
#include "text.c"

#define DEEPEST 128 // levels of a request: the host sends 64 of an event

static inline struct text named(const char *name) { return (struct text){name, strlen(name)}; }

// The same text, which must be UTF-8. Nearly all is ASCII, and eight bytes of that cost as much as one.
static inline struct text utf8(struct text text) {
  struct text rest = text;
  uint64_t eight;
  for (; rest.size >= 8; rest.at += 8, rest.size -= 8) {
    memcpy(&eight, rest.at, 8);
    if (eight & 0x8080808080808080) break;
  }
  if (!is_utf8(rest)) __builtin_trap();
  return text;
}

// Requests.

struct level {
  uint64_t left; // values; a map has two for each pair
  bool is_map;
};

// Goes over the whole request once: it ends where its bytes end, keys are texts, and (in step_over_head) there is no ext type.
// Nothing that is read later can be outside of it, or only look like a value.
static void check_request(const char *bytes, size_t size) {
  struct cursor c = {bytes, bytes + size};
  struct level above[DEEPEST], here = {1, false};
  for (size_t depth = 0; here.left || depth;) {
    if (!here.left) {
      here = above[--depth];
      continue;
    }
    if (c.at == c.end) __builtin_trap();
    bool is_key = here.is_map && !(here.left & 1);
    here.left--;
    if (((uint8_t)*c.at & 0xe0) == 0xa0) { // most values are texts of up to 31 bytes
      step(&c, 1 + (*c.at & 31));
      continue;
    }
    enum mp_type type = type_of(c.at);
    if (is_key && type != MP_STR) __builtin_trap();
    uint64_t inside = step_over_head(&c);
    if (!inside) continue;
    if (depth == DEEPEST) __builtin_trap();
    above[depth++] = here;
    here = (struct level){inside, type == MP_MAP};
  }
  if (c.at != c.end) __builtin_trap();
}

static value must_be(enum mp_type type, value found) {
  if (!found || type_of(found) != type) __builtin_trap();
  return found;
}

static struct text text_or_none(value found) {
  found = unless_nil(found);
  return found ? utf8(text_of(found)) : (struct text){0, 0};
}

static struct text bytes_or_none(value found) {
  if (!found) __builtin_trap();
  if (!unless_nil(found)) return (struct text){0, 0};
  uint32_t size;
  must_be(MP_BIN, found);
  const char *at = mp_decode_bin(&found, &size);
  return (struct text){at, size};
}

static struct request read_request(const char *bytes, size_t size) {
  check_request(bytes, size);
  value abi = 0, state = 0, name = 0, tool = 0, cwd = 0;
  struct request request = {0};
  const struct field parts[] = {
      {TEXT("abi"), &abi}, {TEXT("event"), &request.event}, {TEXT("settings"), &request.settings},
      {TEXT("state"), &state}};
  fields_of(bytes, parts, COUNT(parts));
  must_be(MP_UINT, abi);
  if (mp_decode_uint(&abi) != 1) __builtin_trap();
  must_be(MP_MAP, request.settings);
  request.state = bytes_or_none(state);
  const struct field fields[] = {
      {TEXT("hook_event_name"), &name}, {TEXT("tool_name"), &tool}, {TEXT("cwd"), &cwd},
      {TEXT("tool_input"), &request.tool_input}};
  fields_of(must_be(MP_MAP, request.event), fields, COUNT(fields));
  request.event_name = text_or_none(name);
  request.tool_name = text_or_none(tool);
  request.cwd = text_or_none(cwd);
  request.tool_input = unless_nil(request.tool_input);
  return request;
}

static value field_of(value map, const char *name) {
  value found = 0;
  fields_of(map, &(struct field){named(name), &found}, 1);
  return found;
}

static inline struct text text_if_any(value found) {
  return is_text(found) ? utf8(text_of(found)) : (struct text){0, 0};
}

static inline struct text text_or(value found, struct text unset) { return found ? utf8(text_of(found)) : unset; }

static inline struct texts texts_or(value found, struct texts unset) {
  struct texts texts = found ? texts_of(found) : unset;
  for (size_t i = 0; found && i < texts.count; i++) utf8(texts.items[i]);
  return texts;
}

static inline struct text input_text(const struct request *request, const char *field) {
  return text_if_any(field_of(request->tool_input, field));
}

static inline struct text setting_text(const struct request *request, const char *name, struct text unset) {
  return text_or(field_of(request->settings, name), unset);
}

static inline bool setting_bool(const struct request *request, const char *name, bool unset) {
  value found = field_of(request->settings, name);
  return found ? truth_of(found) : unset;
}

static inline int64_t setting_integer(const struct request *request, const char *name, int64_t unset) {
  value found = field_of(request->settings, name);
  if (!found) return unset;
  if (type_of(found) == MP_INT) return mp_decode_int(&found);
  must_be(MP_UINT, found);
  uint64_t number = mp_decode_uint(&found);
  if (number > INT64_MAX) __builtin_trap();
  return number;
}

static inline struct texts setting_texts(const struct request *request, const char *name, struct texts unset) {
  return texts_or(field_of(request->settings, name), unset);
}

// Texts.

static inline struct text joined(const struct text *parts, size_t count) {
  size_t size = 0;
  for (size_t i = 0; i < count; i++) size += parts[i].size;
  char *at = need(size), *end = at;
  for (size_t i = 0; i < count; end += parts[i++].size) memcpy(end, parts[i].at, parts[i].size);
  return (struct text){at, size};
}

static inline struct text normal(struct text path) {
  if (!path.size || *path.at != '/') return path;
  struct path made = {need(path.size + 1), 0};
  append(&made, path);
  if (!made.size) return TEXT("/");
  return (struct text){made.at, made.size};
}

static inline bool is_below(struct text path, struct text folder) {
  while (folder.size && folder.at[folder.size - 1] == '/') folder.size--;
  return begins(path, folder) && (path.size == folder.size ? path.size > 0 : path.at[folder.size] == '/');
}

// Answers.

// One thing of several, in the order in which they were said.
struct said {
  struct text field, value;
  bool packed; // whether the value is msgpack already
  struct said *next;
};

// What is said again about a field takes the place of what was said before: a key that comes twice is refused.
static void add(struct said **last, struct said said) {
  while (*last && !(said.field.size && is((*last)->field, said.field))) last = &(*last)->next;
  if (!*last) *last = need(sizeof said);
  else said.next = (*last)->next;
  **last = said;
}

static inline void rewrite(struct answer *answer, const char *field, struct text text) {
  add(&answer->rewrite, (struct said){named(field), text, false, 0});
}

static inline void rewrite_packed(struct answer *answer, const char *field, struct text packed) {
  add(&answer->rewrite, (struct said){named(field), packed, true, 0});
}

static inline void rewrite_output(struct answer *answer, struct text text) {
  add(&answer->output, (struct said){TEXT("rewrite_output"), text, false, 0});
}

static inline void rewrite_output_packed(struct answer *answer, struct text packed) {
  add(&answer->output, (struct said){TEXT("rewrite_output"), packed, true, 0});
}

static inline void note(struct answer *answer, struct text text) {
  add(&answer->notes, (struct said){{0, 0}, text, false, 0});
}

static char *put(char *out, struct text text) {
  utf8(text); // the host refuses the answer otherwise
  return mp_encode_str(out, text.at, text.size);
}

static char *put_said(char *out, const struct said *said) {
  for (; said; said = said->next) {
    if (said->field.at) out = put(out, said->field);
    if (!said->packed) {
      out = put(out, said->value);
      continue;
    }
    memcpy(out, said->value.at, said->value.size);
    out += said->value.size;
  }
  return out;
}

static uint32_t count(const struct said *said) {
  uint32_t count = 0;
  for (; said; said = said->next) count++;
  return count;
}

static size_t room(const struct said *said) {
  size_t size = 0;
  for (; said; said = said->next) size += 10 + said->field.size + said->value.size; // 5 bytes before each text
  return size;
}

// Room for all keys and heads, and what they hold.
static size_t most(const struct answer *a) {
  return 128 + a->reason.size + a->context.size + a->state.size + room(a->rewrite) + room(a->output) + room(a->notes);
}

// Only what was said: to the host an absent key and an empty one are not the same.
static char *write_answer(char *out, const struct answer *a) {
  static const struct text effects[] = {TEXT("pass"), TEXT("allow"), TEXT("ask"), TEXT("deny")};
  out = mp_encode_map(out, 1 + (a->reason.size > 0) + (a->context.size > 0) + a->interrupts + (a->state.at != 0) +
                               (a->rewrite != 0) + (a->output != 0) + (a->notes != 0));
  out = put(put(out, TEXT("effect")), effects[a->effect]);
  if (a->reason.size) out = put(put(out, TEXT("reason")), a->reason);
  if (a->context.size) out = put(put(out, TEXT("context")), a->context);
  if (a->interrupts) out = mp_encode_bool(put(out, TEXT("interrupt")), true);
  if (a->state.at) out = mp_encode_bin(put(out, TEXT("state")), a->state.at, a->state.size);
  if (a->rewrite) out = put_said(mp_encode_map(put(out, TEXT("rewrite")), count(a->rewrite)), a->rewrite);
  if (a->output) out = put_said(out, a->output);
  if (a->notes) out = put_said(mp_encode_array(put(out, TEXT("notes")), count(a->notes)), a->notes);
  return out;
}

// Guest ABI 1.

__attribute__((export_name("wasmguard_abi_1"))) void wasmguard_abi_1(void) {}

__attribute__((export_name("wasmguard_alloc"))) void *wasmguard_alloc(size_t size) { return take(size); }

__attribute__((export_name("wasmguard_evaluate"))) uint64_t wasmguard_evaluate(const char *bytes, size_t size) {
  struct request request = read_request(bytes, size);
  struct answer answer = policy(&request);
  char *at = need(most(&answer)), *end = write_answer(at, &answer);
  return (uint64_t)(uintptr_t)at << 32 | (uint32_t)(end - at);
}
