#include "heap.h"

#include <stdint.h>

#define PAGE 65536u
#define BEHIND 16u // bytes that stay free behind what is handed out, so that `find` may look at whole vectors

extern unsigned char __heap_base; // the linker's: the first address that nothing lives at
static uintptr_t next_free;

void *take(size_t size) {
  uintptr_t start = next_free ? next_free : ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
  uintptr_t have = __builtin_wasm_memory_size(0) * PAGE, end = (start + size + BEHIND + 15) & ~(uintptr_t)15;
  if (end < start || size > UINTPTR_MAX - 2 * PAGE) return 0;
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == (size_t)-1) return 0;
  next_free = end;
  return (void *)start;
}

void *need(size_t size) {
  void *start = take(size);
  if (!start) __builtin_trap();
  return start;
}
