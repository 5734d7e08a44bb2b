// The plain C entry points: each one converts its structs and calls the C++ API.
#include "streamattn/c_api.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "runtime/c_structs.h"
#include "streamattn/log.h"

struct streamattn_jit {
  streamattn::Jit jit;
};

namespace streamattn {
namespace {

void destroy_text(void* text) { delete static_cast<std::string*>(text); }

/// Where each thread has the text of its last error. Not thread_local: without memory, the C
/// library ends the process over the destructor. It also outlives static objects, whose own may
/// call.
class LastError {
 public:
  LastError() : has_key_(::pthread_key_create(&key_, destroy_text) == 0) {}

  /// Null where the thread has none yet.
  std::string* text() const {
    return has_key_ ? static_cast<std::string*>(::pthread_getspecific(key_)) : nullptr;
  }

  /// Throws std::bad_alloc.
  void keep(const char* message) const {
    if (std::string* kept = text()) {
      *kept = message;
      return;
    }
    auto fresh = std::make_unique<std::string>(message);
    if (!has_key_ || ::pthread_setspecific(key_, fresh.get()) != 0) throw std::bad_alloc();
    [[maybe_unused]] const std::string* of_thread = fresh.release();
  }

 private:
  pthread_key_t key_ = 0;
  bool has_key_;
};

const LastError& last_error() {
  static const LastError instance;
  return instance;
}

/// Whether there was no memory for the last error of this thread.
constinit thread_local bool is_lost = false;

void keep(const char* message) noexcept {
  try {
    last_error().keep(message);
    is_lost = false;
  } catch (const std::bad_alloc&) {
    is_lost = true;
  }
}

// Statuses are the codes of Error shifted by one, so that 0 can be success.
streamattn_status status(ErrorCode code) {
  return static_cast<streamattn_status>(static_cast<int>(code) + 1);
}
static_assert(static_cast<int>(ErrorCode::invalid_argument) + 1 == STREAMATTN_INVALID_ARGUMENT);
static_assert(static_cast<int>(ErrorCode::cache_io) + 1 == STREAMATTN_CACHE_IO);

/// Runs `body`; what it throws becomes a status and the thread's last error.
template <class Body>
streamattn_status guarded(Body body) noexcept {
  try {
    body();
    return STREAMATTN_OK;
  } catch (const Error& error) {
    keep(error.what());
    return status(error.code());
  } catch (const std::exception& error) {
    keep(error.what());
    return STREAMATTN_INTERNAL_ERROR;
  }
}

JitOptions convert(const streamattn_jit_options& from) {
  JitOptions options;
  if (from.target) options.target = from.target;
  if (from.device) options.device = *from.device;
  if (from.pins) options.pins = ScheduleTable::parse(from.pins, "pins");
  if (from.cache_dir) options.cache_dir = from.cache_dir;
  options.cpu_fallback = from.cpu_fallback != 0;
  return options;
}

// A kernel's handle is its address: the jit owns the kernel.
const streamattn_kernel* handle(const Kernel& kernel) {
  return reinterpret_cast<const streamattn_kernel*>(&kernel);
}
const Kernel& kernel_of(const streamattn_kernel* handle) {
  require(handle, "kernel");
  return *reinterpret_cast<const Kernel*>(handle);
}

/// The kernel as one of its operation's type.
template <class KernelType>
const KernelType& kernel_for(const streamattn_kernel* handle) {
  const Kernel& kernel = kernel_of(handle);
  if (kernel.operation() != KernelType::served)
    throw Error(ErrorCode::invalid_argument,
                "kernel is one of " + std::string(name(kernel.operation())) +
                    ", this function takes one of " + std::string(name(KernelType::served)));
  return static_cast<const KernelType&>(kernel);
}

/// What find(jit, problem, shape) gives.
template <class Find>
streamattn_status find_kernel(streamattn_jit* jit, const streamattn_problem* problem,
                              const streamattn_shape* shape, const streamattn_kernel** kernel,
                              const Find& find) {
  return guarded([&] {
    require(jit, "jit");
    require(kernel, "kernel");
    *kernel = handle(find(jit->jit, streamattn::convert(read(problem, "problem")),
                          streamattn::convert(read(shape, "shape"))));
  });
}

}  // namespace
}  // namespace streamattn

using namespace streamattn;

const char* streamattn_version(void) { return version().data(); }

const char* streamattn_status_name(streamattn_status status) {
  if (status == STREAMATTN_OK) return "ok";
  if (status < STREAMATTN_OK || status > STREAMATTN_CACHE_IO) return "internal_error";
  return name(static_cast<ErrorCode>(status - 1)).data();
}

const char* streamattn_last_error(void) {
  if (is_lost) return "out of memory, also for saying what went wrong";
  const std::string* text = last_error().text();
  return text ? text->c_str() : "";
}

