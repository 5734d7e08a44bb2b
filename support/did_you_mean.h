// Names near a misspelt one, for messages about unknown keys and values.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace streamattn {

/// What to say after 'unknown x "word"': `did you mean "tile_kv"?` where one of `known` is close,
/// else "known: a, b, c".
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

}  // namespace streamattn
