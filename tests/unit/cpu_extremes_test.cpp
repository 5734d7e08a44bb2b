// The CPU target where float32 alone would fail: huge scores, many keys, NaN among the values.
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "support/half.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"
#include "tests/unit/cpu_run.h"

namespace streamattn {
namespace {

/// An LSE that float32 cannot hold is the infinity it rounds to.
void check_large_scores(const RowValues& found, const RowValues& exact) {
  CHECK(relative_error(found.o, exact.o) < 1e-5);
  for (std::size_t row = 0; row < exact.lse.size(); ++row) {
    const auto largest = static_cast<double>(std::numeric_limits<float>::max());
    if (std::abs(exact.lse[row]) > largest) {
      CHECK(found.lse[row] ==
            std::copysign(std::numeric_limits<double>::infinity(), exact.lse[row]));
    } else {
      CHECK(found.lse[row] == Approx(exact.lse[row]).epsilon(1e-6));
    }
  }
}

}  // namespace

TEST_CASE("scores far beyond 2^31 give the result of float64") {
  for (const float scale : {1e3F, 1e6F, 1e12F, 1e30F, 3e38F}) {
    for (const float size : {0x1p-10F, 1.0F, 0x1p20F, 0x1p40F}) {
      for (const bool is_causal : {false, true}) {
        const ForwardCase given{.problem = {.dtype = DType::f32,
                                            .head_dim = 1,
                                            .value_head_dim = 3,
                                            .mask = is_causal ? causal() : Expr()},
                                .shape = {.q_len = 37, .kv_len = 61}};
        ForwardTensors tensors(given);
        // Dot products that float32 holds exactly: nothing is known of weights behind rounded ones.
        // A few values, so that keys share the largest score and others come close to it.
        std::mt19937 random(1);
        for (std::int64_t row = 0; row < 61; ++row) {
          const float factor = 1 + static_cast<float>(random() % 4) * 0x1p-20F;
          static_cast<float*>(tensors.k.view().data)[row] = random() % 3 ? size * factor : -size;
          if (row < 37)
            static_cast<float*>(tensors.q.view().data)[row] = random() % 3 ? size : -size;
        }
        ForwardArgs args = tensors.args();
        args.scale = scale;
        INFO("scale " << scale << ", size " << size << (is_causal ? ", causal" : ""));
        run(given.problem, args);
        const std::vector<OutputRow> rows = all_rows(args);
        const RowValues exact = reference_forward(given.problem, args, rows);
        const RowValues found = read_rows(args, rows);
        check_large_scores(found, exact);
      }
    }
  }
}

TEST_CASE("dot products that float32 cannot hold make NaN of a row, or weigh nothing") {
  const Problem problem{.dtype = DType::f32, .head_dim = 1};
  float q[] = {1e30F}, v[] = {3, 5}, o[1], lse[1];
  const auto attend = [&](float k0, float k1) {
    float k[] = {k0, k1};
    o[0] = lse[0] = poison;
    run(problem, {.q = Tensor::bshd(q, DType::f32, 1, 1, 1, 1),
                  .k = Tensor::bshd(k, DType::f32, 1, 2, 1, 1),
                  .v = Tensor::bshd(v, DType::f32, 1, 2, 1, 1),
                  .o = Tensor::bshd(o, DType::f32, 1, 1, 1, 1),
                  .lse = Tensor::bshd(lse, DType::f32, 1, 1, 1, 1)});
  };
  attend(1e30F, 0);
  CHECK(std::isnan(o[0]));
  CHECK(std::isnan(lse[0]));
  attend(-1e30F, 0);
  CHECK(o[0] == 5);
  CHECK(lse[0] == 0);
  attend(-1e30F, -1e30F);
  CHECK(std::isnan(o[0]));
  CHECK(std::isnan(lse[0]));
}

TEST_CASE("no key is lost beside a sum that is 2^24 times its weight, as sums of many keys are") {
  // The first key weighs 1 and the others e^-18, less than float32 can add to 1.
  constexpr std::int64_t keys = 1 + (std::int64_t{1} << 18);
  const DType type = GENERATE(DType::bf16, DType::f32);
  HostTensor q(type, {1, 1, 1, 1}, Layout::bshd);
  HostTensor k(type, {1, keys, 1, 1}, Layout::bshd);
  HostTensor v(type, {1, keys, 1, 1}, Layout::bshd);
  for (std::int64_t key = 0; key < keys; ++key) {
    store_element(k.view().data, type, key, key == 0 ? 0 : -18);
    store_element(v.view().data, type, key, key == 0 ? 1 : -1);
  }
  store_element(q.view().data, type, 0, 1);
  float o, lse;
  const Problem problem{.dtype = type, .out_dtype = DType::f32, .head_dim = 1};
  run(problem,
      {.q = q.view(),
       .k = k.view(),
       .v = v.view(),
       .o = Tensor::bshd(&o, DType::f32, 1, 1, 1, 1),
       .lse = Tensor::bshd(&lse, DType::f32, 1, 1, 1, 1)},
      {.q = 96, .kv = 256});
  const double others = (keys - 1) * std::exp(-18.0);
  const double rounding =
      static_cast<double>(keys / 256) * 0x1p-24;  // of the sums, once for each tile
  CHECK(std::abs(o - (1 - others) / (1 + others)) < 3 * rounding);
  CHECK(std::abs(lse - std::log1p(others)) < 2 * rounding);
}

TEST_CASE("a NaN among the values of a key that a row sees counts whatever the key weighs") {
  for (const DType type : {DType::f16, DType::bf16, DType::f32}) {
    for (const bool is_causal : {false, true}) {
      const ForwardCase given{
          .problem = {.dtype = type, .head_dim = 8, .mask = is_causal ? causal() : Expr()},
          .shape = {.q_len = 60, .kv_len = 60}};
      ForwardTensors tensors(given);
      tensors.v.poison({10, 11});
      tensors.v.poison({47, 48});
      ForwardArgs args = tensors.args();
      args.scale = 1e4F;  // most keys weigh nothing
      INFO(given.describe());
      run(given.problem, args);
      const std::vector<OutputRow> rows = all_rows(args);
      const RowValues found = read_rows(args, rows);
      const RowValues exact = reference_forward(given.problem, args, rows);
      for (std::int64_t row = 0; row < 60; ++row) {
        const bool sees_nan = !is_causal || row >= 10;
        CHECK(std::isnan(found.o[8 * row]) == sees_nan);
        CHECK(std::isnan(exact.o[8 * row]) == sees_nan);
        CHECK(std::isfinite(found.lse[row]));
      }
    }
  }
}

}  // namespace streamattn
