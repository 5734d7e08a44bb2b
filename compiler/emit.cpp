// choose, check, schedules and emit: from a problem to CUDA source.
#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include "compiler/families/family.h"
#include "compiler/toolchain/flatten.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

/// Why `family` cannot serve the problem with any schedule; empty if it can.
std::string decline(const Family& family, Operation operation, const Problem& problem,
                    const Target& target) {
  if (family.operation != operation)
    return llvm::formatv("its operation is {0}", name(family.operation));
  if (std::string lacking = family.misses(target); !lacking.empty()) return lacking;
  return family.declines(problem, target);
}

}  // namespace

std::vector<FamilyAnswer> family_answers(Operation operation, const Problem& problem,
                                         const Target& target) {
  std::vector<FamilyAnswer> answers;
  for (const Family& family : families())
    if (family.operation == operation)
      answers.push_back({family.name, decline(family, operation, problem, target)});
  return answers;
}

bool is_served(Operation operation, const Problem& problem, const Schedule& schedule,
               const Target& target) {
  const Family& family = find_family(schedule.family());
  return decline(family, operation, problem, target).empty() &&
         family.refuses(problem, schedule, target).empty();
}

std::optional<TileWalk> tile_walk(const Problem& problem, const Schedule& schedule) {
  const Family& family = find_family(schedule.family());
  if (!family.walk) return std::nullopt;
  return family.walk(problem, schedule);
}

void check(Operation operation, const Problem& problem, const Schedule& schedule,
           const Target& target) {
  problem.validate();
  const Family& family = find_family(schedule.family());
  if (auto reason = decline(family, operation, problem, target); !reason.empty())
    throw Error(ErrorCode::unsupported_problem, llvm::formatv("{0}: {1}", family.name, reason));
  if (auto reason = family.refuses(problem, schedule, target); !reason.empty())
    throw Error(ErrorCode::invalid_schedule, llvm::formatv("{0}: {1}", family.name, reason));
}

std::vector<Schedule> schedules(Operation operation, const Problem& problem, const Shape& shape,
                                const Target& target) {
  problem.validate();
  shape.validate();
  std::vector<Schedule> all;
  for (const Family& family : families())
    if (decline(family, operation, problem, target).empty())
      llvm::append_range(all, family.schedules(problem, shape, target));
  return all;
}

Choice choose(Operation operation, const Problem& problem, const Shape& shape, const Target& target,
              const ScheduleTable& table, std::string_view device) {
  problem.validate();
  shape.validate();
  if (auto row = table.find(operation, problem, shape, target, device)) {
    try {
      check(operation, problem, row->schedule, target);
    } catch (const Error& error) {
      throw Error(error.code(), "row " + row->origin + ": " + error.what());
    }
    const std::string tuned_on = row->device.empty() ? "" : ", tuned on " + row->device;
    return {row->schedule, "row " + row->origin + tuned_on};
  }
  std::string reasons;
  for (const Family& family : families()) {
    std::string reason = decline(family, operation, problem, target);
    if (reason.empty()) {
      if (auto guess = family.first_guess(problem, shape, target))
        return {*guess, llvm::formatv("first guess of {0}", family.name)};
      reason = "no legal schedule";
    }
    reasons += llvm::formatv("\n  {0}: {1}", family.name, reason);
  }
  throw Error(ErrorCode::unsupported_problem,
              llvm::formatv("no family serves {0} of {1} on {2}:{3}", name(operation),
                            problem.describe(), target.name, reasons));
}

Program emit(Operation operation, const Problem& problem, const Schedule& schedule,
             const Target& target, const EmitOptions& options) {
  check(operation, problem, schedule, target);
  const Family& family = find_family(schedule.family());
  if (!family.emit)
    throw Error(ErrorCode::unsupported_problem,
                llvm::formatv("{0} has no source: its kernel is part of the library", family.name));
  Program program = family.emit(problem, compiled_part(schedule), target);
  for (Source& source : program) {
    source.flat = flatten(source.text, options.template_dir);
    source.target = target.name;
  }
  return program;
}

}  // namespace streamattn
