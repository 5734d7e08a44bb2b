// Reads problems, launches and schedules from flags.
#include "tools/problem_flags.h"

#include <llvm/ADT/STLExtras.h>

#include <algorithm>
#include <limits>

#include "compiler/expr/names.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "support/did_you_mean.h"

namespace streamattn {

void read_value(llvm::StringRef flag, llvm::StringRef text, Layout& value) {
  if (text != "bshd" && text != "bhsd") reject_value(flag, text, "bshd or bhsd");
  value = text == "bshd" ? Layout::bshd : Layout::bhsd;
}

void read_value(llvm::StringRef flag, llvm::StringRef text, Operation& value) {
  try {
    value = parse_operation({text.data(), text.size()});
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_config, flag.str() + ": " + error.what());
  }
}

void read_value(llvm::StringRef flag, llvm::StringRef text, Distribution& value) {
  if (text != "normal" && text != "outliers") reject_value(flag, text, "normal or outliers");
  value = text == "normal" ? Distribution::normal : Distribution::outliers;
}

namespace {

/// "name" and "value" of "name=value".
std::pair<llvm::StringRef, llvm::StringRef> named_value(llvm::StringRef flag, llvm::StringRef text,
                                                        llvm::StringRef needed) {
  const auto [name, value] = text.split('=');
  if (name.trim().empty() || name.size() == text.size()) reject_value(flag, text, needed);
  return {name.trim(), value.trim()};
}

template <class List>
void require_new(llvm::StringRef flag, const List& list, llvm::StringRef name) {
  for (const auto& known : list)
    if (known.name == name)
      throw Error(ErrorCode::invalid_config, flag.str() + " " + name.str() + " is given twice");
}

bool has_name(const std::vector<ExprName>& names, const std::string& name) {
  return llvm::is_contained(llvm::map_range(names, [](const ExprName& n) { return n.name; }), name);
}

[[noreturn]] void refuse_name(const std::string& flag, const std::string& name,
                              const std::vector<std::string>& known, const std::string& other_flag,
                              const std::vector<std::string>& others) {
  std::string why = "nothing in the problem is called that";
  if (llvm::is_contained(others, name))
    why = "that is given by " + other_flag;
  else if (!known.empty())
    why += ", " + did_you_mean(name, std::vector<std::string_view>(known.begin(), known.end()));
  throw Error(ErrorCode::invalid_config, flag + " " + name + ": " + why);
}

}  // namespace

void NamedFlags::add_to(Flags& flags) {
  flags.add("set", "NAME=X", "value of a scalar that an expression names; may be repeated",
            [this](llvm::StringRef text) {
              const auto [name, value] =
                  named_value("--set", text, "a name and a number, as window=512");
              require_new("--set", scalars_, name);
              double number = 0;
              read_value("--set " + name.str(), value, number);
              scalars_.push_back({name.str(), number});
            });
  flags.add("tensor", "NAME=KIND[:X]",
            "contents of a tensor: " + input_kinds() + "; may be repeated",
            [this](llvm::StringRef text) {
              const auto [name, value] =
                  named_value("--tensor", text, "a name and a kind, as slope=slopes");
              require_new("--tensor", tensors_, name);
              const auto [kind, number] = value.split(':');
              NamedInput input{.name = name.str()};
              const std::string flag = "--tensor " + name.str();
              if (kind.size() < value.size()) {
                if (kind == "zeros") reject_value(flag, value, "zeros, or constant:X");
                read_value(flag, number, input.number);
              }
              try {
                input.kind = parse_input_kind({kind.data(), kind.size()});
                check_number(input);
              } catch (const Error& error) {
                throw Error(ErrorCode::invalid_config, flag + ": " + error.what());
              }
              tensors_.push_back(std::move(input));
            });
}