streamattn_status streamattn_jit_create(const streamattn_jit_options* options,
                                        streamattn_jit** jit) {
  return guarded([&] {
    require(jit, "jit");
    const JitOptions converted = options ? convert(read(options, "jit_options")) : JitOptions{};
    *jit = new streamattn_jit{Jit::create(converted)};
  });
}

void streamattn_jit_destroy(streamattn_jit* jit) { delete jit; }

streamattn_status streamattn_forward_kernel(streamattn_jit* jit, const streamattn_problem* problem,
                                            const streamattn_shape* shape,
                                            const streamattn_kernel** kernel) {
  return find_kernel(jit, problem, shape, kernel,
                     [](const Jit& from, const Problem& what, const Shape& size) -> const Kernel& {
                       return from.forward(what, size);
                     });
}

streamattn_status streamattn_forward_workspace(const streamattn_kernel* kernel,
                                               const streamattn_forward_args* args, size_t* bytes) {
  return guarded([&] {
    require(bytes, "bytes");
    const auto& forward = kernel_for<ForwardKernel>(kernel);
    *bytes = forward.workspace_bytes(ConvertedForward(read(args, "forward_args")));
  });
}

streamattn_status streamattn_launch_forward(const streamattn_kernel* kernel,
                                            const streamattn_forward_args* args, void* stream) {
  return guarded([&] {
    kernel_for<ForwardKernel>(kernel).launch(ConvertedForward(read(args, "forward_args")), stream);
  });
}

streamattn_status streamattn_backward_kernel(streamattn_jit* jit, const streamattn_problem* problem,
                                             const streamattn_shape* shape,
                                             const streamattn_kernel** kernel) {
  return find_kernel(jit, problem, shape, kernel,
                     [](const Jit& from, const Problem& what, const Shape& size) -> const Kernel& {
                       return from.backward(what, size);
                     });
}

streamattn_status streamattn_backward_workspace(const streamattn_kernel* kernel,
                                                const streamattn_backward_args* args,
                                                size_t* bytes) {
  return guarded([&] {
    require(bytes, "bytes");
    const auto& backward = kernel_for<BackwardKernel>(kernel);
    *bytes = backward.workspace_bytes(ConvertedBackward(read(args, "backward_args")));
  });
}

streamattn_status streamattn_launch_backward(const streamattn_kernel* kernel,
                                             const streamattn_backward_args* args, void* stream) {
  return guarded([&] {
    kernel_for<BackwardKernel>(kernel).launch(ConvertedBackward(read(args, "backward_args")),
                                              stream);
  });
}

streamattn_status streamattn_append_kernel(streamattn_jit* jit, const streamattn_problem* problem,
                                           const streamattn_shape* shape,
                                           const streamattn_kernel** kernel) {
  return find_kernel(jit, problem, shape, kernel,
                     [](const Jit& from, const Problem& what, const Shape& size) -> const Kernel& {
                       return from.append(what, size);
                     });
}

streamattn_status streamattn_launch_append(const streamattn_kernel* kernel,
                                           const streamattn_append_args* args, void* stream) {
  return guarded(
      [&] { kernel_for<AppendKernel>(kernel).launch(convert(read(args, "append_args")), stream); });
}

streamattn_status streamattn_merge_kernel(streamattn_jit* jit, const streamattn_problem* problem,
                                          const streamattn_shape* shape,
                                          const streamattn_kernel** kernel) {
  return find_kernel(jit, problem, shape, kernel,
                     [](const Jit& from, const Problem& what, const Shape& size) -> const Kernel& {
                       return from.merge(what, size);
                     });
}

streamattn_status streamattn_launch_merge(const streamattn_kernel* kernel,
                                          const streamattn_merge_args* args, void* stream) {
  return guarded(
      [&] { kernel_for<MergeKernel>(kernel).launch(convert(read(args, "merge_args")), stream); });
}

size_t streamattn_describe(const streamattn_kernel* kernel, char* buffer, size_t size) {
  std::string text;
  guarded([&] { text = kernel_of(kernel).describe(); });
  if (buffer && size > 0) {
    const std::size_t length = std::min(text.size(), size - 1);
    std::memcpy(buffer, text.data(), length);
    buffer[length] = '\0';
  }
  return text.size();
}

static_assert(static_cast<int>(LogLevel::debug) == STREAMATTN_LOG_DEBUG);

streamattn_status streamattn_set_log_callback(streamattn_log_callback callback, void* user) {
  return guarded([&] {
    if (!callback) return set_log_callback({});
    set_log_callback([=](LogLevel level, std::string_view topic, std::string_view message) {
      callback(user, static_cast<streamattn_log_level>(level), std::string(topic).c_str(),
               std::string(message).c_str());
    });
  });
}

streamattn_status streamattn_set_log_level(const char* setting) {
  return guarded([&] {
    require(setting, "setting");
    set_log_level(setting);
  });
}
