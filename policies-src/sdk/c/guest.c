#include "guest.h"

#include "heap.h"
#include "msgpuck.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

void EXPORT(wasmguard_abi_1)(void) {}

// Where the host may write `size` bytes; 0 if there is no room.
void *EXPORT(wasmguard_alloc)(size_t size) { return take(size); }

static char *put(char *out, struct text text) { return mp_encode_str(out, text.at, text.size); }

// The same for a text that cites the request: if it is no UTF-8, that was no request.
static char *put_cited(char *out, struct text text) {
  if (!is_utf8(text)) __builtin_trap();
  return put(out, text);
}

static size_t most(const struct answer *answer) {
  size_t size = 2 * answer->reason.size + 96;
  for (size_t i = 0; i < answer->rewrites; i++)
    size += answer->rewrite[i].field.size + answer->rewrite[i].value.size + 16;
  return size;
}

static char *write_answer(char *out, const struct answer *answer) {
  static const struct text effects[] = {TEXT("pass"), TEXT("ask"), TEXT("deny")};
  const struct text reason = {answer->reason.at, answer->reason.size};
  bool tells = answer->tells && reason.size;
  out = mp_encode_map(out, 1 + (reason.size > 0) + tells + (answer->rewrites > 0));
  out = put(out, TEXT("effect"));
  out = put(out, effects[answer->effect]);
  if (reason.size) {
    out = put(out, TEXT("reason"));
    out = put_cited(out, reason);
  }
  if (tells) {
    out = put(out, TEXT("context"));
    out = put_cited(out, reason);
  }
  if (!answer->rewrites) return out;
  out = put(out, TEXT("rewrite"));
  out = mp_encode_map(out, answer->rewrites);
  for (size_t i = 0; i < answer->rewrites; i++) {
    out = put(out, answer->rewrite[i].field);
    out = put_cited(out, answer->rewrite[i].value);
  }
  return out;
}

// Answers the request at `start`: where the answer is, and its size in the lower half.
uint64_t EXPORT(wasmguard_evaluate)(const char *start, size_t size) {
  static struct answer answer;
  value abi = 0, event = 0, settings = 0, state = 0;
  const struct field fields[] = {
      {TEXT("abi"), &abi}, {TEXT("event"), &event}, {TEXT("settings"), &settings}, {TEXT("state"), &state}};
  fields_of(checked(start, size), fields, 4);
  if (!abi || *abi != 1 || !event || !settings || !state) __builtin_trap(); // 1 is a byte of its own in msgpack
  if (unless_nil(state) && mp_typeof(*state) != MP_BIN) __builtin_trap();
  judge(event, settings, &answer);
  char *at = need(most(&answer)), *end = write_answer(at, &answer);
  return (uint64_t)(uintptr_t)at << 32 | (uint32_t)(end - at);
}
