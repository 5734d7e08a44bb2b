// Asks workers, and starts new ones where one had to be killed.
#include "autotune/worker_device.h"

#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/JSON.h>

#include "autotune/build_pool.h"
#include "autotune/case_json.h"
#include "autotune/local_device.h"
#include "autotune/outcome_json.h"
#include "compiler/estimate.h"
#include "compiler/knobs.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

std::string text_of(llvm::json::Object object) {
  return llvm::formatv("{0}", llvm::json::Value(std::move(object)));
}

llvm::json::Object request(const char* step, const ForwardCase& call, const Schedule& schedule) {
  return llvm::json::Object{
      {"step", step}, {"case", encode_case(call)}, {"schedule", schedule_fields(schedule)}};
}

/// The error that a worker reports is this process's too: it has no device, or no compiler.
[[noreturn]] void rethrow(const llvm::json::Object& answer) {
  const std::string message = answer.getString("complaint").value_or("").str();
  const llvm::StringRef code = answer.getString("code").value_or("");
  for (const ErrorCode known :
       {ErrorCode::no_driver, ErrorCode::no_device, ErrorCode::nvrtc_missing,
        ErrorCode::invalid_config, ErrorCode::unsupported_problem})
    if (name(known) == std::string_view(code.data(), code.size())) throw Error(known, message);
  throw Error(ErrorCode::invalid_argument, "a worker says: " + message);
}

}  // namespace

WorkerDevice::WorkerDevice(std::vector<std::string> command, const Target& target,
                           int build_processes, WorkerLimits limits,
                           std::shared_ptr<std::mutex> build_turn)
    : command_(std::move(command)),
      target_(target),
      build_processes_(build_processes),
      limits_(limits),
      build_turn_(build_turn ? std::move(build_turn) : std::make_shared<std::mutex>()) {}

WorkerDevice::~WorkerDevice() = default;

template <class Result>
Result WorkerDevice::ask(llvm::json::Object question, std::chrono::milliseconds limit) {
  Result result;
  if (!measuring_) measuring_ = std::make_unique<WorkerProcess>(command_);
  measuring_->send(text_of(std::move(question)));
  const auto line = measuring_->receive(WorkerProcess::Clock::now() + limit);
  if (!line) {
    const bool lives = measuring_->read_some();
    result.fate = lives ? Fate::timed_out : Fate::crashed;
    result.reason = lives ? llvm::formatv("it did not end within {0} s",
                                          static_cast<double>(limit.count()) / 1000)
                                .str()
                          : "the process that ran it is gone: " + measuring_->ending();
    measuring_.reset();
    return result;
  }
  auto json = llvm::json::parse(*line);
  if (!json || !json->getAsObject()) {
    llvm::consumeError(json.takeError());
    measuring_.reset();
    result.fate = Fate::crashed, result.reason = "the worker answered something else than JSON";
    return result;
  }
  if (json->getAsObject()->get("complaint")) rethrow(*json->getAsObject());
  read_json(*json->getAsObject(), result);
  if (result.fate == Fate::crashed) measuring_.reset();
  return result;
}

TuneSite WorkerDevice::site() {
  if (site_) return *site_;
  if (!measuring_) measuring_ = std::make_unique<WorkerProcess>(command_);
  measuring_->send(text_of(llvm::json::Object{{"step", "site"}}));
  const auto line = measuring_->receive(WorkerProcess::Clock::now() + limits_.check);
  auto json = llvm::json::parse(line.value_or(""));
  if (!json || !json->getAsObject()) {
    llvm::consumeError(json.takeError());
    measuring_.reset();
    throw Error(ErrorCode::launch_failed, "the worker that measures does not answer: " +
                                              line.value_or("it is gone, or hangs"));
  }
  const llvm::json::Object& answer = *json->getAsObject();
  if (answer.get("complaint")) rethrow(answer);
  site_ = read_site(answer);
  return *site_;
}

void WorkerDevice::build(const Problem& problem, const std::vector<Schedule>& schedules,
                         const std::function<void(std::size_t, const BuildOutcome&)>& done) {
  if (target_.is_cpu()) {  // there is nothing to compile
    for (std::size_t i = 0; i < schedules.size(); i++)
      done(i, build_program(problem, schedules[i], target_, {}));
    return;
  }
  ForwardCase call;
  call.problem = problem;
  std::vector<std::string> requests;
  for (const Schedule& schedule : schedules)
    requests.push_back(text_of(request("build", call, schedule)));
  const std::lock_guard turn(*build_turn_);
  BuildPool(command_, build_processes_, limits_.build).run(requests, done);
}

CheckOutcome WorkerDevice::check(const ForwardCase& call, const Schedule& schedule) {
  return ask<CheckOutcome>(request("check", call, schedule), limits_.check);
}

TimeOutcome WorkerDevice::time(const ForwardCase& call, const Schedule& schedule, int runs) {
  constexpr double patience = 20;
  const double predicted = estimate(call.problem, schedule, call.shape, target_).microseconds;
  const std::chrono::milliseconds more(static_cast<long>(patience * runs * predicted / 1000));
  llvm::json::Object question = request("time", call, schedule);
  question["runs"] = runs;
  return ask<TimeOutcome>(std::move(question), limits_.time + more);
}

}  // namespace streamattn
