// Values of TOML keys; every complaint carries the place.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/toml.h"
#include "streamattn/error.h"

namespace streamattn {

/// What readers of documents share. All of it throws Error (invalid_config) with `origin`, line and
/// column; of a complaint, what a terminal would act on is spelled out.
class TomlReader {
 public:
  explicit TomlReader(std::string_view origin) : origin_(origin) {}

  std::string_view origin() const { return origin_; }

  [[noreturn]] void fail(const toml::source_region& place, const std::string& complaint) const;

  /// For a key that is not among `known`; `what` is what it would be, such as "key".
  [[noreturn]] void fail_unknown(const toml::key& key, std::string_view what,
                                 std::span<const std::string_view> known) const;

  std::string text(std::string_view key, const toml::node& node) const;
  const toml::table& table(std::string_view key, const toml::node& node) const;
  std::int64_t integer(std::string_view key, const toml::node& node) const;  ///< from 0 on
  double positive(std::string_view key, const toml::node& node) const;

  /// The elements of a list, or the node itself where it is none.
  std::vector<const toml::node*> elements(const toml::node& node) const;

  /// The value of a key of `from`; nothing, or `otherwise`, where there is no such key.
  std::optional<std::int64_t> number(const toml::table& from, std::string_view key) const;
  std::vector<std::int64_t> numbers(const toml::table& from, std::string_view key,
                                    const std::vector<std::int64_t>& otherwise) const;
  std::vector<std::string> texts(const toml::table& from, std::string_view key,
                                 const std::string& otherwise) const;

  /// What `read` returns; its complaint gets the place of `node`.
  template <class Read>
  auto at(const toml::node& node, const Read& read) const -> decltype(read()) {
    try {
      return read();
    } catch (const Error& error) {
      fail(node.source(), error.what());
    }
  }

 private:
  std::string_view origin_;
};

}  // namespace streamattn
