// Device code of expressions where what the emulator computes would not show a fault: it is told by
// the text.
#include "compiler/expr/cuda_text.h"

#include "tests/support/catch.h"

namespace streamattn {
namespace {

std::string condition(const char* text) {
  const Expr mask = Expr::parse(text);
  const ExprNames names{mask};
  return CudaText(names, 1).condition(mask);
}

}  // namespace

TEST_CASE("bits beyond a word are those of the remainder, which a GPU's shift would not take") {
  CHECK(condition("bit(q, k)") == "(q >> ((k + column) & 31)) & 1");
  CHECK(condition("bit(q, k % 32)") == "(q >> ((k + column) & 31)) & 1");
  CHECK(condition("bit(q, k % 8)") == "(q >> ((k + column) & 7)) & 1");
  CHECK(condition("bit(q, k % 48)") == "(q >> (floor_modulo((k + column), 48) & 31)) & 1");
  CHECK(condition("bit(q, 3)") == "(q >> 3) & 1");
}

TEST_CASE("elements are compared without a sum that might leave 32 bits") {
  constexpr const char* at_q = "named_element<int>(id_, q)";
  constexpr const char* at_k = "named_element<int>(id_, (k + column))";
  const std::string q = at_q, k = at_k;
  CHECK(condition("id[q] == id[k]") == q + " == " + k);
  CHECK(condition("id[q] < id[k]") == q + " < " + k);
  CHECK(condition("id[q] <= id[k]") == q + " <= " + k);
  CHECK(condition("id[k] < q") == k + " < q");
  CHECK(condition("id[k] < 0") == k + " < 0");
  CHECK(condition("id[k] > q") == "q < " + k);
  CHECK(condition("k <= id[q]") == "column <= min(1073741824, max((-1073741824), " + q + ")) - k");
  CHECK(condition("k + q <= id[q]") == "(q + (k + column)) <= " + q);
}

TEST_CASE("uniform factors are one member, with the scale of every score and as divisors") {
  const auto factor = [](const char* text) {
    const Expr score = Expr::parse(text, ExprRole::score);
    const ExprNames names{score};
    CudaText cuda(names, 1);
    cuda.real(score);
    return cuda.members().front().value;
  };
  CHECK(factor("abs(q - k) / 93.0") == "1.0f / 93.0f");
  CHECK(factor("score / 8.0") == "params.scale / 8.0f");
  CHECK(factor("score * 3.0 / 8.0") == "params.scale * 3.0f / 8.0f");
  CHECK(factor("score * score") == "params.scale * params.scale");
}

}  // namespace streamattn
