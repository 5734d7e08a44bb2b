// Reads peers' figures.
#include "tools/baseline.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/JSON.h>

#include <algorithm>

#include "streamattn/error.h"
#include "support/files.h"

namespace streamattn {
namespace {

constexpr llvm::StringLiteral size_keys[] = {"d", "s", "b", "h"};

[[noreturn]] void reject(const std::string& path, const std::string& why) {
  throw Error(ErrorCode::invalid_config, "baseline " + path + ": " + why);
}

/// `json` with null for the NaN that Python writes and JSON does not know.
std::string without_nan(llvm::StringRef json) {
  std::string cleaned;
  bool in_string = false;
  while (!json.empty()) {
    if (!in_string && json.consume_front("NaN")) {
      cleaned += "null";
      continue;
    }
    if (json.front() == '"') in_string = !in_string;
    cleaned += json.front();
    json = json.drop_front();
  }
  return cleaned;
}

}  // namespace

Baseline Baseline::load(const std::string& path) {
  constexpr std::size_t most_bytes = 16 << 20;
  const FileContent file = read_regular_file(path, most_bytes);
  if (file.status != FileContent::Status::ok) reject(path, file.problem);
  auto parsed = llvm::json::parse(without_nan(file.bytes));
  if (!parsed) reject(path, llvm::toString(parsed.takeError()));
  const llvm::json::Object* root = parsed->getAsObject();
  Baseline baseline;
  if (!root || !root->getArray("fwd")) reject(path, "has no array \"fwd\"");
  baseline.add(path, *root->getArray("fwd"), "fwd", Operation::forward);
  if (const llvm::json::Array* rows = root->getArray("bwd"))
    baseline.add(path, *rows, "bwd", Operation::backward);
  return baseline;
}

void Baseline::add(const std::string& path, const llvm::json::Array& rows, const std::string& name,
                   Operation operation) {
  for (const llvm::json::Value& value : rows) {
    const llvm::json::Object* row = value.getAsObject();
    if (!row) reject(path, "a row of \"" + name + "\" is no object");
    const auto number = [&](llvm::StringRef key) {
      const auto found = row->getInteger(key);
      if (!found) reject(path, "a row of \"" + name + "\" has no number \"" + key.str() + "\"");
      return static_cast<std::int64_t>(*found);
    };
    Row& added = rows_.emplace_back(Row{operation,
                                        static_cast<int>(number("d")),
                                        row->getBoolean("causal").value_or(false),
                                        number("s"),
                                        number("b"),
                                        number("h"),
                                        {}});
    for (const auto& [key, figure] : *row) {
      const bool is_size = llvm::is_contained(size_keys, llvm::StringRef(key));
      const auto tflops = figure.getAsNumber();
      if (!is_size && tflops) added.figures.push_back({key.str(), *tflops});
    }
    std::ranges::sort(added.figures, {}, [](const PeerFigure& figure) {
      return std::pair(figure.peer != "best", figure.peer);
    });
  }
}

std::vector<PeerFigure> Baseline::find(const ForwardCase& call) const {
  const Problem& problem = call.problem;
  const Shape& shape = call.shape;
  const bool plain = problem.dtype == DType::bf16 && problem.output_dtype() == DType::bf16 &&
                     problem.group_size == 1 && problem.v_head_dim() == problem.head_dim &&
                     shape.q_len == shape.kv_len && call.layout == Layout::bshd;
  const bool is_causal = problem.mask.same_as(causal());
  const bool is_changed = problem.changes_score() || problem.sink;
  if (!plain || is_changed || (!is_causal && !problem.mask.same_as(Expr()))) return {};
  for (const Row& row : rows_) {
    if (row.operation == call.operation && row.head_dim == problem.head_dim &&
        row.causal == is_causal && row.seq == shape.q_len && row.batch == shape.batch &&
        row.heads == shape.kv_heads) {
      return row.figures;
    }
  }
  return {};
}

}  // namespace streamattn
