// Matches, prints and reads block lists.
#include "autotune/block_list.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include "compiler/knobs.h"
#include "compiler/toml_reader.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

// A quoted argument of a shell.
std::string shell_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// What runs a call with a schedule and checks it.
std::string run_command_of(const ForwardCase& call, const Schedule& schedule) {
  const Problem& problem = call.problem;
  std::string command = llvm::formatv(
      "streamattn run --dtype {0} --out-dtype {1} --head-dim {2} --value-head-dim {3} --heads {4} "
      "--kv-heads {5} --batch {6} --q-len {7} --kv-len {8} --mask {9} --score {10}",
      name(problem.dtype), name(problem.output_dtype()), problem.head_dim, problem.v_head_dim(),
      call.heads(), call.shape.kv_heads, call.shape.batch, call.shape.q_len, call.shape.kv_len,
      shell_quoted(problem.mask.text()), shell_quoted(problem.score.text()));
  if (problem.sink) command += " --sink " + shell_quoted(problem.sink->text());
  for (const NamedNumber& scalar : call.scalars)
    command += " --set " + shell_quoted(describe(scalar));
  for (const NamedInput& tensor : call.tensors)
    command += " --tensor " + shell_quoted(describe(tensor));
  if (call.layout == Layout::bhsd) command += " --layout bhsd";
  if (call.distribution == Distribution::outliers) command += " --dist outliers";
  command += llvm::formatv(" --seed {0}", call.seed);
  return command + " --schedule " + shell_quoted(schedule_fields(schedule));
}

template <class Entry, class Visitor>
void visit_fields(Entry& entry, Visitor&& visit) {
  visit("device", entry.device);
  visit("problem", entry.problem);
  visit("schedule", entry.schedule);
  visit("reason", entry.reason);
  visit("reproduce", entry.reproduce);
}

}  // namespace

std::string why_blocked(const std::vector<BlockedSchedule>& list, std::string_view device,
                        const Problem& problem, const Schedule& schedule) {
  const std::string what = problem.describe(), how = compiled_part(schedule).describe();
  for (const BlockedSchedule& entry : list)
    if (entry.device == device && entry.problem == what && entry.schedule == how)
      return entry.reason;
  return {};
}

std::vector<BlockedSchedule> blocked_by(const std::vector<GroupResult>& results,
                                        const TuneSite& site) {
  std::vector<BlockedSchedule> list;
  for (const GroupResult& result : results) {
    for (const CandidateRecord& candidate : result.candidates) {
      const Fate fate = candidate.outcome.fate;
      if (fate == Fate::ok || fate == Fate::refused) continue;
      if (candidate.stage == "listed") continue;  // it was its compiler that broke
      BlockedSchedule entry{
          .device = site.device,
          .problem = result.group.call.problem.describe(),
          .schedule = compiled_part(candidate.schedule).describe(),
          .reason = std::string(name(fate)) + ": " + candidate.outcome.reason,
          .reproduce = run_command_of(candidate.failed_check.value_or(result.group.call),
                                      candidate.schedule)};
      const bool is_known = llvm::any_of(list, [&](const BlockedSchedule& known) {
        return known.problem == entry.problem && known.schedule == entry.schedule;
      });
      if (!is_known) list.push_back(std::move(entry));
    }
  }
  return list;
}

std::string block_list_toml(const std::vector<BlockedSchedule>& list) {
  std::string text =
      "# Schedules that `streamattn tune` found wrong, or that broke their process.\n";
  for (const BlockedSchedule& entry : list) {
    text += "\n[[blocked]]\n";
    visit_fields(entry, [&](const char* key, const std::string& value) {
      text += std::string(key) + " = " + toml_string(value) + "\n";
    });
  }
  return text;
}

std::vector<BlockedSchedule> parse_block_list(std::string_view text, std::string_view origin) {
  const TomlReader reader(origin);
  std::vector<BlockedSchedule> list;
  try {
    const toml::table document = parse_toml(text);
    for (const auto& [key, node] : document) {
      const toml::array* entries = node.as_array();
      if (key.str() != "blocked" || !entries || !entries->is_array_of_tables())
        reader.fail(key.source(), "a block list has [[blocked]] and nothing else");
      for (const toml::node& one : *entries) {
        BlockedSchedule entry;
        visit_fields(entry, [&](const char* field, std::string& value) {
          const auto written = (*one.as_table())[field].value<std::string>();
          if (!written) reader.fail(one.source(), std::string(field) + " is missing, or no string");
          value = *written;
        });
        list.push_back(std::move(entry));
      }
    }
  } catch (const toml::parse_error& error) {
    reader.fail(error.source(), std::string(error.description()));
  }
  return list;
}

}  // namespace streamattn
