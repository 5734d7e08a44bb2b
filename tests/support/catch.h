// Catch2 of either major version under one include.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;  // where Catch2 2 has it
#else
#include <catch2/catch.hpp>
#endif

namespace streamattn {

/// Matches a message that has `text` in it.
inline auto contains_text(const std::string& text) {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::Matchers::ContainsSubstring(text);
#else
  return Catch::Contains(text);
#endif
}

}  // namespace streamattn
