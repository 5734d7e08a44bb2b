// Reads rotations and numbers of shares from flags.
#include "tools/move_flags.h"

#include "streamattn/error.h"

namespace streamattn {

void read_value(llvm::StringRef flag, llvm::StringRef text, RopeStyle& value) {
  try {
    value = parse_rope_style({text.data(), text.size()});
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_config, flag.str() + ": " + error.what());
  }
}

void MoveFlags::add_to(Flags& flags) {
  flags.section("append and merge");
  flags.add("rope", "none|interleaved|split_half", "how append turns K and Q by position (none)",
            rope_);
  flags.add("rope-dim", "N", "columns that are turned (head-dim)", dim_);
  flags.add("rope-theta", "X", "base of the angles (10000)", theta_);
  flags.add("rope-factor", "X", "positions are divided by it (1)", factor_);
  flags.add("rope-tables", "give append sines and cosines instead of a base", tables_);
  flags.add("shares", "N", "of the keys, whose results merge makes one (2)", shares_);
}

void MoveFlags::require_fit(Operation operation) const {
  const auto refuse = [](const std::string& what) { throw Error(ErrorCode::invalid_config, what); };
  const bool has_details = dim_ || theta_ || factor_ || tables_;
  if ((rope_ || has_details) && operation != Operation::append)
    refuse("--rope and its like need --op append");
  if (has_details && rope_.value_or(RopeStyle::none) == RopeStyle::none)
    refuse("--rope-dim, --rope-theta, --rope-factor and --rope-tables need --rope");
  if (shares_ && operation != Operation::merge) refuse("--shares needs --op merge");
  if (shares_.value_or(2) < 2)
    refuse("--shares is " + std::to_string(*shares_) + ", needs 2 or more");
}

AppendCase MoveFlags::append(const ForwardCase& call) const {
  Rope rope{.style = rope_.value_or(RopeStyle::none), .dim = dim_.value_or(0)};
  rope.theta = theta_.value_or(rope.theta);
  rope.factor = factor_.value_or(rope.factor);
  return {.forward = call, .rope = rope, .with_tables = tables_};
}

MergeCase MoveFlags::merge(const ForwardCase& call) const {
  return {.forward = call, .shares = shares_.value_or(2)};
}

double moved_bytes(const AppendCase& call) {
  const ForwardCase& forward = call.forward;
  double rows = 0;
  for (std::int64_t i = 0; i < forward.shape.batch; i++)
    rows += static_cast<double>(forward.lengths.q_len(i, forward.shape));
  const std::int64_t heads = call.with_queries ? forward.heads() : 0;
  const auto columns =
      static_cast<double>((heads + forward.shape.kv_heads) * forward.problem.head_dim +
                          forward.shape.kv_heads * forward.problem.v_head_dim());
  return 2 * rows * columns * bytes(forward.problem.dtype);
}

double moved_bytes(const MergeCase& call) {
  const ForwardCase& forward = call.forward;
  const auto rows =
      static_cast<double>(forward.shape.batch * forward.shape.q_len * forward.heads());
  const int row =
      forward.problem.v_head_dim() * bytes(forward.problem.output_dtype()) + bytes(DType::f32);
  return rows * row * static_cast<double>(call.shares + 1);
}

}  // namespace streamattn
