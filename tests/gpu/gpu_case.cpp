// The GPU that tests share, launches and comparisons on it.
#include "tests/gpu/gpu_case.h"

#include <algorithm>

#include "measure/accuracy.h"
#include "measure/backward_accuracy.h"
#include "measure/backward_operands.h"
#include "measure/operands.h"
#include "runtime/gpu/device.h"
#include "tests/support/catch.h"

namespace streamattn {
namespace {

constexpr double budget = 1.5e9;  // all rows, but for the largest cases

}  // namespace

std::string no_gpu_reason() {
  const Driver* found = try_driver();
  if (!found) return "no CUDA driver or device";
  std::string architecture = GpuDevice::get().architecture();
  return architecture == "sm_90a" ? "" : "the device is " + architecture + ", not sm_90a";
}

Jit& gpu_jit() {
  static Jit jit = Jit::create({.cache_mode = JitOptions::CacheMode::off});
  return jit;
}

DeviceBuffer::DeviceBuffer(const std::vector<char>& contents) : bytes_(contents.size()) {
  ContextScope scope(GpuDevice::get().context());
  check(driver().cuMemAlloc(&pointer_, std::max<std::size_t>(bytes_, 256)), "cuMemAlloc");
  if (bytes_) check(driver().cuMemcpyHtoD(pointer_, contents.data(), bytes_), "cuMemcpyHtoD");
}

DeviceBuffer::~DeviceBuffer() {
  ContextScope scope(GpuDevice::get().context());
  driver().cuMemFree(pointer_);
}

std::vector<char> DeviceBuffer::read() const {
  ContextScope scope(GpuDevice::get().context());
  std::vector<char> contents(bytes_);
  check(driver().cuCtxSynchronize(), "cuCtxSynchronize");
  if (bytes_) check(driver().cuMemcpyDtoH(contents.data(), pointer_, bytes_), "cuMemcpyDtoH");
  return contents;
}

ForwardTensors result_of(const ForwardCase& given, const ForwardKernel& kernel) {
  ForwardTensors tensors(given);
  run_once(kernel, tensors, *gpu_workbench(0));
  return tensors;
}

void check_case(const ForwardCase& given, const ForwardKernel& kernel) {
  const ForwardTensors tensors = result_of(given, kernel);
  const Accuracy accuracy = check_accuracy(given, tensors, Arithmetic::gpu, budget);
  const Errors& errors = accuracy.errors;
  INFO(given.describe());
  INFO(kernel.schedule().describe());
  INFO("error " << errors.o << " against " << errors.plain_o << " of plain attention");
  INFO("LSE error " << errors.lse << " against " << errors.plain_lse);
  INFO("rows with a NaN: " << accuracy.nan_rows);
  INFO("only the asked-for rows were written: " << accuracy.untouched);
  CHECK(accuracy.ok());
}

BackwardTensors result_of(const BackwardCase& given) {
  const auto bench = gpu_workbench(0);
  const ForwardCase& call = given.forward;
  BackwardTensors tensors(given);
  run_once(gpu_jit().forward(call.problem, call.shape), tensors.forward, *bench);
  run_once(gpu_jit().backward(call.problem, call.shape), tensors, *bench);
  return tensors;
}

void check_case(const BackwardCase& given) {
  const BackwardTensors tensors = result_of(given);
  INFO(given.describe());
  // What gradients start from: where it is NaN, they are expected to be.
  CHECK(check_accuracy(given.forward, tensors.forward, Arithmetic::gpu, budget).ok());
  const BackwardAccuracy accuracy = check_backward(given, tensors, Arithmetic::gpu, budget);
  CHECK(accuracy.untouched);
  for (const auto& [name, error, plain, allowed] : accuracy.errors) {
    CAPTURE(name, plain);
    CHECK(error <= allowed);
  }
}

}  // namespace streamattn