void NamedFlags::apply_to(std::vector<ForwardCase>& calls) const {
  std::vector<std::string> scalars, tensors;  // that any call has
  for (ForwardCase& call : calls) {
    const ExprNames names(call.problem);
    for (const ExprName& name : names.scalars) scalars.push_back(name.name);
    for (const ExprName& name : names.tensors) tensors.push_back(name.name);
    for (const NamedNumber& scalar : scalars_) {
      if (std::ranges::count(call.scalars, scalar.name, &NamedNumber::name) > 0)
        throw Error(ErrorCode::invalid_config, "--set " + scalar.name + ": the preset gives it");
      if (has_name(names.scalars, scalar.name)) call.scalars.push_back(scalar);
    }
    for (const NamedInput& tensor : tensors_)
      if (has_name(names.tensors, tensor.name)) call.tensors.push_back(tensor);
  }
  for (const NamedNumber& scalar : scalars_)
    if (!llvm::is_contained(scalars, scalar.name))
      refuse_name("--set", scalar.name, scalars, "--tensor", tensors);
  for (const NamedInput& tensor : tensors_)
    if (!llvm::is_contained(tensors, tensor.name))
      refuse_name("--tensor", tensor.name, tensors, "--set", scalars);
}

void require_scalars(const ForwardCase& call) {
  for (const ExprName& scalar : ExprNames(call.problem).scalars) {
    const bool is_given = std::ranges::count(call.scalars, scalar.name, &NamedNumber::name) > 0;
    if (!is_given)
      throw Error(ErrorCode::invalid_config,
                  "--set " + scalar.name + "=X is missing: the problem names the " +
                      std::string(name(scalar.dtype)) + " scalar \"" + scalar.name + "\"");
  }
}

void require_read(const ForwardCase& call) {
  const bool is_merge = call.operation == Operation::merge;
  if (!is_merge && call.operation != Operation::append) return;
  const Problem& problem = call.problem;
  const auto refuse = [&](bool is_given, const char* flags) {
    if (is_given)
      throw Error(ErrorCode::invalid_config, std::string(flags) + ": --op " +
                                                 std::string(name(call.operation)) +
                                                 " has no use for it");
  };
  refuse(!problem.mask.same_as(Expr()), "--mask or --causal");
  refuse(problem.changes_score(), "--score");
  refuse(problem.sink.has_value(), "--sink");
  refuse(problem.dropout, "--dropout");
  refuse(call.scale.has_value(), "--scale");
  refuse(call.q_offset.has_value(), "--q-offset");
  refuse(call.q_rows.has_value(), "--q-rows");
  refuse(call.kv_rows.has_value(), "--kv-rows");
  refuse(is_merge && call.k_offset != 0, "--k-offset");
  refuse(is_merge && problem.is_ragged(), "--lengths, --q-lengths, --packed or --paged");
}

Expr parse_score(const std::string& text) {
  return text.empty() ? Problem().score : Expr::parse(text, ExprRole::score);
}

std::optional<Expr> parse_sink(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return Expr::parse(text, ExprRole::score);
}

void ProblemFlags::add_to(Flags& flags) {
  flags.section("problem");
  add_operation_to(flags, operation_);
  flags.add("dtype", "f16|bf16|f32", "of Q, K and V (bf16)", dtype_);
  flags.add("out-dtype", "f16|bf16|f32", "of O (that of Q, K and V)", out_dtype_);
  flags.add("head-dim", "N", "of Q and K (128)", head_dim_);
  flags.add("value-head-dim", "N", "of V and O (head-dim)", value_head_dim_);
  flags.add("heads", "N", "query heads (8)", heads_);
  flags.add("kv-heads", "N", "key-value heads (heads)", kv_heads_);
  flags.add("mask", "EXPR", "which keys a query sees, such as \"k <= q\" (true)", mask_);
  flags.add("causal", "short for --mask \"k <= q\"", causal_);
  flags.exclude({"mask", "causal"});
  flags.add("score", "EXPR", "what becomes of a scaled product, such as \"score - 0.5 * (q - k)\"",
            score_);
  flags.add("sink", "EXPR", "a logit that joins the denominator, such as \"sink[head]\"", sink_);
  named_.add_to(flags);
  flags.add("dropout", "RATE", "leave out weights; which ones is up to --seed", dropout_);
  flags.section("shape");
  flags.add("batch", "N", "(1)", batch_);
  flags.add("seq", "N", "tokens of Q and of K (1024)", seq_);
  flags.add("q-len", "N", "tokens of Q (seq; 1 with --lengths)", q_len_);
  flags.add("kv-len", "N", "tokens of K (seq)", kv_len_);
  sequences_.add_to(flags);
}

