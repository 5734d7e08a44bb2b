// Reads requests and answers them.
#include "autotune/worker.h"

#include <memory>
#include <string>

#include "autotune/case_json.h"
#include "autotune/local_device.h"
#include "autotune/outcome_json.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

class Worker {
 public:
  Worker(const Target& target, const std::function<std::unique_ptr<TuneDevice>()>& make_device)
      : target_(target), make_device_(make_device) {}

  llvm::json::Object answer(const llvm::json::Object& request) {
    const llvm::StringRef step = request.getString("step").value_or("");
    if (step == "site") return to_json(device().site());
    const llvm::json::Object* encoded = request.getObject("case");
    if (!encoded) throw Error(ErrorCode::invalid_argument, "a request has no case");
    const ForwardCase call = decode_case(*encoded);
    const Schedule schedule = parse_schedule(request.getString("schedule").value_or("").str());
    if (step == "build") return to_json(build_program(call.problem, schedule, target_, {}));
    if (step == "check") return judged(device().check(call, schedule));
    if (step == "time")
      return judged(
          device().time(call, schedule, static_cast<int>(request.getInteger("runs").value_or(3))));
    throw Error(ErrorCode::invalid_argument, "unknown request \"" + step.str() + "\"");
  }

  bool is_spoilt() const { return is_spoilt_; }

 private:
  TuneDevice& device() {
    if (!device_) device_ = make_device_();
    return *device_;
  }

  template <class Result>
  llvm::json::Object judged(const Result& result) {
    is_spoilt_ = is_spoilt_ || result.fate == Fate::crashed;
    return to_json(result);
  }

  const Target& target_;
  const std::function<std::unique_ptr<TuneDevice>()>& make_device_;
  std::unique_ptr<TuneDevice> device_;
  bool is_spoilt_ = false;
};

}  // namespace

void serve_worker(const Target& target,
                  const std::function<std::unique_ptr<TuneDevice>()>& make_device, std::istream& in,
                  llvm::raw_ostream& out) {
  Worker worker(target, make_device);
  for (std::string line; !worker.is_spoilt() && std::getline(in, line);) {
    llvm::json::Object answer;
    try {
      auto request = llvm::json::parse(line);
      if (!request || !request->getAsObject()) {
        llvm::consumeError(request.takeError());
        throw Error(ErrorCode::invalid_argument, "a request is no JSON object");
      }
      answer = worker.answer(*request->getAsObject());
    } catch (const Error& error) {
      answer = llvm::json::Object{{"complaint", error.what()},
                                  {"code", llvm::StringRef(name(error.code()))}};
    }
    out << llvm::json::Value(std::move(answer)) << "\n";
    out.flush();
  }
}

}  // namespace streamattn
