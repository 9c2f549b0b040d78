// Which tool calls and prompts get through.
//
// 1. `PreToolUse` and `PermissionRequest` are judged by their tool, `UserPromptSubmit` by its text. Other events pass,
//    and so does everything that no setting speaks about.
// 2. A tool in `deny_tools` is denied.
// 3. With `read_only`, only tools that read files and those in `allow_tools` get through; without, if `allow_tools`
//    names any, only these. A tool without a name is in no list.
// 4. Write, Edit and NotebookEdit: a path that ends in one of `deny_extensions` is denied, and so is one that ends in
//    none of `allow_extensions`, if these name any. Upper and lower case are the same.
// 5. Bash, Monitor and PowerShell: `deny_commands` and `allow_commands` judge the command line (`commands.c`).
// 6. What is left is asked about if it is in `ask_tools`, else it passes.

#include "commands.h"
#include "guest.h"

struct settings {
  bool read_only;
  struct texts allow_tools, deny_tools, ask_tools;
  struct texts allow_extensions, deny_extensions;
  struct texts allow_commands, deny_commands;
  struct texts prompt_words;
};

static const struct text readers[] = {TEXT("Read"), TEXT("Glob"), TEXT("Grep"), TEXT("LS"), TEXT("NotebookRead")};
static const struct text writers[] = {TEXT("Write"), TEXT("Edit"), TEXT("NotebookEdit")};
static const struct text web[] = {TEXT("WebFetch"), TEXT("WebSearch")};
static const struct text shells[] = {TEXT("Bash"), TEXT("Monitor"), TEXT("PowerShell")};

static struct settings read_settings(value map) {
  value v[9] = {0};
  const struct field fields[] = {
      {TEXT("read_only"), &v[0]},      {TEXT("allow_tools"), &v[1]},      {TEXT("deny_tools"), &v[2]},
      {TEXT("ask_tools"), &v[3]},      {TEXT("allow_extensions"), &v[4]}, {TEXT("deny_extensions"), &v[5]},
      {TEXT("allow_commands"), &v[6]}, {TEXT("deny_commands"), &v[7]},    {TEXT("prompt_words"), &v[8]},
  };
  fields_of(map, fields, COUNT(fields));
  return (struct settings){
      truth_of(v[0]), texts_of(v[1]), texts_of(v[2]), texts_of(v[3]), texts_of(v[4]),
      texts_of(v[5]), texts_of(v[6]), texts_of(v[7]), texts_of(v[8]),
  };
}

static bool is_one_of(struct text name, const struct text *names, size_t count) {
  while (count && !is(name, *names)) names++, count--;
  return count;
}

static bool is_listed(struct text name, struct texts patterns) {
  size_t i = 0;
  while (i < patterns.count && !covers(patterns.items[i], name)) i++;
  return i < patterns.count;
}

// Tools.

static struct text instead_of(struct text tool) {
  if (is_one_of(tool, shells, COUNT(shells))) return TEXT("use Read, Glob, Grep, Edit or Write");
  if (is_one_of(tool, writers, COUNT(writers))) return TEXT("show the change in your answer");
  if (is_one_of(tool, readers, COUNT(readers))) return TEXT("ask the user for what you need to see");
  if (is_one_of(tool, web, COUNT(web))) return TEXT("use the files that are here, or ask the user");
  if (is(tool, TEXT("Agent"))) return TEXT("do the work yourself");
  if (begins(tool, TEXT("mcp__"))) return TEXT("use a built-in tool");
  return TEXT("do it without, or ask the user");
}

static void name_tool(struct reason *reason, struct text tool) {
  cite(reason, tool.size ? tool : TEXT("a tool without a name"));
}

static bool refuses_tool(struct text tool, const struct settings *settings, struct reason *reason) {
  bool allowed = is_listed(tool, settings->allow_tools);
  if (tool.size && is_listed(tool, settings->deny_tools)) {
    name_tool(reason, tool);
    SAY(reason, " is denied here: ");
    say(reason, instead_of(tool));
  } else if (settings->read_only && !allowed && !is_one_of(tool, readers, COUNT(readers))) {
    SAY(reason, "read-only mode: ");
    name_tool(reason, tool);
    SAY(reason, " is not available, use Read, Glob or Grep");
  } else if (!settings->read_only && !allowed && settings->allow_tools.count) {
    name_tool(reason, tool);
    SAY(reason, " is not allowed here: use ");
    list(reason, settings->allow_tools.items, settings->allow_tools.count);
  }
  return reason->size;
}

// Extensions.