void ProblemFlags::add_launch_to(Flags& flags) {
  flags.section("launch");
  flags.add("layout", "bshd|bhsd", "of every tensor (bshd)", launch_.layout);
  flags.add("scale", "X", "of the scores (1 / sqrt(head-dim))", launch_.scale);
  flags.add("q-offset", "N", "position of Q's first row (the last rows of Q and K align)",
            launch_.q_offset);
  flags.add("k-offset", "N", "position of K's first row (0)", launch_.k_offset);
  flags.add("q-rows", "A:B", "compute only these rows of Q", launch_.q_rows);
  flags.add("kv-rows", "A:B", "see only these rows of K", launch_.kv_rows);
  flags.add("max-sms", "N", "use at most N multiprocessors, or CPU threads", launch_.max_sms);
}

ForwardCase ProblemFlags::call() const {
  const std::int64_t kv_heads = kv_heads_.value_or(heads_);
  ForwardCase call = launch_;
  call.problem = {.dtype = dtype_,
                  .out_dtype = out_dtype_,
                  .head_dim = head_dim_,
                  .value_head_dim = value_head_dim_,
                  .group_size = group_size(heads_, kv_heads),
                  .mask = causal_ ? causal() : Expr::parse(mask_),
                  .score = parse_score(score_),
                  .sink = parse_sink(sink_),
                  .dropout = dropout_.has_value()};
  call.dropout.rate = dropout_.value_or(0);
  call.shape = {batch_.value_or(1), kv_heads, q_len_.value_or(sequences_.has_lengths() ? 1 : seq_),
                kv_len_.value_or(seq_)};
  sequences_.apply_to(call, batch_);
  call.problem.validate();
  call.operation = operation_;
  if (call.shape.batch < 0 || call.shape.q_len < 0 || call.shape.kv_len < 0) {
    throw Error(ErrorCode::invalid_config, "batch and lengths must be >= 0");
  }
  require_read(call);
  std::vector calls = {call};
  named_.apply_to(calls);
  return calls.front();
}

int group_size(std::int64_t heads, std::int64_t kv_heads) {
  const bool is_multiple = heads >= 1 && kv_heads >= 1 && heads % kv_heads == 0;
  if (!is_multiple || heads > std::numeric_limits<int>::max()) {
    throw Error(
        ErrorCode::invalid_config,
        "--heads " + std::to_string(heads) +
            (is_multiple ? " is more than " + std::to_string(std::numeric_limits<int>::max())
                         : " is no multiple of --kv-heads " + std::to_string(kv_heads)));
  }
  return static_cast<int>(heads / kv_heads);
}

void ScheduleFlags::add_to(Flags& flags) {
  flags.section("schedule");
  flags.add("target", "sm_90a|cpu", "where to run; cpu is the host (the device's)", target);
  flags.add("pin", "FILE", "schedule rows tried before the shipped ones; may be repeated",
            [this](llvm::StringRef text) { pins.push_back(text.str()); });
  flags.add("schedule", "FIELDS", "replace fields of the chosen schedule: \"tile_kv=176,stages=2\"",
            [this](llvm::StringRef text) { overrides.push_back(text.str()); });
}

std::string ScheduleFlags::only_override() const {
  if (overrides.size() > 1) {
    throw Error(ErrorCode::invalid_config, "--schedule is given " +
                                               std::to_string(overrides.size()) +
                                               " times, needs once: only bench compares schedules");
  }
  return overrides.empty() ? "" : overrides.front();
}

ScheduleTable ScheduleFlags::pin_rows() const {
  ScheduleTable rows;
  for (const std::string& file : pins) rows.append(ScheduleTable::load(file));
  return rows;
}

Schedule overridden_schedule(const ForwardCase& call, const Target& target,
                             const ScheduleTable& pins, const std::string& fields) {
  ScheduleTable rows = pins;
  rows.append(ScheduleTable::shipped());
  return parse_schedule(fields,
                        choose(call.operation, call.problem, call.shape, target, rows).schedule);
}

}  // namespace streamattn
