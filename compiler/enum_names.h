// Enumerators by their names.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "streamattn/error.h"

namespace streamattn {

/// The enumerator called `text`; `names` are in the order of the enumerators. Throws Error
/// (invalid_argument) that calls it `what` and lists the known names.
template <class Enum, std::size_t count>
Enum parse_enumerator(const char* what, const std::string_view (&names)[count],
                      std::string_view text) {
  std::string known;
  for (std::size_t i = 0; i < count; i++) {
    if (names[i] == text) return static_cast<Enum>(i);
    known += (known.empty() ? "" : ", ") + std::string(names[i]);
  }
  throw Error(ErrorCode::invalid_argument,
              std::string("unknown ") + what + " \"" + std::string(text) + "\", known: " + known);
}

}  // namespace streamattn
