"""What wasmtime calls its traps: `wasmtime_trap_code_t`, compared with the installed package by a test."""

from __future__ import annotations

TRAPS = {
    0: "call stack exhausted",
    1: "out of bounds memory access",
    2: "misaligned memory access",
    3: "out of bounds table access",
    4: "call of an empty table entry",
    5: "indirect call of another type",
    6: "integer overflow",
    7: "integer divide by zero",
    8: "invalid conversion to integer",
    9: "unreachable code reached",
    10: "out of time",
    11: "out of fuel",
}
STACK_OVERFLOW, UNREACHABLE, INTERRUPT, OUT_OF_FUEL = 0, 9, 10, 11  # wasmtime_trap_code_t
