// tool-gate: guest ABI 1, no imports. `gate.c` holds the rules; `commands.c` and `shell.c` read command lines;
// `request.c` is msgpack in. A request that cannot be read is answered by a trap, never by a verdict: the host makes that
// a deny.

#include "gate.h"
#include "heap.h"
#include "msgpuck.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

void EXPORT(wasmguard_abi_1)(void) {}

// Where the host may write `size` bytes; 0 if there is no room.
void *EXPORT(wasmguard_alloc)(size_t size) { return take(size); }

static char *put(char *out, struct text text) { return mp_encode_str(out, text.at, text.size); }

static char *write_answer(char *out, enum effect effect, const struct reason *reason) {
  static const struct text effects[] = {TEXT("pass"), TEXT("ask"), TEXT("deny")};
  out = mp_encode_map(out, effect == PASS ? 1 : 2);
  out = put(out, TEXT("effect"));
  out = put(out, effects[effect]);
  if (effect == PASS) return out;
  struct text why = {reason->at, reason->size};
  if (!is_utf8(why)) __builtin_trap(); // it cites the request, which was none
  out = put(out, TEXT("reason"));
  return put(out, why);
}

// Answers the request at `start`: where the answer is, and its size in the lower half.
uint64_t EXPORT(wasmguard_evaluate)(const char *start, size_t size) {
  static struct reason reason;
  static char answer[sizeof reason + 64];
  value event = 0, settings = 0;
  const struct field fields[] = {{TEXT("event"), &event}, {TEXT("settings"), &settings}};
  fields_of(checked(start, size), fields, 2);
  if (!event) __builtin_trap();
  char *end = write_answer(answer, judge(event, settings, &reason), &reason);
  return (uint64_t)(uintptr_t)answer << 32 | (uint32_t)(end - answer);
}
