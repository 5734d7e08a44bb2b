// The plain C entry points: each one converts its structs and calls the C++ API.
#include "streamattn/c_api.h"

#include <llvm/ADT/SmallVector.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <span>
#include <string>

#include "streamattn/jit.h"
#include "streamattn/log.h"
#include "templates/params.h"

struct streamattn_jit {
  streamattn::Jit jit;
};

namespace streamattn {
namespace {

/// The last error of a thread, which is gone before static objects and their last calls are.
struct LastError {
  std::string text;
  ~LastError() { is_gone = true; }
  static thread_local bool is_gone;
};
thread_local bool LastError::is_gone = false;
thread_local LastError last_error;

/// Without memory, and while the process ends, there is a status and no message.
void keep(const char* message) noexcept {
  if (LastError::is_gone) return;
  try {
    last_error.text = message;
  } catch (const std::bad_alloc&) {
    last_error.text.clear();
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

/// The caller's struct, with fields that its version does not have yet zeroed.
template <class Struct>
Struct read(const Struct* given, const char* name) {
  const std::string what = std::string("streamattn_") + name;
  if (!given) throw Error(ErrorCode::invalid_argument, what + " is null");
  if (given->struct_size < sizeof(std::size_t) || given->struct_size > sizeof(Struct)) {
    throw Error(ErrorCode::invalid_argument,
                what + " has struct_size " + std::to_string(given->struct_size) +
                    ", this library knows up to " + std::to_string(sizeof(Struct)));
  }
  Struct copy = {};
  std::memcpy(&copy, given, given->struct_size);
  return copy;
}

template <class Pointer>
void require(Pointer pointer, const char* name) {
  if (!pointer) throw Error(ErrorCode::invalid_argument, std::string(name) + " is null");
}

DType dtype(int32_t type, const char* field) {
  switch (type) {
    case STREAMATTN_F16:
      return DType::f16;
    case STREAMATTN_BF16:
      return DType::bf16;
    case STREAMATTN_F32:
      return DType::f32;
    case STREAMATTN_I32:
      return DType::i32;
    case STREAMATTN_U8:
      return DType::u8;
    default:
      throw Error(ErrorCode::invalid_argument, std::string(field) + " is " + std::to_string(type) +
                                                   ", needs one of streamattn_dtype's types");
  }
}

SequenceLayout layout(int32_t layout, const char* field) {
  if (layout < STREAMATTN_DENSE || layout > STREAMATTN_PAGED)
    throw Error(ErrorCode::invalid_argument, std::string(field) + " is " + std::to_string(layout) +
                                                 ", needs one of streamattn_layout");
  return static_cast<SequenceLayout>(layout);
}
static_assert(static_cast<int>(SequenceLayout::paged) == STREAMATTN_PAGED);

JitOptions convert(const streamattn_jit_options& from) {
  JitOptions options;
  if (from.target) options.target = from.target;
  if (from.device) options.device = *from.device;
  if (from.pins) options.pins = ScheduleTable::parse(from.pins, "pins");
  if (from.cache_dir) options.cache_dir = from.cache_dir;
  options.cpu_fallback = from.cpu_fallback != 0;
  return options;
}

Problem convert(const streamattn_problem& from) {
  Problem problem;
  problem.dtype = dtype(from.dtype, "dtype");
  if (from.out_dtype != STREAMATTN_DTYPE_DEFAULT) {
    problem.out_dtype = dtype(from.out_dtype, "out_dtype");
  }
  problem.head_dim = from.head_dim;
  if (from.value_head_dim != 0) problem.value_head_dim = from.value_head_dim;
  if (from.group_size != 0) problem.group_size = from.group_size;
  if (from.mask) problem.mask = Expr::parse(from.mask);
  if (from.score) problem.score = Expr::parse(from.score, ExprRole::score);
  if (from.sink) problem.sink = Expr::parse(from.sink, ExprRole::score);
  problem.q_layout = layout(from.q_layout, "q_layout");
  problem.kv_layout = layout(from.kv_layout, "kv_layout");
  problem.q_lens = from.q_lens != 0;
  problem.kv_lens = from.kv_lens != 0;
  return problem;
}

Shape convert(const streamattn_shape& from) {
  return {from.batch, from.kv_heads, from.q_len, from.kv_len};
}

Tensor convert(const streamattn_tensor& from, const char* name) {
  return {.data = from.data,
          .dtype = dtype(from.dtype, name),
          .batch = from.batch,
          .seq = from.seq,
          .heads = from.heads,
          .dim = from.dim,
          .batch_stride = from.batch_stride,
          .seq_stride = from.seq_stride,
          .head_stride = from.head_stride};
}

Sequences convert(const streamattn_sequences& from) {
  return {.batch = from.batch,
          .cu_seqlens_q = from.cu_seqlens_q,
          .cu_seqlens_kv = from.cu_seqlens_kv,
          .q_lens = from.q_lens,
          .kv_lens = from.kv_lens,
          .block_table = from.block_table,
          .pages = from.pages,
          .block_table_stride = from.block_table_stride,
          .max_q_len = from.max_q_len,
          .max_kv_len = from.max_kv_len};
}

/// Arguments with what they point to.
struct ConvertedArgs : ForwardArgs {
  llvm::SmallVector<ScalarArg, NamedValues::most_scalars> scalar_args;
  llvm::SmallVector<TensorArg, NamedValues::most_tensors> tensor_args;
};

/// Elements [0, count) of an array of the caller's.
template <class Element>
std::span<const Element> list(const Element* first, std::size_t count, const char* name) {
  if (count > 0) require(first, name);
  return {first, count};
}

void convert_names(const streamattn_forward_args& from, ConvertedArgs& to) {
  for (const auto& scalar : list(from.scalars, from.scalar_count, "scalars")) {
    require(scalar.name, "the name of a scalar");
    to.scalar_args.push_back({scalar.name, scalar.value});
  }
  for (const auto& tensor : list(from.tensors, from.tensor_count, "tensors")) {
    require(tensor.name, "the name of a tensor");
    TensorArg& added = to.tensor_args.emplace_back();
    added = {.name = tensor.name,
             .data = tensor.data,
             .dtype = dtype(tensor.dtype, (std::string(tensor.name) + ": dtype").c_str()),
             .rank = tensor.rank};
    std::copy_n(tensor.sizes, added.sizes.size(), added.sizes.begin());
    std::copy_n(tensor.strides, added.strides.size(), added.strides.begin());
  }
  to.scalars = to.scalar_args;
  to.tensors = to.tensor_args;
}

/// Calls use(args) with the arguments in C++.
template <class Use>
void with_args(const streamattn_forward_args& from, const Use& use) {
  ConvertedArgs args;
  args.q = convert(from.q, "q: dtype");
  args.k = convert(from.k, "k: dtype");
  args.v = convert(from.v, "v: dtype");
  args.o = convert(from.o, "o: dtype");
  if (from.lse.data) args.lse = convert(from.lse, "lse: dtype");
  if (from.scale) args.scale = *from.scale;
  if (from.q_offset) args.q_offset = *from.q_offset;
  args.k_offset = from.k_offset;
  if (from.q_rows) args.q_rows = Rows{from.q_rows->begin, from.q_rows->end};
  if (from.kv_rows) args.kv_rows = Rows{from.kv_rows->begin, from.kv_rows->end};
  args.sequences = convert(from.sequences);
  args.max_sms = from.max_sms;
  args.workspace = {from.workspace, from.workspace_bytes};
  convert_names(from, args);
  use(args);
}

// A kernel's handle is its address: the jit owns the kernel.
const streamattn_kernel* handle(const Kernel& kernel) {
  return reinterpret_cast<const streamattn_kernel*>(&kernel);
}
const Kernel& kernel_of(const streamattn_kernel* handle) {
  require(handle, "kernel");
  return *reinterpret_cast<const Kernel*>(handle);
}
const ForwardKernel& forward_kernel_of(const streamattn_kernel* handle) {
  return static_cast<const ForwardKernel&>(kernel_of(handle));
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
  return LastError::is_gone ? "" : last_error.text.c_str();
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
  return guarded([&] {
    require(jit, "jit");
    require(kernel, "kernel");
    *kernel =
        handle(jit->jit.forward(convert(read(problem, "problem")), convert(read(shape, "shape"))));
  });
}

streamattn_status streamattn_forward_workspace(const streamattn_kernel* kernel,
                                               const streamattn_forward_args* args, size_t* bytes) {
  return guarded([&] {
    require(bytes, "bytes");
    const ForwardKernel& forward = forward_kernel_of(kernel);
    with_args(read(args, "forward_args"),
              [&](const ForwardArgs& converted) { *bytes = forward.workspace_bytes(converted); });
  });
}

streamattn_status streamattn_launch_forward(const streamattn_kernel* kernel,
                                            const streamattn_forward_args* args, void* stream) {
  return guarded([&] {
    const ForwardKernel& forward = forward_kernel_of(kernel);
    with_args(read(args, "forward_args"),
              [&](const ForwardArgs& converted) { forward.launch(converted, stream); });
  });
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
