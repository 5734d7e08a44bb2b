// Sizes of named tensors from their indices, and their contents from a seed.
#include "measure/named_inputs.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "compiler/expr/build.h"
#include "compiler/expr/names.h"
#include "measure/host_memory.h"
#include "measure/index_bounds.h"
#include "measure/random_inputs.h"
#include "runtime/cpu/threads.h"
#include "streamattn/error.h"
#include "support/did_you_mean.h"
#include "support/half.h"

namespace streamattn {
namespace {

constexpr std::string_view kind_names[] = {"random",  "slopes", "documents",
                                           "lengths", "bits",   "constant"};
constexpr std::int64_t most_elements = std::int64_t{1} << 31;
constexpr double past_words = 0x1p31;

template <typename... Values>
[[noreturn]] void refuse(const char* format, Values&&... values) {
  throw Error(ErrorCode::invalid_argument,
              llvm::formatv(format, std::forward<Values>(values)...).str());
}

/// What the expressions of a problem do with a tensor.
struct Use {
  std::int64_t sizes[4] = {1, 1, 1, 1};
  bool is_word = false, has_positions = false;
};

std::vector<Use> uses_of(const Problem& problem, const ExprNames& names,
                         const IndexBounds& bounds) {
  std::vector<Use> uses(names.tensors.size());
  const auto note = [&](const Expr& part) {
    const ExprNode& node = part.node();
    if (node.op == ExprOp::bit && node.operands[0].node().op == ExprOp::element)
      uses[names.index_of(node.operands[0].node())].is_word = true;
    if (node.op != ExprOp::element) return;
    Use& use = uses[names.index_of(node)];
    for (std::size_t d = 0; d < node.operands.size(); d++) {
      const Expr& index = node.operands[d];
      use.sizes[d] = std::max(use.sizes[d], bounds(index).most + 1);
      use.has_positions |=
          index.node().uses_variable(Variable::q) || index.node().uses_variable(Variable::k);
    }
  };
  for_each_node(problem.mask, note);
  for_each_node(problem.score, note);
  if (problem.sink) for_each_node(*problem.sink, note);
  return uses;
}

InputKind default_kind(const ExprName& name, const Use& use) {
  if (use.is_word || name.dtype == DType::u8) return InputKind::bits;
  if (is_real(name.dtype)) return InputKind::random;
  return use.has_positions ? InputKind::documents : InputKind::lengths;
}

/// The shortest text that reads as the same number.
std::string shortest(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

/// Even in [0, 1).
double uniform(std::uint64_t seed, std::uint64_t index) {
  // The distribution function of the normal one takes a normal number there.
  const double normal = random_element(seed, index, Distribution::normal);
  return std::min(0.5 * std::erfc(-normal / std::sqrt(2.0)), 1 - 0x1p-24);
}

void store(void* data, DType type, std::int64_t index, double value) {
  if (is_real(type)) return store_element(data, type, index, static_cast<float>(value));
  if (type == DType::u8)
    static_cast<std::uint8_t*>(data)[index] = static_cast<std::uint8_t>(value);
  else
    static_cast<std::int32_t*>(data)[index] = static_cast<std::int32_t>(value);
}

/// Rows of ids that grow by one after documents of random lengths around `mean`.
void fill_documents(const TensorArg& tensor, void* data, double mean, std::uint64_t seed) {
  const std::int64_t length = tensor.sizes[tensor.rank - 1];
  std::int64_t elements = 1;
  for (int d = 0; d < tensor.rank; d++) elements *= tensor.sizes[d];
  double id = 0;
  std::int64_t end = 0;  // of the document
  for (std::int64_t i = 0; i < elements; i++) {
    if (i % length == 0) id = -1, end = i;
    if (i == end) {
      id++;
      end += std::max<std::int64_t>(1, std::llround(mean * (0.5 + uniform(seed, i))));
    }
    store(data, tensor.dtype, i, id);
  }
}

void fill(const TensorArg& tensor, void* data, const NamedInput& input, const InputExtent& extent,
          std::uint64_t seed) {
  const std::int64_t last = tensor.sizes[tensor.rank - 1];
  const auto fill_each = [&](const auto& value) {
    std::int64_t rows = 1;
    for (int d = 0; d + 1 < tensor.rank; d++) rows *= tensor.sizes[d];
    parallel_for(rows, 0, [&](std::int64_t row) {
      for (std::int64_t i = row * last; i < (row + 1) * last; i++)
        store(data, tensor.dtype, i, value(i));
    });
  };
  const bool is_word = tensor.dtype == DType::i32;
  switch (input.kind) {
    case InputKind::random:
      if (is_real(tensor.dtype))
        return fill_each([&](std::int64_t i) {
          return input.number.value_or(1) * random_element(seed, i, Distribution::normal);
        });
      return fill_each([&](std::int64_t i) {
        return std::floor(input.number.value_or(256) * uniform(seed, i));
      });
    case InputKind::slopes:
      return fill_each([&](std::int64_t i) {
        return std::exp2(-8.0 * static_cast<double>(i % last + 1) / static_cast<double>(last));
      });
    case InputKind::documents:
      return fill_documents(
          tensor, data,
          std::max(1.0, input.number.value_or(static_cast<double>(extent.kv_len) / 4)), seed);
    case InputKind::lengths:
      return fill_each([&](std::int64_t i) {
        const double most = input.number.value_or(static_cast<double>(extent.kv_len));
        return std::max(1.0, std::floor(most * (1 - 0.5 * uniform(seed, i))));
      });
    case InputKind::bits:
      return fill_each([&](std::int64_t i) {
        const double share = input.number.value_or(0.5);
        if (!is_word) return uniform(seed, i) < share ? 1.0 : 0.0;
        std::uint32_t word = 0;
        for (int bit = 0; bit < 32; bit++)
          word |= (uniform(seed, 32 * i + bit) < share ? 1U : 0U) << bit;
        return static_cast<double>(std::bit_cast<std::int32_t>(word));
      });
    case InputKind::constant:
      return fill_each([&](std::int64_t) { return input.number.value_or(0); });
  }
}

}  // namespace

InputKind parse_input_kind(std::string_view text) {
  if (text == "zeros") return InputKind::constant;
  const auto* const found = llvm::find(kind_names, text);
  if (found == std::end(kind_names))
    throw Error(ErrorCode::invalid_argument, llvm::formatv("unknown kind of input \"{0}\", {1}",
                                                           text, did_you_mean(text, kind_names)));
  return static_cast<InputKind>(found - std::begin(kind_names));
}

void check_number(const NamedInput& input) {
  if (!input.number) return;
  const double number = *input.number;
  const auto require = [&](bool holds, const char* needed) {
    if (!holds)
      refuse("{0}: the number is {1}, needs {2}", name(input.kind), shortest(number), needed);
  };
  switch (input.kind) {
    case InputKind::slopes:
      refuse("slopes takes no number, {0} is given", shortest(number));
    case InputKind::random:
      return require(std::abs(number) < past_words, "to lie between -2^31 and 2^31");
    case InputKind::documents:
    case InputKind::lengths:
      return require(number >= 1 && number < past_words, "1 or more, and less than 2^31");
    case InputKind::bits:
      return require(number >= 0 && number <= 1, "a share of ones, 0 to 1");
    case InputKind::constant:
      return require(!std::isnan(number), "to be one");
  }
}

std::string_view name(InputKind kind) { return kind_names[static_cast<int>(kind)]; }

std::string input_kinds() { return llvm::join(std::begin(kind_names), std::end(kind_names), "|"); }

std::string describe(const NamedNumber& scalar) {
  return scalar.name + " = " + shortest(scalar.value);
}

std::string describe(const NamedInput& input) {
  return input.name + " = " + std::string(name(input.kind)) +
         (input.number ? ":" + shortest(*input.number) : "");
}

NamedInputs::NamedInputs(const Problem& problem, const InputExtent& extent,
                         const std::vector<NamedNumber>& scalars,
                         const std::vector<NamedInput>& tensors, std::uint64_t seed)
    : numbers_(scalars) {
  for (const NamedNumber& number : numbers_) scalars_.push_back({number.name, number.value});
  const ExprNames names(problem);
  for (const ExprName& tensor : names.tensors) names_.push_back(tensor.name);
  for (const NamedInput& input : tensors) {
    if (llvm::is_contained(names_, input.name)) continue;
    const std::vector<std::string_view> known(names_.begin(), names_.end());
    if (known.empty()) refuse("tensor \"{0}\": the problem names no tensor", input.name);
    refuse("tensor \"{0}\": the problem names no such tensor, {1}", input.name,
           did_you_mean(input.name, known));
  }
  const std::vector<Use> uses = uses_of(problem, names, IndexBounds(extent, numbers_));
  for (std::size_t i = 0; i < names_.size(); i++) {
    const ExprName& name = names.tensors[i];
    NamedInput input{names_[i], default_kind(name, uses[i])};
    for (const NamedInput& given : tensors)
      if (given.name == name.name) input = given;
    check_number(input);
    if (!is_real(name.dtype) && std::abs(input.number.value_or(0)) >= past_words)
      refuse("tensor \"{0}\": {1} is no {2}", name.name, shortest(*input.number),
             streamattn::name(name.dtype));
    TensorArg tensor{.name = names_[i], .dtype = name.dtype, .rank = name.rank};
    std::int64_t elements = 1;
    for (int d = name.rank - 1; d >= 0; d--) {
      tensor.sizes[d] = uses[i].sizes[d];
      tensor.strides[d] = elements;
      if (llvm::MulOverflow(elements, tensor.sizes[d], elements) || elements > most_elements)
        refuse("tensor \"{0}\": its indices reach more than 2^31 elements", name.name);
    }
    require_memory(llvm::formatv("tensor \"{0}\"", name.name),
                   static_cast<double>(elements * bytes(name.dtype)));
    memory_.emplace_back(elements * bytes(name.dtype));
    tensor.data = memory_.back().data();
    fill(tensor, memory_.back().data(), input, extent, seed + i);
    tensors_.push_back(tensor);
  }
}

}  // namespace streamattn
