// Reads values of TOML keys.
#include "compiler/toml_reader.h"

#include <llvm/Support/FormatVariadic.h>

#include "support/did_you_mean.h"
#include "support/spelled_out.h"

namespace streamattn {

void TomlReader::fail(const toml::source_region& place, const std::string& complaint) const {
  throw Error(ErrorCode::invalid_config,
              llvm::formatv("{0}:{1}:{2}: {3}", origin_, place.begin.line, place.begin.column,
                            spelled_out(complaint)));
}

void TomlReader::fail_unknown(const toml::key& key, std::string_view what,
                              std::span<const std::string_view> known) const {
  fail(key.source(),
       llvm::formatv("unknown {0} \"{1}\", {2}", what, key.str(), did_you_mean(key.str(), known)));
}

std::string TomlReader::text(std::string_view key, const toml::node& node) const {
  if (const auto value = node.value_exact<std::string>()) return *value;
  fail(node.source(), std::string(key) + " is not a string");
}

const toml::table& TomlReader::table(std::string_view key, const toml::node& node) const {
  if (const toml::table* inner = node.as_table()) return *inner;
  fail(node.source(), std::string(key) + " is not a table { ... }");
}

std::int64_t TomlReader::integer(std::string_view key, const toml::node& node) const {
  const auto value = node.value_exact<std::int64_t>();
  if (!value || *value < 0) fail(node.source(), std::string(key) + " is no integer from 0 on");
  return *value;
}

double TomlReader::positive(std::string_view key, const toml::node& node) const {
  const auto value = node.value<double>();
  if (!value || !(*value > 0)) fail(node.source(), std::string(key) + " is no number above 0");
  return *value;
}

std::vector<const toml::node*> TomlReader::elements(const toml::node& node) const {
  std::vector<const toml::node*> list;
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) list.push_back(&element);
  } else {
    list.push_back(&node);
  }
  if (list.empty()) fail(node.source(), "the list is empty");
  return list;
}

std::optional<std::int64_t> TomlReader::number(const toml::table& from,
                                               std::string_view key) const {
  const toml::node* node = from.get(key);
  return node ? std::optional(integer(key, *node)) : std::nullopt;
}

std::vector<std::int64_t> TomlReader::numbers(const toml::table& from, std::string_view key,
                                              const std::vector<std::int64_t>& otherwise) const {
  const toml::node* node = from.get(key);
  if (!node) return otherwise;
  std::vector<std::int64_t> list;
  for (const toml::node* element : elements(*node)) list.push_back(integer(key, *element));
  return list;
}

std::vector<std::string> TomlReader::texts(const toml::table& from, std::string_view key,
                                           const std::string& otherwise) const {
  const toml::node* node = from.get(key);
  if (!node) return {otherwise};
  std::vector<std::string> list;
  for (const toml::node* element : elements(*node)) list.push_back(text(key, *element));
  return list;
}

}  // namespace streamattn
