// choose, check, schedules and emit: from a problem to CUDA source.
#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include "compiler/families/family.h"
#include "compiler/toolchain/flatten.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

const Family& find_family(std::string_view wanted) {
  std::string known;
  for (const Family& family : families()) {
    if (family.name == wanted) return family;
    known += llvm::formatv("{0}{1}", known.empty() ? "" : ", ", family.name);
  }
  throw Error(ErrorCode::invalid_schedule,
              llvm::formatv("unknown family \"{0}\"; there are {1}", wanted, known));
}

}  // namespace

void check(const Problem& problem, const Schedule& schedule, const Target& target) {
  problem.validate();
  const Family& family = find_family(schedule.family);
  if (auto reason = family.declines(problem, target); !reason.empty())
    throw Error(ErrorCode::unsupported_problem, llvm::formatv("{0}: {1}", family.name, reason));
  if (auto reason = family.refuses(problem, schedule, target); !reason.empty())
    throw Error(ErrorCode::invalid_schedule, llvm::formatv("{0}: {1}", family.name, reason));
}

std::vector<Schedule> schedules(const Problem& problem, const Shape& shape, const Target& target) {
  problem.validate();
  std::vector<Schedule> all;
  for (const Family& family : families())
    if (family.declines(problem, target).empty())
      llvm::append_range(all, family.schedules(problem, shape, target));
  return all;
}

Choice choose(const Problem& problem, const Shape& shape, const Target& target,
              const ScheduleTable& table) {
  problem.validate();
  if (auto row = table.find(problem, shape, target)) {
    check(problem, row->schedule, target);
    return {row->schedule, "row " + row->origin};
  }
  std::string reasons;
  for (const Family& family : families()) {
    std::string reason = family.declines(problem, target);
    if (reason.empty()) {
      if (auto guess = family.first_guess(problem, shape, target))
        return {*guess, llvm::formatv("first guess of {0}", family.name)};
      reason = "no legal schedule";
    }
    reasons += llvm::formatv("\n  {0}: {1}", family.name, reason);
  }
  throw Error(
      ErrorCode::unsupported_problem,
      llvm::formatv("no family serves {0} on {1}:{2}", problem.describe(), target.name, reasons));
}

Source emit(const Problem& problem, const Schedule& schedule, const Target& target,
            const EmitOptions& options) {
  check(problem, schedule, target);
  const Family& family = find_family(schedule.family);
  if (!family.emit)
    throw Error(ErrorCode::unsupported_problem,
                llvm::formatv("{0} has no source: its kernel is part of the library", family.name));
  Source source;
  source.text = family.emit(problem, schedule, target);
  source.flat = flatten(source.text, options.template_dir);
  source.entry = "streamattn_forward";
  source.target = target.name;
  return source;
}

}  // namespace streamattn
