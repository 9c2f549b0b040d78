// What takes the place of a runtime: memory that is handed out once, and traps where there would be exceptions.
//
// Every event gets a fresh instance, which is thrown away; so nothing is freed and nothing is destroyed at the end.
// Exceptions are a part of the language that msgpack-cxx and libc++ are compiled with, but nothing is behind them:
// whatever throws ends in a trap, and no `catch` is ever reached.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

extern "C" unsigned char __heap_base; // the linker's: the first address that nothing lives at
extern "C" void __wasm_call_ctors();  // the linker's: runs the constructors of global objects

namespace wasmguard {

[[noreturn]] inline void trap() { __builtin_trap(); }

namespace heap {

inline constexpr std::uintptr_t page = 65536;
inline std::uintptr_t next_free = 0;

// `size` bytes that nobody else has, at an address that suits any type; null if there is no room.
inline void* take(std::size_t size) {
  constexpr auto aligned = [](std::uintptr_t at) { return (at + 15) & ~std::uintptr_t{15}; };
  auto start = next_free ? next_free : aligned(reinterpret_cast<std::uintptr_t>(&__heap_base));
  auto have = __builtin_wasm_memory_size(0) * page, end = aligned(start + size);
  if (end < start || size > UINTPTR_MAX - 2 * page) return nullptr;
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + page - 1) / page) == SIZE_MAX) return nullptr;
  next_free = end;
  return reinterpret_cast<void*>(start);
}

inline void* need(std::size_t size) {
  void* start = take(size);
  if (!start) trap();
  return start;
}

} // namespace heap
} // namespace wasmguard

// These take the place of what the libraries bring; every file of a policy may include them.
#define WASMGUARD_WEAK __attribute__((weak, used))
#define WASMGUARD_INSTEAD extern "C" inline __attribute__((used))

WASMGUARD_WEAK void* operator new(std::size_t size) { return wasmguard::heap::need(size); }
WASMGUARD_WEAK void* operator new[](std::size_t size) { return wasmguard::heap::need(size); }
WASMGUARD_WEAK void operator delete(void*) noexcept {}
WASMGUARD_WEAK void operator delete[](void*) noexcept {}
WASMGUARD_WEAK void operator delete(void*, std::size_t) noexcept {}
WASMGUARD_WEAK void operator delete[](void*, std::size_t) noexcept {}

// The C library's allocator would take the same memory: it is not linked, and what calls it gets ours.
extern "C" WASMGUARD_WEAK void* malloc(std::size_t size) { return wasmguard::heap::take(size); }
extern "C" WASMGUARD_WEAK void free(void*) {}

WASMGUARD_INSTEAD void* __cxa_allocate_exception(std::size_t) noexcept { wasmguard::trap(); }
WASMGUARD_INSTEAD void __cxa_throw(void*, void*, void (*)(void*)) { wasmguard::trap(); }
WASMGUARD_INSTEAD void __cxa_rethrow() { wasmguard::trap(); }

// There is no end: nothing is destroyed, and no files are closed.
WASMGUARD_INSTEAD int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
WASMGUARD_INSTEAD void __wasm_call_dtors() {}

// How libc++ says that something is wrong: with everything that can print.
WASMGUARD_WEAK void std::__libcpp_verbose_abort(char const*, ...) noexcept { wasmguard::trap(); }
WASMGUARD_INSTEAD void __abort_message(const char*, ...) { wasmguard::trap(); }
