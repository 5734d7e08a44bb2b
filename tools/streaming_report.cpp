// Prints what a streaming benchmark found.
#include "tools/streaming_report.h"

#include <llvm/ADT/STLExtras.h>

#include <algorithm>

#include "measure/statistics.h"
#include "streamattn/jit.h"
#include "tools/call_json.h"
#include "tools/log_plot.h"
#include "tools/table.h"

namespace streamattn {
namespace {

std::string times(double ratio) { return fixed(ratio, ratio < 10 ? 2 : 1); }

std::string slope_text(const std::optional<Growth>& growth) {
  return growth ? fixed(growth->slope, 2) : "-";
}

llvm::json::Object growth_json(const std::string& name, const std::optional<Growth>& growth) {
  llvm::json::Object json{{"attention", name}};
  if (growth) {
    json["slope"] = growth->slope;
    json["from"] = growth->from;
    json["to"] = growth->to;
  }
  return json;
}

llvm::json::Object count_json(const KernelCount& count) {
  return llvm::json::Object{
      {"kernels", count.kernels}, {"compiled", count.compiled}, {"cached", count.cached}};
}

llvm::json::Object figure_json(const StreamingFigure& figure) {
  llvm::json::Object json = to_json(figure.timing, figure.flops);
  json["flops"] = figure.flops;
  json["schedule"] = figure.schedule;
  return json;
}

std::string attention(const Reach& reach) { return "streaming " + reach.text(); }

}  // namespace

std::string Reach::text() const { return std::to_string(window) + ":" + std::to_string(sinks); }

std::optional<double> StreamingRow::speedup(std::size_t reach) const {
  if (!dense) return std::nullopt;
  return dense->timing.milliseconds / reaches[reach].timing.milliseconds;
}

std::optional<Growth> fitted_growth(const std::vector<std::pair<std::int64_t, double>>& points) {
  if (points.size() < 2) return std::nullopt;
  const std::size_t first = std::min(points.size() / 2, points.size() - 2);
  std::vector<double> seqs, times;
  for (std::size_t i = first; i < points.size(); i++) {
    seqs.push_back(static_cast<double>(points[i].first));
    times.push_back(points[i].second);
  }
  return Growth{log_log_slope(seqs, times), points[first].first, points.back().first};
}

StreamingReport::Points StreamingReport::dense_points() const {
  Points points;
  for (const StreamingRow& row : rows) {
    if (row.dense) points.emplace_back(row.seq, row.dense->timing.milliseconds);
  }
  return points;
}

StreamingReport::Points StreamingReport::points(std::size_t reach) const {
  Points points;
  for (const StreamingRow& row : rows)
    points.emplace_back(row.seq, row.reaches[reach].timing.milliseconds);
  return points;
}

std::string StreamingReport::title() const {
  const Problem& problem = call.problem;
  return device + ", " + std::string(name(problem.dtype)) + ", head_dim " +
         std::to_string(problem.head_dim) + ", batch " + std::to_string(call.shape.batch) + ", " +
         std::to_string(call.heads()) + " heads, " + std::to_string(call.shape.kv_heads) +
         " kv_heads";
}

void StreamingReport::print(llvm::raw_ostream& out) const {
  out << title() << "; median over " << method.rounds << " rounds of about "
      << fixed(method.round_milliseconds, 0) << " ms\n"
      << "dense: " << causal().text() << "\nstreaming, window:sinks: " << call.problem.mask.text()
      << "\nmilliseconds; x: times as fast as dense\n";
  std::vector<std::string> header = {"seq", "dense"};
  for (const Reach& reach : reaches) header.insert(header.end(), {reach.text(), "x"});
  Table table(header);
  for (const StreamingRow& row : rows) {
    std::vector<std::string> cells = {std::to_string(row.seq),
                                      row.dense ? fixed(row.dense->timing.milliseconds, 4) : "-"};
    for (std::size_t i = 0; i < reaches.size(); i++) {
      const auto speedup = row.speedup(i);
      cells.push_back(fixed(row.reaches[i].timing.milliseconds, 4));
      cells.push_back(speedup ? times(*speedup) : "-");
    }
    table.add(cells);
  }
  std::vector<std::string> slopes = {"slope", slope_text(fitted_growth(dense_points()))};
  for (std::size_t i = 0; i < reaches.size(); i++)
    slopes.insert(slopes.end(), {slope_text(fitted_growth(points(i))), "-"});
  table.add(slopes);
  table.print(out);
  out << "slope: time grows as seq^slope; least squares of log time over log seq, the longer half "
         "of "
         "the lengths of each column\n";
  const auto left_out = llvm::find_if(rows, [](const StreamingRow& row) { return !row.dense; });
  if (left_out != rows.end() && dense_milliseconds > 0) {
    out << "dense is left out from " << left_out->seq
        << " on: by the square of the length a run would take "
        << fixed(left_out->dense_estimate, 0) << " ms, more than " << fixed(dense_milliseconds, 0)
        << " (--dense-ms)\n";
  }
  const int compiled = dense.compiled + streaming.compiled;
  const int cached = dense.cached + streaming.cached;
  out << "kernels: " << dense.kernels << " for dense, " << streaming.kernels << " for streaming, "
      << (streaming.kernels == 1 ? "which serves" : "each of which serves") << " every reach; "
      << (compiled + cached == 0 ? "built in, nothing was compiled"
                                 : std::to_string(compiled) + " compiled, " +
                                       std::to_string(cached) + " from the cache")
      << "\n";
}

void StreamingReport::print_csv(llvm::raw_ostream& out) const {
  Table table(
      {"seq", "attention", "window", "sinks", "ms", "spread", "tflops", "speedup", "schedule"});
  const auto add = [&](const StreamingRow& row, const StreamingFigure& figure, const Reach* reach,
                       std::optional<double> speedup) {
    table.add({std::to_string(row.seq), reach ? "streaming" : "dense",
               reach ? std::to_string(reach->window) : "",
               reach ? std::to_string(reach->sinks) : "", fixed(figure.timing.milliseconds, 6),
               fixed(figure.timing.spread, 4),
               fixed(tflops(figure.flops, figure.timing.milliseconds), 4),
               speedup ? fixed(*speedup, 4) : "", figure.schedule});
  };
  for (const StreamingRow& row : rows) {
    if (row.dense) add(row, *row.dense, nullptr, 1);
    for (std::size_t i = 0; i < reaches.size(); i++)
      add(row, row.reaches[i], &reaches[i], row.speedup(i));
  }
  table.print_csv(out);
}

llvm::json::Object StreamingReport::to_json() const {
  llvm::json::Array json_rows, json_reaches, slopes;
  for (const Reach& reach : reaches)
    json_reaches.push_back(llvm::json::Object{{"window", reach.window}, {"sinks", reach.sinks}});
  for (const StreamingRow& row : rows) {
    llvm::json::Array figures;
    for (std::size_t i = 0; i < reaches.size(); i++) {
      llvm::json::Object figure = figure_json(row.reaches[i]);
      figure["window"] = reaches[i].window;
      figure["sinks"] = reaches[i].sinks;
      if (const auto speedup = row.speedup(i)) figure["speedup"] = *speedup;
      figures.push_back(std::move(figure));
    }
    llvm::json::Object json{{"seq", row.seq}, {"streaming", std::move(figures)}};
    if (row.dense) {
      json["dense"] = figure_json(*row.dense);
    } else if (dense_milliseconds > 0) {
      json["dense_estimate_milliseconds"] = row.dense_estimate;
    }
    json_rows.push_back(std::move(json));
  }
  slopes.push_back(growth_json("dense", fitted_growth(dense_points())));
  for (std::size_t i = 0; i < reaches.size(); i++)
    slopes.push_back(growth_json(attention(reaches[i]), fitted_growth(points(i))));
  llvm::json::Object problem = streamattn::to_json(call);
  for (const char* varies : {"q_len", "kv_len"}) problem.erase(varies);
  return llvm::json::Object{{"version", llvm::StringRef(version())},
                            {"device", device},
                            {"rounds", method.rounds},
                            {"round_milliseconds", method.round_milliseconds},
                            {"problem", std::move(problem)},
                            {"dense_mask", causal().text()},
                            {"dense_milliseconds", dense_milliseconds},
                            {"reaches", std::move(json_reaches)},
                            {"slopes", std::move(slopes)},
                            {"kernels", llvm::json::Object{{"dense", count_json(dense)},
                                                           {"streaming", count_json(streaming)}}},
                            {"rows", std::move(json_rows)}};
}

std::string StreamingReport::plot() const {
  const auto series = [](const std::string& label, const Points& points, int colour) {
    return PlotSeries{.label = label, .points = {points.begin(), points.end()}, .colour = colour};
  };
  const auto with_slope = [](const std::string& label, const Points& points) {
    const auto growth = fitted_growth(points);
    if (!growth) return label;
    return label + ", slope " + fixed(growth->slope, 2) + " over " + short_length(growth->from) +
           " to " + short_length(growth->to);
  };
  LogPlot time{"time", "sequence length", "milliseconds", {}};
  LogPlot speed{"speed-up over dense", "sequence length", "times as fast", {}};
  if (const Points points = dense_points(); !points.empty())
    time.series.push_back(series(with_slope("dense causal", points), points, 0));
  for (std::size_t i = 0; i < reaches.size(); i++) {
    const int colour = static_cast<int>(i) + 1;
    time.series.push_back(series(with_slope(attention(reaches[i]), points(i)), points(i), colour));
    Points speedups;
    for (const StreamingRow& row : rows) {
      if (const auto speedup = row.speedup(i)) speedups.emplace_back(row.seq, *speedup);
    }
    if (speedups.empty()) continue;
    const auto& most = *std::ranges::max_element(speedups, {}, &Points::value_type::second);
    speed.series.push_back(series(attention(reaches[i]) + ", at most " + times(most.second) +
                                      " at " + short_length(most.first),
                                  speedups, colour));
  }
  std::vector<LogPlot> plots = {std::move(time)};
  if (!speed.series.empty()) plots.push_back(std::move(speed));
  return svg("Sinks and a sliding window (window:sinks) beside dense causal attention. " + title(),
             plots);
}

}  // namespace streamattn
