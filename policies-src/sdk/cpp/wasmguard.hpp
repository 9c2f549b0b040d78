// A policy in C++ is a file that includes this header and defines `policy`:
//
//   #include "wasmguard.hpp"
//
//   wasmguard::answer policy(const wasmguard::request& request) {
//     auto path = request.input_text("file_path");
//     if (request.event_name != "PreToolUse" || !path) return wasmguard::pass();
//     if (!wasmguard::is_below(*path, "/etc")) return wasmguard::pass();
//     return wasmguard::deny(wasmguard::join({*path, " is in /etc"}));
//   }
//
// Texts of the request are `std::string_view`s into it, which live as long as the evaluation. Nothing is imported, and
// there is no input or output. What would throw ends in a trap, and so does a request that cannot be read, or of which
// a policy asks something that has the wrong type: the host makes that a deny.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime.hpp"
#include "value.hpp"

namespace wasmguard {

// The request. A text that is not there is empty; a value that is not there is false.
struct request {
  std::string_view event_name, tool_name, cwd;
  value event, tool_input, settings;
  std::optional<std::string_view> state; // bytes: what the last answer remembered

  // A field of the tool's input; none if there is no such field, or something else than a text.
  std::optional<std::string_view> input_text(std::string_view field) const;

  // What the owner set, or `unset`. A setting of another type is a trap: the host has checked it with the manifest.
  std::string_view setting_text(std::string_view name, std::string_view unset = {}) const;
  bool setting_bool(std::string_view name, bool unset = false) const;
  std::int64_t setting_integer(std::string_view name, std::int64_t unset = 0) const;
  std::vector<std::string_view> setting_texts(std::string_view name, std::vector<std::string_view> unset = {}) const;
};

enum class effect { pass, allow, ask, deny };

// What a policy says. Made by `pass`, `allow`, `ask` or `deny`; then it may say more.
struct answer {
  wasmguard::effect effect = effect::pass;
  std::string reason;               // one line for the owner and the model
  std::string context;              // text for the model
  bool interrupt = false;           // with a deny: stop the run
  std::optional<std::string> state; // bytes to be given the next time; empty bytes forget
  std::vector<std::string> notes;   // for the record
  std::string output;               // what replaces the tool's output, as msgpack; empty for nothing
  std::vector<std::pair<std::string, std::string>> changes; // fields of the tool's input, each with a msgpack value

  // Puts a value into a field of the tool's input: anything that msgpack-cxx packs. The last word on a field counts.
  template <typename T> answer& rewrite(std::string_view field, const T& value);

  // Replaces the tool's output, or the fields of it that are in a map.
  template <typename T> answer& rewrite_output(const T& value);

  answer& note(std::string text) { return notes.push_back(std::move(text)), *this; }
  answer& remember(std::string bytes) { return state = std::move(bytes), *this; }
};

inline answer pass() { return {}; }
inline answer allow(std::string reason) { return {.effect = effect::allow, .reason = std::move(reason)}; }
inline answer ask(std::string reason) { return {.effect = effect::ask, .reason = std::move(reason)}; }
inline answer deny(std::string reason) { return {.effect = effect::deny, .reason = std::move(reason)}; }

// One text of several.
std::string join(std::initializer_list<std::string_view> parts);

// An absolute path without `.`, `..` and doubled slashes; any other text as it is. Above the top there is only `/`.
// Works on the text: links are not followed.
std::string normal(std::string_view path);

// Whether a path is the folder or below it: `/etcetera` is not below `/etc`. Compares texts: see `normal`.
bool is_below(std::string_view path, std::string_view folder);

} // namespace wasmguard

// The policy. You write it.
wasmguard::answer policy(const wasmguard::request& request);

#include "guest.hpp"
