// Prints what a benchmark found.
#include "tools/bench_report.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <map>

#include "measure/statistics.h"
#include "streamattn/jit.h"
#include "tools/call_json.h"
#include "tools/move_flags.h"
#include "tools/table.h"

namespace streamattn {
namespace {

std::vector<std::string> peer_names(const std::vector<BenchRow>& rows) {
  std::vector<std::string> names;
  for (const BenchRow& row : rows) {
    for (const PeerFigure& figure : row.peers) {
      if (!llvm::is_contained(names, figure.peer)) names.push_back(figure.peer);
    }
  }
  return names;
}

std::string peer_cell(const BenchRow& row, const std::string& peer) {
  const auto found = std::ranges::find(row.peers, peer, &PeerFigure::peer);
  return found == row.peers.end() ? "-" : fixed(found->tflops, 1);
}

Table table(const std::vector<BenchRow>& rows) {
  const std::vector<std::string> peers = peer_names(rows);
  const bool has_scores = std::ranges::any_of(rows, [](const BenchRow& row) {
    return row.call.problem.sink || row.call.problem.changes_score();
  });
  const bool moves = std::ranges::any_of(rows, [](const BenchRow& row) { return row.bytes > 0; });
  std::vector<std::string> header = {"head_dim", "mask"};
  if (has_scores) header.insert(header.end(), {"score", "sink"});
  header.insert(header.end(), {"q_len", "kv_len", "batch", "heads", "kv_heads", "schedule", "ms",
                               "spread", moves ? "GB/s" : "TFLOP/s"});
  header.insert(header.end(), peers.begin(), peers.end());
  if (!peers.empty()) header.push_back("ratio");
  Table table(header);
  for (const BenchRow& row : rows) {
    const Shape& shape = row.call.shape;
    for (const BenchCandidate& candidate : row.candidates) {
      std::vector<std::string> cells = {std::to_string(row.call.problem.head_dim),
                                        row.call.problem.mask.text()};
      if (has_scores) {
        const auto& sink = row.call.problem.sink;
        cells.push_back(row.call.problem.score.text());
        cells.push_back(sink ? sink->text() : "-");
      }
      for (const std::int64_t size :
           {shape.q_len, shape.kv_len, shape.batch, row.call.heads(), shape.kv_heads})
        cells.push_back(std::to_string(size));
      cells.push_back(candidate.fields.empty() ? "chosen" : candidate.fields);
      if (const auto& timing = candidate.timing) {
        cells.push_back(fixed(timing->milliseconds, 4));
        cells.push_back(fixed(100 * timing->spread, 1) + "%");
        cells.push_back(moves ? fixed(gigabytes_per_second(row.bytes, timing->milliseconds), 1)
                              : tflops_text(row.tflops(candidate)));
      } else {
        cells.insert(cells.end(), 3, "-");
      }
      for (const std::string& peer : peers) cells.push_back(peer_cell(row, peer));
      if (!peers.empty()) {
        const auto ratio = row.ratio(candidate);
        cells.push_back(ratio ? fixed(*ratio, 3) : "-");
      }
      table.add(cells);
    }
  }
  return table;
}

/// Ratios to the baseline by the schedule's --schedule text.
std::map<std::string, std::vector<double>> ratios(const std::vector<BenchRow>& rows) {
  std::map<std::string, std::vector<double>> by_fields;
  for (const BenchRow& row : rows) {
    for (const BenchCandidate& candidate : row.candidates) {
      if (const auto ratio = row.ratio(candidate)) by_fields[candidate.fields].push_back(*ratio);
    }
  }
  return by_fields;
}

}  // namespace

double BenchRow::tflops(const BenchCandidate& candidate) const {
  return streamattn::tflops(flops.number, candidate.timing->milliseconds);
}

std::optional<double> BenchRow::ratio(const BenchCandidate& candidate) const {
  if (!candidate.timing || peers.empty() || peers.front().peer != "best") return std::nullopt;
  return tflops(candidate) / peers.front().tflops;
}

void BenchReport::print(llvm::raw_ostream& out) const {
  out << device << "; " << name(policy.l2) << " L2, " << name(policy.launch)
      << " launches; median over " << method.rounds << " rounds of about "
      << fixed(method.round_milliseconds, 0) << " ms\n";
  table(rows).print(out);
  for (const BenchRow& row : rows) {
    for (const BenchCandidate& candidate : row.candidates) {
      if (!candidate.timing)
        out << "not timed: " << candidate.fields << ": " << candidate.refusal << "\n";
    }
  }
  const bool is_estimate =
      std::ranges::any_of(rows, [](const BenchRow& row) { return row.flops.is_estimate; });
  if (is_estimate) out << "TFLOP/s of the longest calls are by visible pairs on a sample of rows\n";
  for (const auto& [fields, values] : ratios(rows)) {
    out << llvm::formatv("{0}: {1:f3} x best in the geometric mean of {2} rows, lowest {3:f3}\n",
                         fields.empty() ? "chosen" : fields, geometric_mean(values), values.size(),
                         *std::ranges::min_element(values));
  }
}

void BenchReport::print_csv(llvm::raw_ostream& out) const { table(rows).print_csv(out); }

llvm::json::Object BenchReport::to_json() const {
  llvm::json::Array json_rows;
  for (const BenchRow& row : rows) {
    llvm::json::Array candidates;
    for (const BenchCandidate& candidate : row.candidates) {
      llvm::json::Object json =
          candidate.timing ? streamattn::to_json(*candidate.timing, row.flops.number, row.bytes)
                           : llvm::json::Object{{"refusal", candidate.refusal}};
      json["fields"] = candidate.fields;
      json["schedule"] = candidate.schedule;
      if (const auto ratio = row.ratio(candidate)) json["ratio"] = *ratio;
      candidates.push_back(std::move(json));
    }
    llvm::json::Object peers;
    for (const PeerFigure& figure : row.peers) peers[figure.peer] = figure.tflops;
    llvm::json::Object json = streamattn::to_json(row.call);
    json["flops"] = row.flops.number;
    json["flops_estimated"] = row.flops.is_estimate;
    json["candidates"] = std::move(candidates);
    json["peers"] = std::move(peers);
    json_rows.push_back(std::move(json));
  }
  llvm::json::Object means;
  for (const auto& [fields, values] : ratios(rows)) {
    means[fields.empty() ? "chosen" : fields] = geometric_mean(values);
  }
  return llvm::json::Object{{"version", llvm::StringRef(version())},
                            {"device", device},
                            {"l2", llvm::StringRef(name(policy.l2))},
                            {"launch", llvm::StringRef(name(policy.launch))},
                            {"rounds", method.rounds},
                            {"round_milliseconds", method.round_milliseconds},
                            {"geometric_mean_ratio", std::move(means)},
                            {"rows", std::move(json_rows)}};
}

}  // namespace streamattn
