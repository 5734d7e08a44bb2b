// `streamattn explain`: what a mask means to a kernel, and why that kernel.
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/Format.h>
#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/JSON.h>
#include <llvm/Support/Process.h>

#include "streamattn/error.h"
#include "tools/call_json.h"
#include "tools/explanation.h"
#include "tools/output_file.h"
#include "tools/tile_drawing.h"
#include "tools/tool.h"

namespace streamattn {
namespace {

struct Options {
  ProblemFlags problem;
  ScheduleFlags schedule{.target = "sm_90a"};
  HeadIndex drawn;
  std::optional<std::string> svg;
  std::optional<int> width;
  bool json = false;

  ForwardCase call() const {
    ForwardCase given = problem.call();
    if (given.operation == Operation::append || given.operation == Operation::merge)
      throw Error(ErrorCode::invalid_config,
                  llvm::formatv("explain is about what a mask shows, which {0} does not read",
                                name(given.operation)));
    require_scalars(given);
    return given;
  }
};

constexpr int narrowest = 32, widest = 400;

int width_of(const Options& options) {
  const unsigned terminal = llvm::sys::Process::StandardOutColumns();
  const int width = options.width.value_or(terminal > 0 ? static_cast<int>(terminal) : 80);
  if (options.width && (width < narrowest || width > widest))
    throw Error(ErrorCode::invalid_config,
                llvm::formatv("--width {0} is not in {1}..{2}", width, narrowest, widest));
  return std::clamp(width, narrowest, widest);
}

/// "12,345,678".
std::string grouped(double number) {
  std::string text = llvm::formatv("{0:f0}", number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string share(double part, double all) {
  return all == 0 ? "none" : llvm::formatv("{0:f2} %", 100 * part / all).str();
}

void line(llvm::raw_ostream& out, llvm::StringRef label, const llvm::Twine& text) {
  out << llvm::left_justify(label, 10) << text << "\n";
}

void print_problem(const Explanation& e, llvm::raw_ostream& out) {
  const ForwardCase& call = e.call;
  line(out, "mask", call.problem.mask.text());
  line(out, "score", call.problem.score.text());
  line(out, "sink", call.problem.sink ? call.problem.sink->text() : "none");
  for (const NameFact& name : e.names)
    line(out, "name",
         name.name + ": " + name.type + ", " + (name.value.empty() ? "by default" : name.value));
  line(out, "shape",
       llvm::formatv("batch {0}, heads {1}, kv_heads {2}, q_len {3}, kv_len {4}", call.shape.batch,
                     call.heads(), call.shape.kv_heads, call.shape.q_len, call.shape.kv_len)
           .str());
}

void print_ranges(llvm::raw_ostream& out, llvm::StringRef label,
                  const std::vector<KeyRange>& ranges) {
  if (ranges.empty()) line(out, label, "no key");
  for (const KeyRange& range : ranges) {
    line(out, label, range_text(range));
    label = "";
  }
}

void print_keys(const Explanation& e, llvm::raw_ostream& out) {
  out << "\nKeys k of the queries [q_first, q_end): some query sees none outside of `seen`, all "
         "see "
         "`full`.\n";
  print_ranges(out, "seen", e.ranges.seen);
  print_ranges(out, "full", e.ranges.full);
  line(out, "data",
       !e.data_decide ? "do not decide: the ranges do"
       : e.tiles_by_data
           ? "decide which of these tiles are seen: first the schedule looks at them"
           : "decide which of these keys are seen, but the schedule visits all tiles");
  if (e.open.empty())
    return line(out, "elements",
                "are tested in partial tiles alone: the ranges of a query are exact");
  line(out, "elements", "are tested wherever keys are seen and not full:");
  for (const OpenPart& part : e.open)
    out << "            " << part.text << ": " << part.reason << "\n";
}

void print_choice(const Explanation& e, llvm::raw_ostream& out) {
  out << "\n";
  line(out, "target", e.target->name);
  if (e.choice) {
    line(out, "family", e.choice->schedule.family());
    line(out, "schedule", e.choice->schedule.describe());
    line(out, "because", e.choice->reason);
  } else {
    line(out, "family", "none serves the problem on this target");
  }
  llvm::StringRef label = "kernels";
  for (const Source& source : e.program) {
    line(out, label,
         llvm::formatv("{0}: {1} threads, {2} bytes of shared memory", source.entry, source.threads,
                       source.dynamic_smem_bytes)
             .str());
    label = "";
  }
  if (e.choice && e.program.empty()) line(out, label, "part of the library");
  out << "\nFamilies, on every target:\n";
  for (const auto& [target, families] : e.answers)
    for (const FamilyAnswer& answer : families)
      out << "  " << llvm::left_justify(target->name, 8) << answer.family << ": "
          << (answer.declines.empty() ? "serves it" : answer.declines) << "\n";
}

std::string shared_rows(const TileWalk& tile) {
  if (tile.heads == 1) return {};
  return llvm::formatv(", rows of {0} heads together", tile.heads);
}

void print_counts(const Explanation& e, llvm::raw_ostream& out) {
  const char* about = e.pairs.is_estimate ? "about " : "";
  out << "\n";
  line(out, "pairs",
       about + grouped(e.pairs.number) + " of " + grouped(e.all_pairs) + " are visible, " +
           share(e.pairs.number, e.all_pairs));
  line(out, "FLOP", llvm::formatv("{0}{1:e4}", about, e.flops.number).str());
  if (!e.map) return;
  const TileCounts& counts = e.map->counts;
  about = e.map->is_estimate ? "about " : "";
  line(out, "tiles",
       llvm::formatv("{0}{1} full, {2} partial, {3} skipped, of {4} x {5}{6}", about,
                     grouped(counts.full), grouped(counts.partial), grouped(counts.skipped()),
                     e.map->tile.rows, e.map->tile.keys, shared_rows(e.map->tile))
           .str());
  line(out, "visited", share(counts.visited(), counts.all) + " of all tiles");
  if (e.pairs.is_estimate || e.map->is_estimate)
    line(out, "estimate",
         "there is too much to look at all of it: evenly spaced rows stand for all");
}

void print(const Explanation& e, int width, llvm::raw_ostream& out) {
  print_problem(e, out);
  print_keys(e, out);
  print_choice(e, out);
  print_counts(e, out);
  if (!e.map) return;
  out << "\n";
  draw_text(*e.map, width, out);
}

llvm::json::Array to_json(const std::vector<KeyRange>& ranges) {
  llvm::json::Array list;
  for (const KeyRange& range : ranges) list.push_back(range_text(range));
  return list;
}

llvm::json::Object to_json(const TileMap& map) {
  const auto ranges = [](const RowSet& set) {
    llvm::json::Array list;
    for (const Rows& range : set) list.push_back(llvm::json::Array{range.begin, range.end});
    return list;
  };
  llvm::json::Array rows;
  for (const TileRow& row : map.rows)
    rows.push_back(llvm::json::Object{
        {"q_tile", row.q_tile}, {"full", ranges(row.full)}, {"partial", ranges(row.partial)}});
  return llvm::json::Object{{"tile_q", map.tile.rows},
                            {"tile_kv", map.tile.keys},
                            {"tile_heads", map.tile.heads},
                            {"full", map.counts.full},
                            {"partial", map.counts.partial},
                            {"skipped", map.counts.skipped()},
                            {"all", map.counts.all},
                            {"by_elements", map.is_by_elements},
                            {"estimated", map.is_estimate},
                            {"map", llvm::json::Object{{"batch", map.drawn.batch},
                                                       {"head", map.drawn.head},
                                                       {"q_tiles", map.q_tiles},
                                                       {"kv_tiles", map.kv_tiles},
                                                       {"rows", std::move(rows)}}}};
}

llvm::json::Object to_json(const Explanation& e) {
  llvm::json::Array names, open, families, kernels;
  for (const NameFact& name : e.names)
    names.push_back(
        llvm::json::Object{{"name", name.name}, {"type", name.type}, {"value", name.value}});
  for (const OpenPart& part : e.open)
    open.push_back(llvm::json::Object{{"text", part.text}, {"reason", part.reason}});
  for (const auto& [target, answers] : e.answers)
    for (const FamilyAnswer& answer : answers)
      families.push_back(llvm::json::Object{{"target", llvm::StringRef(target->name)},
                                            {"family", llvm::StringRef(answer.family)},
                                            {"serves", answer.declines.empty()},
                                            {"declines", answer.declines}});
  for (const Source& source : e.program)
    kernels.push_back(llvm::json::Object{{"entry", source.entry},
                                         {"threads", source.threads},
                                         {"dynamic_smem_bytes", source.dynamic_smem_bytes}});
  llvm::json::Object json{{"problem", to_json(e.call)},
                          {"names", std::move(names)},
                          {"seen", to_json(e.ranges.seen)},
                          {"full", to_json(e.ranges.full)},
                          {"data_decide", e.data_decide},
                          {"tiles_by_data", e.tiles_by_data},
                          {"tested_elements", std::move(open)},
                          {"target", llvm::StringRef(e.target->name)},
                          {"families", std::move(families)},
                          {"kernels", std::move(kernels)},
                          {"visible_pairs", e.pairs.number},
                          {"all_pairs", e.all_pairs},
                          {"pairs_estimated", e.pairs.is_estimate},
                          {"flops", e.flops.number}};
  if (e.choice) {
    json["family"] = llvm::StringRef(e.choice->schedule.family());
    json["schedule"] = e.choice->schedule.describe();
    json["reason"] = e.choice->reason;
  }
  if (e.map) json["tiles"] = to_json(*e.map);
  return json;
}

void write_svg(const std::string& path, const TileMap& map, const std::string& title) {
  std::string drawing;
  llvm::raw_string_ostream out(drawing);
  draw_svg(map, title, out);
  write_file(path, out.str());
}

}  // namespace

Exit explain_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  Options options;
  Flags flags("explain [flags]",
              "Shows what a mask means to a kernel: which keys queries see, which tiles are full,\n"
              "partial or skipped, which schedule serves the problem and why. Needs no GPU. The\n"
              "target is sm_90a unless --target says otherwise.");
  options.problem.add_to(flags);
  options.problem.add_launch_to(flags);
  options.schedule.add_to(flags);
  flags.section("output");
  flags.add("map-batch", "N", "draw the tiles of this batch entry (0)", options.drawn.batch);
  flags.add("map-head", "N", "and of this query head (0)", options.drawn.head);
  flags.add("svg", "FILE", "draw them to a file as well", options.svg);
  flags.add("width", "N", "most characters of a line of the map (the terminal's, or 80)",
            options.width);
  flags.add("json", "print JSON", options.json);
  if (!flags.parse(args, out)) return Exit::ok;

  const int width = width_of(options);
  const Explanation explanation(options.call(), options.schedule, options.drawn);
  if (options.svg && explanation.map)
    write_svg(*options.svg, *explanation.map, explanation.call.problem.mask.text());
  if (options.json) {
    out << llvm::formatv("{0:2}\n", llvm::json::Value(to_json(explanation)));
  } else {
    print(explanation, width, out);
  }
  return explanation.choice ? Exit::ok : Exit::unsupported;
}

}  // namespace streamattn
