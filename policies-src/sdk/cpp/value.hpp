// The values of a request: msgpack-cxx reads it once, into one flat list of nodes, and texts stay where they are.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <msgpack.hpp>

#include "runtime.hpp"

namespace wasmguard {

enum class kind : std::uint8_t { nil, boolean, integer, real, text, bytes, list, map };

// The same text, which must be UTF-8: traps otherwise.
std::string_view utf8(std::string_view text);

// A value and where the next one begins; what a list or a map holds stands behind it.
struct node {
  kind type;
  std::uint32_t span; // nodes, with all that is inside
  union {
    bool truth;
    std::int64_t integer;
    double real;
    struct { const char* at; std::uint32_t size; } text; // or bytes
    std::uint32_t count; // items, or pairs
  };
};

// One value of the request, or none. Asked for what it is not, it traps.
class value {
 public:
  value() = default;
  explicit value(const node* at) : at_(at) {}

  bool exists() const { return at_; }
  explicit operator bool() const { return at_ && at_->type != kind::nil; } // it exists and is not nil
  bool is(kind type) const { return at_ && at_->type == type; }
  kind type() const { return there().type; }

  std::string_view text() const { return utf8(raw(kind::text)); }
  std::string_view bytes() const { return raw(kind::bytes); }
  bool truth() const { return of(kind::boolean).truth; }
  std::int64_t integer() const { return of(kind::integer).integer; }
  double real() const { return of(kind::real).real; }

  // A field of a map, or none; traps if it comes twice. Of no value, and of nil, there are no fields.
  value operator[](std::string_view key) const;

  // What a list holds, or a map: key, value, key, value, ...
  std::vector<value> items() const;

 private:
  const node& there() const { return at_ ? *at_ : (trap(), *at_); }
  const node& of(kind type) const { return is(type) ? *at_ : (trap(), *at_); }
  std::string_view raw(kind type) const { return {of(type).text.at, of(type).text.size}; }

  const node* at_ = nullptr;
};

inline value value::operator[](std::string_view key) const {
  if (!*this) return {};
  value found;
  const node* next = at_ + 1;
  for (auto left = of(kind::map).count; left; left--) {
    const node* held = next + 1; // a key is one node
    if (std::string_view(next->text.at, next->text.size) == key) {
      if (found.at_) trap();
      found.at_ = held;
    }
    next = held + held->span;
  }
  return found;
}

inline std::vector<value> value::items() const {
  std::vector<value> made;
  if (!is(kind::map)) of(kind::list);
  for (const node *next = at_ + 1, *end = at_ + at_->span; next < end; next += next->span) made.emplace_back(next);
  return made;
}

// Listens to msgpack-cxx. Keys must be texts; an ext type traps, and so do bytes that are no msgpack.
class reader : public msgpack::null_visitor {
 public:
  explicit reader(std::size_t size) { nodes_.reserve(size < 64 ? size : 64); }

  // The one value that fills all the bytes.
  value read(const char* bytes, std::size_t size) {
    std::size_t end = 0;
    if (msgpack::detail::parse_imp(bytes, size, end, *this) != msgpack::PARSE_SUCCESS) trap();
    return value(nodes_.data());
  }

  bool visit_nil() { return add(kind::nil), true; }
  bool visit_boolean(bool truth) { return add(kind::boolean).truth = truth, true; }
  bool visit_positive_integer(std::uint64_t number) {
    if (number > INT64_MAX) return visit_float64(static_cast<double>(number));
    return add(kind::integer).integer = static_cast<std::int64_t>(number), true;
  }
  bool visit_negative_integer(std::int64_t number) { return add(kind::integer).integer = number, true; }
  bool visit_float32(float number) { return visit_float64(number); }
  bool visit_float64(double number) { return add(kind::real).real = number, true; }
  bool visit_bin(const char* at, std::uint32_t size) { return add(kind::bytes).text = {at, size}, true; }
  bool visit_ext(const char*, std::uint32_t) { return false; }
  bool visit_str(const char* at, std::uint32_t size) {
    is_key_ = false;
    return add(kind::text).text = {at, size}, true;
  }
  bool start_array(std::uint32_t count) { return open(kind::list, count), true; }
  bool start_map(std::uint32_t count) { return open(kind::map, count), true; }
  bool start_map_key() { return is_key_ = true; }
  bool end_array() { return close(), true; }
  bool end_map() { return close(), true; }

 private:
  node& add(kind type) {
    if (is_key_) trap();
    node& made = nodes_.emplace_back();
    made.type = type;
    made.span = 1;
    return made;
  }

  // While a list or map is open, its span is the place of the one that it stands in.
  void open(kind type, std::uint32_t count) {
    node& made = add(type);
    made.count = count;
    made.span = open_;
    open_ = static_cast<std::uint32_t>(nodes_.size() - 1);
  }

  void close() {
    node& closed = nodes_[open_];
    auto outer = closed.span;
    closed.span = static_cast<std::uint32_t>(nodes_.size() - open_);
    open_ = outer;
  }

  std::vector<node> nodes_;
  std::uint32_t open_ = 0;
  bool is_key_ = false;
};

// The size of the character at `at`, 0 if it is none: RFC 3629, section 4.
inline std::size_t character(const unsigned char* at, std::size_t left) {
  if (at[0] < 0x80) return 1;
  std::size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
  if (at[0] < 0xc2 || at[0] > 0xf4 || size > left) return 0;
  unsigned least = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80; // not in a longer form than needed,
  unsigned most = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;  // no surrogate, nothing over U+10FFFF
  if (at[1] < least || at[1] > most) return 0;
  for (std::size_t i = 2; i < size; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  return size;
}

inline std::string_view utf8(std::string_view text) {
  const char *at = text.data(), *end = at + text.size();
  while (at < end) {
    std::uint64_t eight = 0;
    if (end - at >= 8) std::memcpy(&eight, at, 8);
    if (end - at >= 8 && !(eight & 0x8080808080808080)) { // nearly all is ASCII
      at += 8;
      continue;
    }
    auto size = character(reinterpret_cast<const unsigned char*>(at), end - at);
    if (!size) trap();
    at += size;
  }
  return text;
}

} // namespace wasmguard
