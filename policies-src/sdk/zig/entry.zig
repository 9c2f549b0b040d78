//! The root of every module: `policy` of the project's `src/policy.zig`, behind the exports that the host calls.

const wasmguard = @import("wasmguard");

pub const panic = wasmguard.panic;

comptime {
    wasmguard.policy(@import("policy").policy);
}
