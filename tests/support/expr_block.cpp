// Draws blocks and values.
#include "tests/support/expr_block.h"

#include <bit>

#include "support/half.h"

namespace streamattn {
namespace {

std::int64_t number(std::mt19937_64& random, int least, int most) {
  return std::uniform_int_distribution(least, most)(random);
}

}  // namespace

RandomValues::RandomValues(std::mt19937_64& random) {
  const auto eighths = [&] { return static_cast<float>(number(random, -16, 16)) / 8; };
  for (int i = 0; i < 32; i++) ids.push_back(static_cast<std::int32_t>(number(random, -2, 9)));
  for (int i = 0; i < 16; i++) words.push_back(static_cast<std::int32_t>(number(random, -40, 40)));
  for (int i = 0; i < 16; i++) bytes.push_back(static_cast<std::uint8_t>(number(random, 0, 3)));
  for (int i = 0; i < 64; i++) reals.push_back(eighths());
  for (int i = 0; i < 8; i++) bf16.push_back(bf16_from_float(eighths()));
  for (int i = 0; i < 64; i++) f16.push_back(f16_from_float(eighths()));
  window = static_cast<int>(number(random, 1, 25));
  n = static_cast<int>(number(random, 1, 12));
  cap = static_cast<float>(number(random, 1, 16)) / 8;
}

NamedTensor RandomValues::tensor(const std::string& name) const {
  if (name == "word") return {bytes.data(), {1}, {16}};
  if (name == "table") return {words.data(), {1}, {16}};
  if (name == "bias") return {reals.data(), {32, 8, 1}, {2, 4, 7}};
  if (name == "slope") return {bf16.data() + 7, {-1}, {8}};
  if (name == "factor") return {f16.data(), {16, 2}, {4, 8}};
  if (name == "length") return {ids.data(), {8}, {4}};
  return {ids.data(), {8, 1}, {4, 8}};
}

NamedValues RandomValues::in_order_of(const ExprNames& names) const {
  NamedValues values = {};
  for (std::size_t i = 0; i < names.scalars.size(); i++) {
    const std::string& name = names.scalars[i].name;
    values.scalars[i] = name == "window" ? window : name == "n" ? n : std::bit_cast<int>(cap);
  }
  for (std::size_t i = 0; i < names.tensors.size(); i++)
    values.tensors[i] = tensor(names.tensors[i].name);
  return values;
}

ExprBlock ExprBlock::random(std::mt19937_64& random, std::int64_t keys) {
  ExprBlock block;
  ExprPoint& at = block.at;
  at.batch = number(random, 0, 3), at.head = number(random, 0, 7), at.kv_head = at.head / 2;
  at.q_len = number(random, 1, 60), at.kv_len = number(random, 1, 60);
  at.q_first = number(random, -20, 60), at.q_end = at.q_first + number(random, 1, 9);
  at.k_first = number(random, -20, 20), at.k_end = at.k_first + keys;
  return block;
}

std::string ExprBlock::describe() const {
  return "q [" + std::to_string(at.q_first) + ", " + std::to_string(at.q_end) + "), k [" +
         std::to_string(at.k_first) + ", " + std::to_string(at.k_end) + "), batch " +
         std::to_string(at.batch) + ", head " + std::to_string(at.head) + ", q_len " +
         std::to_string(at.q_len) + ", kv_len " + std::to_string(at.kv_len);
}

}  // namespace streamattn
