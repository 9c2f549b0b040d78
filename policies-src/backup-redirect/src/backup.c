// Which writes go to a backup.
//
// 1. Only `PreToolUse` is judged: the tools in `tools`, and Edit, MultiEdit and NotebookEdit. Everything else passes.
// 2. The name of a file is what follows the last `/` or `\`, with `.`, `..` and doubled slashes resolved, and without
//    the dots and blanks at its end, which Windows drops. A file is kept if its name fits one of `names`, and does not
//    already end in `suffix`.
// 3. A tool in `tools` that would write a kept file writes the backup instead: the same path and `suffix`, and the
//    model is told. Asked about that, the policy passes, by 2.
// 4. A tool that edits cannot be moved: the backup is not there, or another file. It is denied, and told what to do.
// 5. Where the backup cannot be told, the call is denied: no `suffix`, one with a slash, a path that begins with `~`,
//    is relative to an unknown folder, or would be longer than a system takes.

#include "guest.h"
#include "heap.h"
#include "path.h"

#define LONGEST 4096     // bytes of a path: PATH_MAX, and the most that the host accepts in a rewrite
#define LONGEST_NAME 255 // NAME_MAX

struct settings {
  struct texts names, tools;
  struct text suffix;
};

static const struct text names[] = {TEXT(".env"), TEXT(".env.*"), TEXT("config.json")};
static const struct text tools[] = {TEXT("Write")};
static const struct text editors[] = {TEXT("Edit"), TEXT("MultiEdit"), TEXT("NotebookEdit")};

static struct settings read_settings(value map) {
  value given[3] = {0};
  const struct field fields[] = {{TEXT("names"), &given[0]}, {TEXT("tools"), &given[1]}, {TEXT("suffix"), &given[2]}};
  fields_of(map, fields, COUNT(fields));
  return (struct settings){
      given[0] ? texts_of(given[0]) : (struct texts){names, COUNT(names)},
      given[1] ? texts_of(given[1]) : (struct texts){tools, COUNT(tools)},
      given[2] ? text_of(given[2]) : TEXT(".backup"),
  };
}

static bool is_one_of(struct text name, struct texts list) {
  size_t i = 0;
  while (i < list.count && !is(name, list.items[i])) i++;
  return i < list.count;
}

// The size of the character at `n`: the bytes 10xxxxxx go on with the one before them.
static size_t character(struct text name, size_t n) {
  size_t size = 1;
  while (n + size < name.size && ((uint8_t)name.at[n + size] & 0xc0) == 0x80) size++;
  return size;
}

// Whether all of a name fits a pattern, whatever the case. When something does not fit, the last star takes one more.
static bool fits(struct text pattern, struct text name) {
  size_t p = 0, n = 0, star = SIZE_MAX, taken = 0;
  while (n < name.size) {
    char wanted = p < pattern.size ? pattern.at[p] : 0;
    if (wanted == '*') star = ++p, taken = n;
    else if (wanted == '?') n += character(name, n), p++;
    else if (wanted && lower(wanted) == lower(name.at[n])) n++, p++;
    else if (star != SIZE_MAX) p = star, n = ++taken;
    else return false;
  }
  while (p < pattern.size && pattern.at[p] == '*') p++;
  return p == pattern.size;
}

// What follows the last backslash, without the dots and blanks at its end.
static struct text written_name(struct text name) {
  size_t start = name.size;
  while (start && name.at[start - 1] != '\\') start--;
  name.at += start, name.size -= start;
  while (name.size && (name.at[name.size - 1] == '.' || name.at[name.size - 1] == ' ')) name.size--;
  return name;
}

static bool is_kept(struct text name, const struct settings *settings) {
  if (!name.size || (settings->suffix.size && ends_alike(name, settings->suffix))) return false;
  for (size_t i = 0; i < settings->names.count; i++)
    if (settings->names.items[i].size && fits(settings->names.items[i], name)) return true;
  return false;
}

// Reasons.

static void name_file(struct reason *reason, struct text name) {
  SAY(reason, "\"");
  cite(reason, name);
  SAY(reason, "\"");
}

static void name_backup(struct reason *reason, struct text name, struct text suffix) {
  SAY(reason, "\"");
  cite(reason, name);
  cite(reason, suffix);
  SAY(reason, "\"");
}

