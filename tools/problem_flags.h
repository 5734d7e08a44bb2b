// The flags that state an attention problem and one call of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "measure/forward_case.h"
#include "measure/random_inputs.h"
#include "streamattn/operation.h"
#include "streamattn/schedule_table.h"
#include "streamattn/target.h"
#include "tools/flags.h"

namespace streamattn {

/// "bshd" or "bhsd". Throws Error (invalid_config).
void read_value(llvm::StringRef flag, llvm::StringRef text, Layout& value);

/// The name of an operation. Throws Error (invalid_config).
void read_value(llvm::StringRef flag, llvm::StringRef text, Operation& value);

/// "normal" or "outliers". Throws Error (invalid_config).
void read_value(llvm::StringRef flag, llvm::StringRef text, Distribution& value);

/// Adds --op; `operation`, the default, must outlive parsing.
template <class OperationOrNone>
void add_operation_to(Flags& flags, OperationOrNone& operation) {
  flags.add("op", "forward|backward|append|merge", "what to compute of attention (forward)",
            operation);
}

/// The flags that give values to what a problem names: --set and --tensor.
class NamedFlags {
 public:
  /// Adds the flags; `this` must outlive parsing.
  void add_to(Flags& flags);

  /// Gives each call the values of what its problem names. Throws Error (invalid_config) for a name
  /// that no call has, for one that is given twice, and for one that a call has a value for.
  void apply_to(std::vector<ForwardCase>& calls) const;

 private:
  std::vector<NamedNumber> scalars_;
  std::vector<NamedInput> tensors_;
};

/// Throws Error (invalid_config) unless all scalars that the call's problem names have a value.
void require_scalars(const ForwardCase& call);

/// Throws Error (invalid_config) for flags that the call's operation has no use for: of masks,
/// scores and rows, where it is append or merge.
void require_read(const ForwardCase& call);

/// A problem's score and sink from text; empty: none. Throws Error (invalid_problem).
Expr parse_score(const std::string& text);
std::optional<Expr> parse_sink(const std::string& text);

/// The flags of batches whose sequences differ: --lengths, --q-lengths, --packed, --paged.
class SequenceFlags {
 public:
  /// Adds the flags; `this` must outlive parsing.
  void add_to(Flags& flags);

  /// Gives the call its layouts and lengths, and the batch and the longest lengths that follow.
  /// Throws Error (invalid_config) where they contradict each other, or --batch if it was given.
  void apply_to(ForwardCase& call, std::optional<std::int64_t> batch) const;

  bool has_lengths() const { return !lengths_.empty(); }

 private:
  std::vector<std::int64_t> lengths_, q_lengths_;
  std::optional<std::int64_t> page_size_;
  bool packed_ = false;
};

/// What --op, --dtype, --head-dim, --heads, --seq and so on say. Members are the flags' defaults.
class ProblemFlags {
 public:
  /// Adds the flags of a problem and its shape; `this` must outlive parsing.
  void add_to(Flags& flags);

  /// Adds the flags that only a launch reads: scale, offsets, row ranges, layout, --max-sms.
  void add_launch_to(Flags& flags);

  /// Throws Error (invalid_config, invalid_problem) for flags that contradict each other.
  ForwardCase call() const;

 private:
  Operation operation_ = Operation::forward;
  DType dtype_ = DType::bf16;
  std::optional<DType> out_dtype_;
  int head_dim_ = 128;
  std::optional<int> value_head_dim_;
  std::int64_t heads_ = 8;
  std::optional<std::int64_t> kv_heads_;
  std::optional<std::int64_t> batch_;
  std::int64_t seq_ = 1024;
  std::optional<std::int64_t> q_len_, kv_len_;
  std::string mask_ = "true", score_, sink_;
  NamedFlags named_;
  std::optional<float> dropout_;
  bool causal_ = false;
  SequenceFlags sequences_;
  ForwardCase launch_;
};

/// Query heads per key-value head. Throws Error (invalid_config) unless it is a whole number >= 1
/// and `heads` fits an int.
int group_size(std::int64_t heads, std::int64_t kv_heads);

/// The flags that say how to compute: --target, --pin, --schedule.
struct ScheduleFlags {
  std::optional<std::string> target;
  std::vector<std::string> pins;       ///< TOML files, tried in order before the shipped rows
  std::vector<std::string> overrides;  ///< "tile_kv=176,softmax=stale", one per candidate

  void add_to(Flags& flags);

  /// The one --schedule, empty if none is given. Throws Error (invalid_config) if there are more.
  std::string only_override() const;

  /// The rows of all pin files. Throws Error (invalid_config).
  ScheduleTable pin_rows() const;
};

/// The schedule that `pins` and the shipped rows choose, with `fields` ("tile_kv=176,stages=2")
/// replaced. Throws like choose() and parse_schedule().
Schedule overridden_schedule(const ForwardCase& call, const Target& target,
                             const ScheduleTable& pins, const std::string& fields);

}  // namespace streamattn
