// path-redirect: what happens to a tool call that carries paths. `../../path-redirect/src/redirect.rs` has the same
// ten rules in Rust, and the same cases must come out.

#include "wasmguard.hpp"

#include <array>
#include <ranges>

#include "glob.hpp"

using namespace wasmguard;
using std::string_view;

constexpr std::size_t longest = 4096; // bytes: PATH_MAX, and the most that the host accepts in a rewrite
constexpr std::array<string_view, 4> places = {"file_path", "notebook_path", "path", "scriptPath"};

struct settings {
  string_view root;
  std::vector<string_view> tools, exempt;

  explicit settings(const request& request)
      : root(request.setting_text("root", "/sandbox")),
        tools(request.setting_texts("tools", {"Write", "Edit", "NotebookEdit"})),
        exempt(request.setting_texts("exempt")) {}
};

// What happens to a path: it stays, moves, or is denied. The root follows what a denial says.
struct outcome {
  std::optional<std::string> moved;
  string_view wrong, instead;
};

// Whether a component of a path is `..`. What such a path means depends on links.
static bool climbs(string_view path) {
  while (true) {
    auto slash = path.find('/');
    if (path.substr(0, slash) == "..") return true;
    if (slash == path.npos) return false;
    path.remove_prefix(slash + 1);
  }
}

// A normal path as components, so the top is empty.
static string_view components(string_view normal) { return normal == "/" ? string_view() : normal; }

// With its separator, so `/sandboxed` is not in `/sandbox`.
static bool is_inside(string_view path, string_view root) {
  return path.starts_with(root) && path.substr(root.size()).starts_with('/');
}

static outcome destination(string_view given, string_view root, const request& request, const settings& settings) {
  constexpr string_view absolute = "give an absolute path, it is moved into ";
  if (given.empty()) return {{}, "is empty", absolute};
  if (given.starts_with('~')) return {{}, "starts with ~", absolute};
  if (given.size() > longest) return {{}, "is longer than 4096 bytes", "give a shorter path, it is moved into "};
  bool relative = !given.starts_with('/');
  if (relative && (!request.cwd.starts_with('/') || request.cwd.size() > longest))
    return {{}, "starts at an unknown folder", absolute};
  std::string whole = relative ? normal(join({request.cwd, "/", given})) : normal(given);
  string_view path = components(whole);
  if (std::ranges::any_of(settings.exempt, [&](auto pattern) { return glob::fits(pattern, path); })) return {};
  if (is_inside(path, root)) return climbs(given) ? outcome{whole} : outcome{};
  if (path.empty() || path == root) return {{}, "would be the folder itself", "name a file in "};
  return {join({root, path})};
}

answer policy(const request& request) {
  settings settings(request);
  if (request.event_name != "PreToolUse") return pass();
  std::array<std::optional<string_view>, places.size()> given;
  for (std::size_t i = 0; i < places.size(); i++) given[i] = request.input_text(places[i]);
  if (std::ranges::find(settings.tools, request.tool_name) == settings.tools.end()) return pass();
  if (!settings.root.starts_with('/')) return deny("the setting `root` is no absolute path: the owner must set one");
  std::string root = normal(settings.root);
  answer answer;
  for (std::size_t i = 0; i < places.size(); i++) {
    if (!given[i]) continue;
    auto [moved, wrong, instead] = destination(*given[i], components(root), request, settings);
    if (!wrong.empty()) return deny(join({places[i], " ", wrong, ": ", instead, root}));
    if (moved) answer.rewrite(places[i], *moved).reason = join({"moved into ", root});
  }
  return answer;
}
