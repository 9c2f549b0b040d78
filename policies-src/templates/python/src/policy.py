"""Keeps writes out of one folder."""

from wasmguard_guest import Answer, Request, deny, normal, pass_, policy, within


@policy
def judge(request: Request) -> Answer:
    if request.event_name != "PreToolUse":
        return pass_()
    folder = normal(request.setting_text("folder") or "/etc")
    path = request.input_text("file_path")
    if path is None:
        return pass_()
    # `/tmp/../etc/x` gets past this line, and a case says that it must not. Resolve `..` first: within(normal(path), …
    if within(path, folder):
        return deny(f"NAME: {path} is in {folder}")
    return pass_()
