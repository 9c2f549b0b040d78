//! Calls that an agent may make: guest ABI 1, no imports.
//!
//! `budget` holds the rules, `settings` what the owner wrote, `ledger` what is remembered.

const wasmguard = @import("wasmguard");

pub const panic = wasmguard.panic;

comptime {
    wasmguard.policy(@import("budget.zig").judge);
}
