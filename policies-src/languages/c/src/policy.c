// path-redirect: what happens to a tool call that carries paths. `../../path-redirect/src/redirect.rs` has the same
// ten rules in Rust, and the same cases must come out.

#include "wasmguard.h"

#include "glob.h"

#define LONGEST 4096 // bytes: PATH_MAX, and the most that the host accepts in a rewrite

static const struct text tools[] = {TEXT("Write"), TEXT("Edit"), TEXT("NotebookEdit")};
static const char *const places[] = {"file_path", "notebook_path", "path", "scriptPath"};

struct settings {
  struct text root;
  struct texts tools, exempt;
};

static struct settings settings_of(const struct request *request) {
  value found[3] = {0};
  const struct field fields[] = {{TEXT("root"), &found[0]}, {TEXT("tools"), &found[1]}, {TEXT("exempt"), &found[2]}};
  fields_of(request->settings, fields, COUNT(fields));
  return (struct settings){
      text_or(found[0], TEXT("/sandbox")),
      texts_or(found[1], (struct texts){tools, COUNT(tools)}),
      texts_or(found[2], (struct texts){0, 0}),
  };
}

static bool is_asked(struct text tool, struct texts tools) {
  for (size_t i = 0; i < tools.count; i++)
    if (is(tool, tools.items[i])) return true;
  return false;
}

static bool is_exempt(struct text path, struct texts patterns) {
  for (size_t i = 0; i < patterns.count; i++)
    if (fits(patterns.items[i], path)) return true;
  return false;
}

// Whether a component of a path is `..`. What such a path means depends on links.
static bool climbs(struct text path) {
  for (size_t i = 0, start = 0; i <= path.size; i++) {
    if (i < path.size && path.at[i] != '/') continue;
    if (is((struct text){path.at + start, i - start}, TEXT(".."))) return true;
    start = i + 1;
  }
  return false;
}

// With its separator, so `/sandboxed` is not in `/sandbox`. The top is the empty root.
static bool is_inside(struct text path, struct text root) {
  return begins(path, root) && path.size > root.size && path.at[root.size] == '/';
}

// Why a path is denied: what is wrong with it, and what to do. The root follows.
struct refusal {
  struct text wrong, instead;
};

static struct refusal flaw(struct text given, struct text cwd) {
  static const struct text absolute = TEXT("give an absolute path, it is moved into ");
  if (!given.size) return (struct refusal){TEXT("is empty"), absolute};
  if (*given.at == '~') return (struct refusal){TEXT("starts with ~"), absolute};
  if (given.size > LONGEST)
    return (struct refusal){TEXT("is longer than 4096 bytes"), TEXT("give a shorter path, it is moved into ")};
  if (*given.at != '/' && (!begins(cwd, TEXT("/")) || cwd.size > LONGEST))
    return (struct refusal){TEXT("starts at an unknown folder"), absolute};
  return (struct refusal){0};
}

// Moves the path in one field, or leaves it. What is wrong with it, if anything is.
static struct refusal redirect(struct answer *answer, const char *field, struct text given, struct text cwd,
                               const struct settings *settings) {
  struct refusal refusal = flaw(given, cwd);
  if (refusal.wrong.size) return refusal;
  struct path made = {need(cwd.size + given.size + 2), 0};
  if (*given.at != '/') append(&made, cwd);
  append(&made, given);
  struct text path = {made.at, made.size};
  if (is_exempt(path, settings->exempt)) return (struct refusal){0};
  if (is_inside(path, settings->root)) {
    if (climbs(given)) rewrite(answer, field, path);
    return (struct refusal){0};
  }
  if (!path.size || is(path, settings->root))
    return (struct refusal){TEXT("would be the folder itself"), TEXT("name a file in ")};
  rewrite(answer, field, JOIN(settings->root, path));
  return (struct refusal){0};
}

struct answer policy(const struct request *request) {
  struct settings settings = settings_of(request);
  if (!is(request->event_name, TEXT("PreToolUse"))) return pass();
  value given[COUNT(places)] = {0};
  struct field fields[COUNT(places)];
  for (size_t i = 0; i < COUNT(places); i++) fields[i] = (struct field){named(places[i]), &given[i]};
  fields_of(request->tool_input, fields, COUNT(fields));
  if (!is_asked(request->tool_name, settings.tools)) return pass();
  if (!begins(settings.root, TEXT("/")))
    return deny(TEXT("the setting `root` is no absolute path: the owner must set one"));
  struct text root = normal(settings.root);
  settings.root = is(root, TEXT("/")) ? TEXT("") : root;
  struct answer answer = pass();
  for (size_t i = 0; i < COUNT(places); i++) {
    if (!is_text(given[i])) continue;
    struct refusal refusal = redirect(&answer, places[i], text_if_any(given[i]), request->cwd, &settings);
    if (refusal.wrong.size)
      return deny(JOIN(named(places[i]), TEXT(" "), refusal.wrong, TEXT(": "), refusal.instead, root));
  }
  if (answer.rewrite) answer.reason = JOIN(TEXT("moved into "), root);
  return answer;
}
