// Writes and reads outcomes.
#include "autotune/outcome_json.h"

#include "compiler/schedule_rows.h"

namespace streamattn {
namespace {

// Logs of a compiler can be long; a line of a journal should not be.
constexpr std::size_t longest_reason = 1500;

llvm::json::Object fate_json(const Outcome& outcome) {
  llvm::json::Object json{{"fate", llvm::StringRef(name(outcome.fate))}};
  if (!outcome.ok()) json["reason"] = llvm::json::fixUTF8(outcome.reason.substr(0, longest_reason));
  return json;
}

void read_fate(const llvm::json::Object& json, Outcome& outcome) {
  if (const auto fate = json.getString("fate"))
    outcome.fate = parse_fate({fate->data(), fate->size()});
  outcome.reason = json.getString("reason").value_or("").str();
}

template <class Site, class Visitor>
void visit_site(Site& site, Visitor&& visit) {
  visit("device", site.device);
  for_each_condition(site.timed, visit);
}

}  // namespace

llvm::json::Object to_json(const BuildOutcome& outcome) {
  llvm::json::Object json = fate_json(outcome);
  json["registers"] = outcome.registers;
  json["spill_bytes"] = outcome.spill_bytes;
  json["is_serialised"] = outcome.is_serialised;
  json["compile_ms"] = outcome.milliseconds;
  json["is_from_cache"] = outcome.is_from_cache;
  return json;
}

llvm::json::Object to_json(const CheckOutcome& outcome) {
  llvm::json::Object json = fate_json(outcome);
  json["error"] = outcome.error;
  json["allowed"] = outcome.allowed;
  return json;
}

llvm::json::Object to_json(const TimeOutcome& outcome) {
  llvm::json::Object json = fate_json(outcome);
  json["ms"] = llvm::json::Array(outcome.milliseconds);
  return json;
}

void read_json(const llvm::json::Object& json, BuildOutcome& outcome) {
  read_fate(json, outcome);
  outcome.registers = static_cast<int>(json.getInteger("registers").value_or(0));
  outcome.spill_bytes = static_cast<int>(json.getInteger("spill_bytes").value_or(0));
  outcome.is_serialised = json.getBoolean("is_serialised").value_or(false);
  outcome.milliseconds = json.getNumber("compile_ms").value_or(0);
  outcome.is_from_cache = json.getBoolean("is_from_cache").value_or(false);
}

void read_json(const llvm::json::Object& json, CheckOutcome& outcome) {
  read_fate(json, outcome);
  outcome.error = json.getNumber("error").value_or(0);
  outcome.allowed = json.getNumber("allowed").value_or(0);
}

void read_json(const llvm::json::Object& json, TimeOutcome& outcome) {
  read_fate(json, outcome);
  outcome.milliseconds.clear();
  const llvm::json::Array* runs = json.getArray("ms");
  if (!runs) return;
  for (const llvm::json::Value& run : *runs)
    outcome.milliseconds.push_back(run.getAsNumber().value_or(0));
}

llvm::json::Object to_json(const TuneSite& site) {
  llvm::json::Object json;
  visit_site(site, [&](const char* key, const std::string& value) { json[key] = value; });
  return json;
}

TuneSite read_site(const llvm::json::Object& json) {
  TuneSite site;
  visit_site(site, [&](const char* key, std::string& value) {
    value = json.getString(key).value_or("").str();
  });
  return site;
}

}  // namespace streamattn
