// Contents for the tensors that a problem names, made from a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streamattn/forward.h"

namespace streamattn {

/// What a named tensor holds. Some kinds have a number that they can be given.
enum class InputKind {
  random,     ///< reals: N(0, 1) times it (1); integers: even from 0 to it, itself left out (256)
  slopes,     ///< of ALiBi: 2^(-8 (i + 1) / n), i the last index
  documents,  ///< ids along the last dimension, of documents that are about it long (a quarter)
  lengths,    ///< from 1 to it (kv_len), half of that at least
  bits,       ///< words of random bits, or 0 and 1: it is the share of ones (0.5)
  constant,   ///< it (0)
};

/// A kind by its name, "zeros" for constant. Throws Error (invalid_argument) with those known.
InputKind parse_input_kind(std::string_view text);
std::string_view name(InputKind kind);

/// The names of kinds, as in a flag's help: "random|slopes|...".
std::string input_kinds();

/// A named scalar of a case.
struct NamedNumber {
  std::string name;
  double value = 0;
};

/// What a named tensor of a case holds.
struct NamedInput {
  std::string name;
  InputKind kind = InputKind::random;
  std::optional<double> number = {};
};

/// Throws Error (invalid_argument) for a number that the kind has no use for, or none that it could
/// have.
void check_number(const NamedInput& input);

/// The largest positions and counts in a call: what sizes of named tensors follow from.
struct InputExtent {
  std::int64_t batch, heads, kv_heads, q_len, kv_len;
  Rows q, k;  ///< positions
};

/// Named scalars, and named tensors in host memory, dense, each as large as its indices reach.
/// Those whose kind is not given are bits where they are words of bit(), random where they are
/// real, documents where an index is a position, else lengths.
class NamedInputs {
 public:
  /// Throws Error (invalid_argument) for a tensor that the problem does not name, for a number as
  /// check_number(), and for more than 2^31 elements, or than this machine has memory for.
  NamedInputs(const Problem& problem, const InputExtent& extent,
              const std::vector<NamedNumber>& scalars, const std::vector<NamedInput>& tensors,
              std::uint64_t seed);

  // What it gives points into it; moving it leaves that in place.
  NamedInputs(NamedInputs&&) = default;
  NamedInputs& operator=(NamedInputs&&) = default;

  std::span<const ScalarArg> scalars() const { return scalars_; }
  std::span<const TensorArg> tensors() const { return tensors_; }

 private:
  std::vector<NamedNumber> numbers_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::byte>> memory_;
  std::vector<ScalarArg> scalars_;
  std::vector<TensorArg> tensors_;
};

/// "window = 512", "id = documents:512".
std::string describe(const NamedNumber& scalar);
std::string describe(const NamedInput& input);

}  // namespace streamattn
