// The identity of a compiled kernel: everything the compiler is given, and which compiler it is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "streamattn/compiler.h"

namespace streamattn {

/// Equal keys mean equal binaries, on any machine and in any directory.
struct KernelKey {
  std::array<std::uint8_t, 32> bytes{};

  /// 52 characters of lower-case base32.
  std::string text() const;

  /// The inverse of text(); nothing for text that it cannot have written.
  static std::optional<KernelKey> parse(std::string_view text);

  friend bool operator==(const KernelKey&, const KernelKey&) = default;
};

/// The key of compiling `source.flat` for `source.target` with `options`, in the canonical order
/// compile() uses. `compiler_identity` is what the libraries contain (build-ids, never paths or
/// times) and must not be empty. Environment variables that NVRTC reads are part of the key; one
/// warning says so where any is set.
KernelKey kernel_key(const Source& source, std::span<const std::string> options,
                     std::string_view compiler_identity);

}  // namespace streamattn
