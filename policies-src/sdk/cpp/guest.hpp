// The inside of `wasmguard.hpp`: the request taken apart, the answer put together, and guest ABI 1.
#pragma once

namespace wasmguard {

inline std::optional<std::string_view> request::input_text(std::string_view field) const {
  value found = tool_input[field];
  if (!found.is(kind::text)) return std::nullopt;
  return found.text();
}

inline std::string_view request::setting_text(std::string_view name, std::string_view unset) const {
  value found = settings[name];
  return found.exists() ? found.text() : unset;
}

inline bool request::setting_bool(std::string_view name, bool unset) const {
  value found = settings[name];
  return found.exists() ? found.truth() : unset;
}

inline std::int64_t request::setting_integer(std::string_view name, std::int64_t unset) const {
  value found = settings[name];
  return found.exists() ? found.integer() : unset;
}

inline std::vector<std::string_view> request::setting_texts(std::string_view name,
                                                            std::vector<std::string_view> unset) const {
  value found = settings[name];
  if (!found.exists()) return unset;
  if (!found.is(kind::list)) trap();
  std::vector<std::string_view> texts;
  for (value item : found.items()) texts.push_back(item.text());
  return texts;
}

inline std::string join(std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (auto part : parts) size += part.size();
  std::string made;
  made.reserve(size);
  for (auto part : parts) made.append(part);
  return made;
}

inline std::string normal(std::string_view path) {
  if (!path.starts_with('/')) return std::string(path);
  std::string made;
  made.reserve(path.size());
  while (!path.empty()) {
    auto component = path.substr(0, path.find('/'));
    path.remove_prefix(component.size() < path.size() ? component.size() + 1 : component.size());
    if (component.empty() || component == ".") continue;
    if (component == "..") {
      made.resize(made.empty() ? 0 : made.rfind('/'));
      continue;
    }
    made += '/';
    made += component;
  }
  return made.empty() ? "/" : made;
}

inline bool is_below(std::string_view path, std::string_view folder) {
  while (folder.ends_with('/')) folder.remove_suffix(1);
  if (!path.starts_with(folder)) return false;
  return path.size() == folder.size() ? !path.empty() : path[folder.size()] == '/';
}

// Where msgpack-cxx writes to.
struct bytes {
  std::string made;
  void write(const char* at, std::size_t size) { made.append(at, size); }
};

using packer = msgpack::packer<bytes>;

template <typename T> std::string packed(const T& value) {
  bytes out;
  packer(out).pack(value);
  return std::move(out.made);
}

template <typename T> answer& answer::rewrite(std::string_view field, const T& value) {
  std::erase_if(changes, [&](const auto& change) { return change.first == field; });
  changes.emplace_back(field, packed(value));
  return *this;
}

template <typename T> answer& answer::rewrite_output(const T& value) {
  output = packed(value);
  return *this;
}

inline void put(packer& out, std::string_view text) {
  utf8(text); // the host refuses the answer otherwise
  out.pack_str(static_cast<std::uint32_t>(text.size()));
  out.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
}

// Only what was said: to the host an absent key and an empty one are not the same.
inline std::string written(const answer& said) {
  static constexpr std::string_view effects[] = {"pass", "allow", "ask", "deny"};
  bytes made;
  made.made.reserve(256);
  packer out(made);
  out.pack_map(1 + !said.reason.empty() + !said.context.empty() + said.interrupt + said.state.has_value() +
               !said.notes.empty() + !said.changes.empty() + !said.output.empty());
  put(out, "effect"), put(out, effects[static_cast<std::size_t>(said.effect)]);
  if (!said.reason.empty()) put(out, "reason"), put(out, said.reason);
  if (!said.context.empty()) put(out, "context"), put(out, said.context);
  if (said.interrupt) put(out, "interrupt"), out.pack_true();
  if (said.state) {
    put(out, "state"), out.pack_bin(static_cast<std::uint32_t>(said.state->size()));
    made.write(said.state->data(), said.state->size());
  }
  if (!said.changes.empty()) put(out, "rewrite"), out.pack_map(static_cast<std::uint32_t>(said.changes.size()));
  for (const auto& [field, value] : said.changes) put(out, field), made.write(value.data(), value.size());
  if (!said.output.empty()) put(out, "rewrite_output"), made.write(said.output.data(), said.output.size());
  if (!said.notes.empty()) put(out, "notes"), out.pack_array(static_cast<std::uint32_t>(said.notes.size()));
  for (const auto& note : said.notes) put(out, note);
  return std::move(made.made);
}

inline std::string_view text_or_none(value found) { return found ? found.text() : std::string_view(); }

inline value map_of(value found) { return found.is(kind::map) ? found : (trap(), found); }

inline request read(value whole) {
  if (map_of(whole)["abi"].integer() != 1) trap();
  value event = map_of(whole["event"]), state = whole["state"];
  request made;
  made.event = event;
  made.settings = map_of(whole["settings"]);
  made.event_name = text_or_none(event["hook_event_name"]);
  made.tool_name = text_or_none(event["tool_name"]);
  made.cwd = text_or_none(event["cwd"]);
  made.tool_input = event["tool_input"];
  if (!state.is(kind::nil)) made.state = state.bytes();
  return made;
}

} // namespace wasmguard

#define WASMGUARD_EXPORT(name) extern "C" __attribute__((weak, used, export_name(#name)))

WASMGUARD_EXPORT(wasmguard_abi_1) void wasmguard_abi_1() {}

// The first call that an instance gets, so global objects are made here: `_initialize` would be one call more.
WASMGUARD_EXPORT(wasmguard_alloc) void* wasmguard_alloc(std::size_t size) {
  static bool started = false;
  if (!std::exchange(started, true)) __wasm_call_ctors();
  return wasmguard::heap::take(size);
}

WASMGUARD_EXPORT(wasmguard_evaluate) std::uint64_t wasmguard_evaluate(const char* bytes, std::size_t size) {
  wasmguard::reader reader(size);
  std::string answer = wasmguard::written(policy(wasmguard::read(reader.read(bytes, size))));
  auto* kept = static_cast<char*>(wasmguard::heap::need(answer.size())); // a short string lives on the stack
  std::memcpy(kept, answer.data(), answer.size());
  return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(kept)) << 32 | answer.size();
}
