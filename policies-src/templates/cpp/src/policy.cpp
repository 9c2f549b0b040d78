// NAME: denies writes below a folder.

#include "wasmguard.hpp"

using namespace wasmguard;

answer policy(const request& request) {
  auto folder = request.setting_text("folder", "/etc"); // declared in manifest.toml; the owner sets it
  auto given = request.input_text("file_path");
  if (request.event_name != "PreToolUse" || !given) return pass();
  // One of the cases fails: /tmp/../etc/x is in /etc, too. Resolve the path first, then it is green:
  // std::string path = normal(*given);
  std::string path(*given);
  if (!is_below(path, folder)) return pass();
  return deny(join({"NAME: ", path, " is in ", folder}));
}