static void refuse(struct answer *answer, struct text tool, struct text name, struct text why) {
  answer->effect = DENY;
  answer->rewrites = 0;
  answer->tells = false;
  answer->reason.size = 0;
  cite(&answer->reason, tool);
  SAY(&answer->reason, " may not change ");
  name_file(&answer->reason, name);
  SAY(&answer->reason, " here: ");
  say(&answer->reason, why);
}

static void refuse_edit(struct answer *answer, struct text tool, struct text name, struct text suffix) {
  refuse(answer, tool, name, TEXT("Write the whole new file, which goes to "));
  name_backup(&answer->reason, name, suffix);
}

// What keeps the backup from being told; empty if nothing does.
static struct text obstacle(struct text given, struct text cwd, struct text suffix) {
  bool absolute = given.size && *given.at == '/';
  if (!suffix.size || memchr(suffix.at, '/', suffix.size) || memchr(suffix.at, '\\', suffix.size))
    return TEXT("the setting `suffix` is no end of a name, the owner must set one");
  if (given.size && *given.at == '~') return TEXT("give an absolute path, it goes to a backup");
  if (!absolute && (!cwd.size || *cwd.at != '/')) return TEXT("give an absolute path, it goes to a backup");
  return TEXT("");
}

// Judges the path in one field. False if that ends the judging.
static bool judge_path(struct answer *answer, struct text field, struct text given, struct text tool, struct text cwd,
                       const struct settings *settings) {
  bool absolute = given.size && *given.at == '/';
  struct path path = {need(cwd.size + given.size + settings->suffix.size + 4), 0};
  if (!absolute) append(&path, cwd);
  append(&path, given);
  struct text name = written_name(name_of(&path));
  if (!is_kept(name, settings)) return true;
  if (!is_one_of(tool, settings->tools) || is_one_of(tool, (struct texts){editors, COUNT(editors)})) {
    refuse_edit(answer, tool, name, settings->suffix);
    return false;
  }
  struct text why = obstacle(given, cwd, settings->suffix);
  path.size = name.at + name.size - path.at; // without the dots and blanks
  bool fits_system = path.size + settings->suffix.size <= LONGEST && name.size + settings->suffix.size <= LONGEST_NAME;
  if (!why.size && !fits_system) why = TEXT("the path of its backup would be too long");
  if (why.size) {
    refuse(answer, tool, name, why);
    return false;
  }
  memcpy(path.at + path.size, settings->suffix.at, settings->suffix.size);
  path.size += settings->suffix.size;
  answer->rewrite[answer->rewrites++] = (struct change){field, {path.at, path.size}};
  if (answer->reason.size) SAY(&answer->reason, ", ");
  name_file(&answer->reason, name);
  SAY(&answer->reason, " stays as it is, this goes to ");
  name_backup(&answer->reason, name, settings->suffix);
  answer->tells = true;
  return true;
}

void judge(value event, value map, struct answer *answer) {
  value v[4] = {0}, paths[3] = {0};
  const struct field fields[] = {
      {TEXT("hook_event_name"), &v[0]},
      {TEXT("tool_name"), &v[1]},
      {TEXT("tool_input"), &v[2]},
      {TEXT("cwd"), &v[3]},
  };
  const struct field places[] = {
      {TEXT("file_path"), &paths[0]}, {TEXT("notebook_path"), &paths[1]}, {TEXT("path"), &paths[2]}};
  fields_of(event, fields, COUNT(fields));
  struct settings settings = read_settings(map);
  struct text tool = text_of(unless_nil(v[1])), cwd = text_of(unless_nil(v[3]));
  bool asked = is_one_of(tool, settings.tools) || is_one_of(tool, (struct texts){editors, COUNT(editors)});
  if (!is(text_of(unless_nil(v[0])), TEXT("PreToolUse")) || !asked) return;
  fields_of(unless_nil(v[2]), places, COUNT(places));
  for (size_t i = 0; i < COUNT(places); i++)
    if (is_text(paths[i]) && !judge_path(answer, places[i].name, text_of(paths[i]), tool, cwd, &settings)) return;
}
