// Reads jobs from TOML.
#include "autotune/tune_job.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <limits>

#include "autotune/length_lists.h"
#include "compiler/expr/names.h"
#include "compiler/toml_reader.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "support/files.h"

namespace streamattn {
namespace {

constexpr std::size_t most_groups = 10'000;
constexpr std::size_t most_trace_bytes = 64 << 20;

constexpr std::string_view case_keys[] = {
    "dtype",  "out_dtype", "head_dim", "value_head_dim", "mask",   "score", "sink",
    "heads",  "kv_heads",  "hidden",   "batch",          "tokens", "seq",   "q_len",
    "kv_len", "layout",    "set",      "tensor",         "weight"};

std::string read_text(const std::filesystem::path& path, std::size_t most_bytes) {
  const FileContent file = read_regular_file(path, most_bytes);
  if (file.status == FileContent::Status::ok) return file.bytes;
  const bool refused = file.status == FileContent::Status::refused;
  throw Error(ErrorCode::invalid_config,
              path.native() + (refused ? " " : " cannot be read: ") + file.problem);
}

/// Reads the document of a job.
class JobReader : public TomlReader {
 public:
  JobReader(std::string_view origin, const std::filesystem::path& folder)
      : TomlReader(origin), folder_(folder) {}

  TuneJob read(const toml::table& document) const {
    TuneJob job;
    for (const auto& [key, node] : document) {
      constexpr std::string_view known[] = {"target", "case", "space"};
      if (key.str() == "target") {
        job.target = at(node, [&] { return find_target(text(key.str(), node)).name; });
      } else if (key.str() == "space") {
        read_space(job.space, table(key.str(), node));
      } else if (key.str() == "case") {
        const toml::array* cases = node.as_array();
        if (!cases || !cases->is_array_of_tables()) fail(node.source(), "case is no [[case]]");
        for (const toml::node& one : *cases) read_case(job.groups, *one.as_table());
      } else {
        fail_unknown(key, "key", known);
      }
    }
    if (job.groups.empty()) fail(document.source(), "the job has no [[case]]");
    return job;
  }

 private:
  void read_space(std::vector<KnobLimit>& space, const toml::table& written) const {
    for (const auto& [key, node] : written) {
      KnobLimit limit{std::string(key.str()), {}};
      for (const toml::node* value : elements(node)) {
        if (const auto flag = value->value_exact<bool>()) {
          limit.values.emplace_back(*flag);
        } else if (const auto number = value->value_exact<std::int64_t>()) {
          limit.values.emplace_back(*number);
        } else {
          limit.values.emplace_back(text(key.str(), *value));
        }
      }
      space.push_back(std::move(limit));
    }
  }

  // Every combination of the lists in a case, the lengths varying fastest.
  void read_case(std::vector<TuneGroup>& groups, const toml::table& written) const {
    for (const auto& [key, node] : written)
      if (!llvm::is_contained(case_keys, key.str())) fail_unknown(key, "key", case_keys);
    const std::vector<LengthBucket> buckets = read_lengths(written);
    for (const std::string& mask : texts(written, "mask", "true"))
      for (const std::string& score : texts(written, "score", "score"))
        for (const std::int64_t head_dim : numbers(written, "head_dim", {128}))
          for (const LengthBucket& bucket : buckets) {
            const ForwardCase call = read_call(written, mask, score, head_dim);
            groups.push_back(group(written, call, bucket));
            if (groups.size() > most_groups)
              fail(written.source(),
                   llvm::formatv("more than {0} calls, or buckets of calls", most_groups));
          }
  }

