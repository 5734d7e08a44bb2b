// Writing a timeline.
#include "emulator/trace.h"

#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/JSON.h>

#include <algorithm>
#include <set>
#include <utility>

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

// Rows of one block: its loads, then its warps.
int row(int warp) { return warp + 1; }

llvm::json::Object name_event(const char* what, unsigned block, int warp, const std::string& name) {
  return llvm::json::Object{{"ph", "M"},
                            {"name", what},
                            {"pid", static_cast<std::int64_t>(block)},
                            {"tid", row(warp)},
                            {"args", llvm::json::Object{{"name", name}}}};
}

}  // namespace

void Trace::span(unsigned block, int warp, const char* name, std::int64_t begin, std::int64_t end,
                 Site site) {
  events_.push_back({block, warp, name, begin, end - begin, text(site)});
}

void Trace::instant(unsigned block, int warp, const char* name, std::int64_t time, Site site) {
  events_.push_back({block, warp, name, time, -1, text(site)});
}

std::string Trace::json() const {
  llvm::json::Array list;
  std::set<std::pair<unsigned, int>> rows;
  for (const Event& event : events_) {
    rows.emplace(event.block, event.warp);
    llvm::json::Object json{
        {"name", event.name},     {"ph", event.length < 0 ? "i" : "X"},
        {"ts", event.begin},      {"pid", static_cast<std::int64_t>(event.block)},
        {"tid", row(event.warp)}, {"args", llvm::json::Object{{"source", event.place}}}};
    if (event.length < 0)
      json["s"] = "t";
    else
      json["dur"] = event.length;
    list.push_back(std::move(json));
  }
  for (auto [block, warp] : rows) {
    list.push_back(name_event("process_name", block, warp, llvm::formatv("block {0}", block)));
    const std::string who = warp == tma_row ? "TMA" : llvm::formatv("warp {0}", warp).str();
    list.push_back(name_event("thread_name", block, warp, who));
  }
  return llvm::formatv("{0}", llvm::json::Value(llvm::json::Object{{"traceEvents", std::move(list)},
                                                                   {"displayTimeUnit", "ms"}}));
}

}  // namespace streamattn::emulator