static bool ends_in_one_of(struct text path, struct texts extensions) {
  for (size_t i = 0; i < extensions.count; i++)
    if (extensions.items[i].size && ends_alike(path, extensions.items[i])) return true;
  return false;
}

// The name of the file without dots and blanks behind it, which Windows drops.
static struct text written_name(struct text path) {
  struct text name = basename_of(path);
  while (name.size && (name.at[name.size - 1] == '.' || name.at[name.size - 1] == ' ')) name.size--;
  return name;
}

static bool refuses_path(struct text tool, struct text path, const struct settings *settings, struct reason *reason) {
  bool denied = ends_in_one_of(written_name(path), settings->deny_extensions);
  if (!denied && (!settings->allow_extensions.count || ends_in_one_of(path, settings->allow_extensions))) return false;
  name_tool(reason, tool);
  SAY(reason, " may not write \"");
  cite(reason, basename_of(path));
  SAY(reason, "\" here: ");
  if (settings->allow_extensions.count) {
    SAY(reason, "use a file that ends in ");
    list(reason, settings->allow_extensions.items, settings->allow_extensions.count);
  } else {
    SAY(reason, "no file may end in ");
    list(reason, settings->deny_extensions.items, settings->deny_extensions.count);
    SAY(reason, ", use another kind of file or show the change in your answer");
  }
  return true;
}

static bool refuses_paths(struct text tool, value input, const struct settings *settings, struct reason *reason) {
  value file = 0, notebook = 0;
  const struct field fields[] = {{TEXT("file_path"), &file}, {TEXT("notebook_path"), &notebook}};
  fields_of(input, fields, COUNT(fields));
  struct text path = text_of(unless_nil(file)), other = text_of(unless_nil(notebook));
  bool both = path.size && other.size;
  if (both && refuses_path(tool, other, settings, reason)) return true;
  return refuses_path(tool, path.size ? path : other, settings, reason); // no path: ends in nothing
}

// Commands.

static bool refuses_line(struct text tool, value input, const struct settings *settings, struct reason *reason) {
  value command = 0;
  fields_of(input, &(struct field){TEXT("command"), &command}, 1);
  struct text line = text_of(unless_nil(command));
  return refuses_command(tool, line, settings->deny_commands, settings->allow_commands, reason);
}

// Events.

static bool refuses(struct text tool, value input, const struct settings *settings, struct reason *reason) {
  if (refuses_tool(tool, settings, reason)) return true;
  bool by_extension = settings->allow_extensions.count || settings->deny_extensions.count;
  if (by_extension && is_one_of(tool, writers, COUNT(writers))) return refuses_paths(tool, input, settings, reason);
  bool by_command = settings->allow_commands.count || settings->deny_commands.count;
  if (by_command && is_one_of(tool, shells, COUNT(shells))) return refuses_line(tool, input, settings, reason);
  return false;
}

static bool asks(struct text tool, const struct settings *settings, struct reason *reason) {
  if (!tool.size || !is_listed(tool, settings->ask_tools)) return false;
  name_tool(reason, tool);
  SAY(reason, " needs the user's consent here");
  return true;
}

static bool refuses_prompt(struct text prompt, struct texts words, struct reason *reason) {
  for (size_t i = 0; i < words.count; i++) {
    if (!contains_alike(prompt, words.items[i])) continue;
    SAY(reason, "the prompt contains \"");
    cite(reason, words.items[i]);
    SAY(reason, "\": rephrase it without that");
    return true;
  }
  return false;
}

static enum effect effect_of(value event, value map, struct reason *reason) {
  value v[4] = {0};
  const struct field fields[] = {
      {TEXT("hook_event_name"), &v[0]},
      {TEXT("tool_name"), &v[1]},
      {TEXT("tool_input"), &v[2]},
      {TEXT("prompt"), &v[3]},
  };
  fields_of(event, fields, COUNT(fields));
  struct settings settings = read_settings(map);
  struct text name = text_of(unless_nil(v[0]));
  if (is(name, TEXT("UserPromptSubmit")) && settings.prompt_words.count)
    return refuses_prompt(text_of(unless_nil(v[3])), settings.prompt_words, reason) ? DENY : PASS;
  if (!is(name, TEXT("PreToolUse")) && !is(name, TEXT("PermissionRequest"))) return PASS;
  struct text tool = text_of(unless_nil(v[1]));
  if (refuses(tool, unless_nil(v[2]), &settings, reason)) return DENY;
  return asks(tool, &settings, reason) ? ASK : PASS;
}

void judge(value event, value settings, struct answer *answer) {
  answer->effect = effect_of(event, settings, &answer->reason);
}