  ForwardCase read_call(const toml::table& written, const std::string& mask,
                        const std::string& score, std::int64_t head_dim) const {
    ForwardCase call;
    Problem& problem = call.problem;
    problem.dtype = dtype(written, "dtype").value_or(DType::bf16);
    problem.out_dtype = dtype(written, "out_dtype");
    problem.head_dim = small(written, "head_dim", head_dim);
    if (const auto dim = number(written, "value_head_dim"))
      problem.value_head_dim = small(written, "value_head_dim", *dim);
    const auto hidden = number(written, "hidden");
    if (hidden && written.contains("heads"))
      fail(written["hidden"].node()->source(), "hidden and heads both say how many heads");
    const std::int64_t heads = hidden ? std::max<std::int64_t>(*hidden / head_dim, 1)
                                      : number(written, "heads").value_or(8);
    const std::int64_t kv_heads = number(written, "kv_heads").value_or(heads);
    if (kv_heads < 1 || heads % kv_heads != 0)
      fail(written.source(),
           llvm::formatv("{0} heads are no multiple of {1} kv_heads", heads, kv_heads));
    problem.group_size = small(written, "heads", heads / kv_heads);
    call.shape.kv_heads = kv_heads;
    at(written, [&] {
      problem.mask = Expr::parse(mask);
      problem.score = Expr::parse(score, ExprRole::score);
      if (const toml::node* sink = written.get("sink"))
        problem.sink = Expr::parse(text("sink", *sink), ExprRole::score);
      problem.validate();
      return 0;
    });
    if (const toml::node* layout = written.get("layout")) {
      const std::string name = text("layout", *layout);
      if (name != "bshd" && name != "bhsd")
        fail(layout->source(), "layout is \"" + name + "\", needs bshd or bhsd");
      call.layout = name == "bshd" ? Layout::bshd : Layout::bhsd;
    }
    read_names(call, written);
    return call;
  }

  // What the problem names gets its value from `set` and `tensor`. A case may have several
  // problems, so more may be given than one of them names.
  void read_names(ForwardCase& call, const toml::table& written) const {
    const ExprNames names(call.problem);
    for (const ExprName& scalar : names.scalars) {
      const auto value = written.at_path("set")[scalar.name].value<double>();
      if (!value)
        fail(written.source(),
             llvm::formatv("set = {{ {0} = X } is missing: the problem names that scalar",
                           scalar.name));
      call.scalars.push_back({scalar.name, *value});
    }
    for (const ExprName& tensor : names.tensors) {
      const auto kind = written.at_path("tensor")[tensor.name].value<std::string>();
      if (!kind) continue;
      const auto [word, number] = llvm::StringRef(*kind).split(':');
      NamedInput input{.name = tensor.name};
      at(written, [&] { return input.kind = parse_input_kind({word.data(), word.size()}); });
      double value = 0;
      if (!number.empty() && number.getAsDouble(value))
        fail(written.source(), "tensor " + tensor.name + " has \"" + number.str() +
                                   "\" behind its kind, needs a number");
      if (!number.empty()) input.number = value;
      call.tensors.push_back(input);
    }
  }

  TuneGroup group(const toml::table& written, const ForwardCase& call,
                  const LengthBucket& bucket) const {
    TuneGroup group{.call = call, .q_len = bucket.q_len, .kv_len = bucket.kv_len};
    const toml::node* weight = written.get("weight");
    group.weight = bucket.weight * (weight ? positive("weight", *weight) : 1);
    for (const auto& [q_len, kv_len] : bucket.points) {
      for (const std::int64_t batch : batches(written, kv_len)) {
        group.shapes.push_back({batch, call.shape.kv_heads, q_len, kv_len});
        at(written, [&] { return group.shapes.back().validate(), 0; });
      }
    }
    group.call.shape = group.shapes.front();
    return group;
  }

  std::vector<std::int64_t> batches(const toml::table& written, std::int64_t kv_len) const {
    const auto tokens = number(written, "tokens");
    if (tokens && written.contains("batch"))
      fail(written["tokens"].node()->source(), "tokens and batch both say how large the batch is");
    if (tokens) return {std::max<std::int64_t>(*tokens / std::max<std::int64_t>(kv_len, 1), 1)};
    return numbers(written, "batch", {1});
  }

  std::vector<LengthBucket> read_lengths(const toml::table& written) const {
    const toml::node* seq = written.get("seq");
    if (seq && (written.contains("q_len") || written.contains("kv_len")))
      fail(seq->source(), "seq says both lengths, q_len and kv_len one each");
    if (seq && seq->is_table()) return read_buckets(*seq->as_table());
    std::vector<LengthBucket> points;
    const auto add = [&](std::int64_t q_len, std::int64_t kv_len) {
      points.push_back({{q_len, q_len}, {kv_len, kv_len}, {{q_len, kv_len}}});
    };
    if (seq || !written.contains("kv_len")) {
      if (written.contains("q_len")) fail(written.source(), "q_len needs kv_len");
      for (const std::int64_t length : numbers(written, "seq", {1024})) add(length, length);
    } else {
      for (const std::int64_t kv_len : numbers(written, "kv_len", {}))
        for (const std::int64_t q_len : numbers(written, "q_len", {kv_len})) add(q_len, kv_len);
    }
    return points;
  }

