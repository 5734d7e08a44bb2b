// Which calls a benchmark times: the product of some lists, or a named suite.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/problem_flags.h"

namespace streamattn {

/// Lists whose product is timed.
struct BenchGrid {
  Operation operation = Operation::forward;
  std::vector<int> head_dims = {128};
  std::vector<std::string> masks = {"true"};
  std::vector<std::string> scores = {""};  ///< empty: the scaled product
  std::vector<std::int64_t> seqs = {512, 1024, 2048, 4096};
  std::int64_t batch = 1;
  std::int64_t heads = 8;
  std::optional<std::int64_t> kv_heads = {};
  std::optional<std::int64_t> tokens = {};  ///< sets batch to tokens / seq, at least 1
  std::optional<std::int64_t> hidden = {};  ///< sets heads to hidden / head_dim, at least 1
  std::vector<NamedNumber> scalars = {};    ///< that every mask names; not for --set to give
};

/// The grid called `name`. Throws Error (invalid_config) that lists the known ones.
BenchGrid find_suite(const std::string& name);

/// --suite and the flags that replace a part of it.
class BenchGridFlags {
 public:
  /// Adds the flags; `this` must outlive parsing.
  void add_to(Flags& flags);

  /// One call per head dim, mask, score and sequence length, the last varying fastest; `defaults`
  /// are what no flag gives. Throws Error (invalid_config, invalid_problem).
  std::vector<ForwardCase> calls(const BenchGrid& defaults = {}) const;

 private:
  BenchGrid grid(const BenchGrid& defaults) const;

  std::optional<std::string> suite_;
  std::optional<Operation> operation_;
  DType dtype_ = DType::bf16;
  std::optional<DType> out_dtype_;
  std::vector<int> head_dims_;
  std::optional<int> value_head_dim_;
  std::vector<std::string> masks_, scores_;
  bool causal_ = false, packed_ = false;
  std::string sink_;
  std::optional<float> dropout_;
  NamedFlags named_;
  std::vector<std::int64_t> seqs_;
  Layout layout_ = Layout::bshd;
  std::optional<std::int64_t> q_len_, batch_, heads_, kv_heads_, tokens_, hidden_, page_size_;
};

}  // namespace streamattn
