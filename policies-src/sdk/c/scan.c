#include "scan.h"

#include <wasm_simd128.h>

const char *find(const char *at, const char *end, const struct set *set) {
  const v128_t columns = wasm_i8x16_make(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
  const v128_t rows = wasm_v128_load(set->rows);
  for (; at < end; at += 16) {
    v128_t bytes = wasm_v128_load(at);
    v128_t row = wasm_i8x16_swizzle(rows, wasm_v128_and(bytes, wasm_i8x16_const_splat(15)));
    v128_t column = wasm_i8x16_swizzle(columns, wasm_u8x16_shr(bytes, 4));
    uint32_t found = wasm_i8x16_bitmask(wasm_i8x16_ne(wasm_v128_and(row, column), wasm_i8x16_const_splat(0)));
    if (!found) continue;
    at += __builtin_ctz(found);
    break;
  }
  return at < end ? at : end;
}

void put_into(struct set *set, char c) {
  if ((uint8_t)c < 128) set->rows[c & 15] |= 1 << (c >> 4);
}