  std::vector<LengthBucket> read_buckets(const toml::table& seq) const {
    for (const auto& [key, node] : seq) {
      constexpr std::string_view known[] = {"from", "to", "trace", "random", "seed"};
      if (!llvm::is_contained(known, key.str())) fail_unknown(key, "key", known);
    }
    if (const toml::node* trace = seq.get("trace")) {
      const std::filesystem::path file = folder_ / text("trace", *trace);
      return trace_buckets(read_text(file, most_trace_bytes), file.native());
    }
    const auto from = number(seq, "from"), to = number(seq, "to");
    if (!from || !to || *from < 1 || *to < *from || *to > longest_length)
      fail(seq.source(),
           "seq needs { from = A, to = B } with 1 <= A <= B <= 2^40, or { trace = FILE }");
    if (const auto count = number(seq, "random")) {
      if (*count < 1 || *count > static_cast<std::int64_t>(most_groups))
        fail(seq.source(), llvm::formatv("random is not in 1..{0}", most_groups));
      return random_lengths(*count, {*from, *to},
                            static_cast<std::uint64_t>(number(seq, "seed").value_or(1)));
    }
    return square_buckets({*from, *to});
  }

  int small(const toml::table& from, std::string_view key, std::int64_t value) const {
    if (value < 1 || value > std::numeric_limits<int>::max())
      fail(from.source(), llvm::formatv("{0} {1} is out of range", key, value));
    return static_cast<int>(value);
  }

  std::optional<DType> dtype(const toml::table& from, std::string_view key) const {
    const toml::node* node = from.get(key);
    if (!node) return std::nullopt;
    return at(*node, [&] { return parse_dtype(text(key, *node)); });
  }

  const std::filesystem::path& folder_;
};

std::string text_of(const Lengths& lengths) {
  return lengths.first == lengths.last
             ? std::to_string(lengths.last)
             : llvm::formatv("{0}..{1}", lengths.first, lengths.last).str();
}

}  // namespace

ForwardCase TuneGroup::at(const Shape& shape) const {
  ForwardCase one = call;
  one.shape = shape;
  return one;
}

std::string TuneGroup::describe() const {
  return llvm::formatv("{0}; q_len {1}, kv_len {2}, {3} x {4} heads", call.problem.describe(),
                       text_of(q_len), text_of(kv_len), call.shape.batch, call.heads());
}

bool allows(const std::vector<KnobLimit>& space, const Schedule& schedule) {
  return llvm::all_of(space, [&](const KnobLimit& limit) {
    Schedule probe = schedule;
    bool is_known = false, is_allowed = false;
    for (const KnobValue& value : limit.values) {
      if (set_knob(probe, limit.knob, value)) continue;
      is_known = true;
      is_allowed = is_allowed || probe.get(limit.knob) == schedule.get(limit.knob);
    }
    return !is_known || is_allowed;
  });
}

TuneJob parse_tune_job(std::string_view text, std::string_view origin,
                       const std::filesystem::path& folder) {
  const JobReader reader(origin, folder);
  try {
    return reader.read(parse_toml(text));
  } catch (const toml::parse_error& error) {
    reader.fail(error.source(), std::string(error.description()));
  }
}

TuneJob load_tune_job(const std::filesystem::path& path) {
  return parse_tune_job(read_text(path, most_toml_bytes), path.native(), path.parent_path());
}

TuneJob job_of(const std::vector<ForwardCase>& calls) {
  TuneJob job;
  for (const ForwardCase& call : calls) {
    const Shape& shape = call.shape;
    job.groups.push_back({.call = call,
                          .shapes = {shape},
                          .q_len = {shape.q_len, shape.q_len},
                          .kv_len = {shape.kv_len, shape.kv_len}});
  }
  return job;
}

}  // namespace streamattn
