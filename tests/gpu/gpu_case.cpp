// Random tensors, poisoned outputs, launch, comparison.
#include "tests/gpu/gpu_case.h"

#include <cstring>
#include <memory>
#include <sstream>

#include "runtime/gpu/device.h"

namespace streamattn {
namespace {

// A tensor on the host with its twin on the device.
struct Twin {
  Tensor host;
  std::vector<char> memory;
  std::unique_ptr<DeviceBuffer> device;

  Tensor on_device() const {
    Tensor t = host;
    t.data = device->data();
    return t;
  }
  void upload() { device = std::make_unique<DeviceBuffer>(memory); }
  void download() {
    memory = device->read();
    host.data = memory.data();
  }
};

Tensor view(const GpuCase& c, DType type, std::int64_t seq, std::int64_t heads, std::int64_t dim) {
  Tensor t{nullptr, type, c.batch, seq, heads, dim};
  std::int64_t row = dim + c.gap;
  switch (c.order) {
    case Order::bshd:
      t.head_stride = row, t.seq_stride = heads * row, t.batch_stride = seq * heads * row;
      break;
    case Order::bhsd:
      t.seq_stride = row, t.head_stride = seq * row, t.batch_stride = seq * heads * row;
      break;
    case Order::sbhd:
      t.head_stride = row, t.batch_stride = heads * row, t.seq_stride = c.batch * heads * row;
      break;
  }
  return t;
}

std::int64_t elements(const GpuCase& c, const Tensor& t) {
  return t.batch * t.seq * t.heads * (t.dim + c.gap);
}

Twin random_twin(const GpuCase& c, Tensor t, std::uint64_t stream) {
  Twin twin{t};
  twin.memory.resize(static_cast<std::size_t>(elements(c, t) * bytes(t.dtype)));
  fill_random(twin.memory.data(), t.dtype, elements(c, t), c.seed * 4 + stream, c.distribution);
  twin.host.data = twin.memory.data();
  twin.upload();
  return twin;
}

// All bits set: a NaN in every float format.
constexpr char poison = static_cast<char>(0xFF);

Twin poisoned_twin(const GpuCase& c, Tensor t) {
  Twin twin{t};
  twin.memory.assign(static_cast<std::size_t>(elements(c, t) * bytes(t.dtype)), poison);
  twin.host.data = twin.memory.data();
  twin.upload();
  return twin;
}

// Whether every byte outside the computed rows still has the poison.
bool only_rows_written(const Tensor& t, const std::vector<char>& memory, Rows rows) {
  std::vector<char> rest = memory;
  for (std::int64_t b = 0; b < t.batch; b++)
    for (std::int64_t s = rows.begin; s < rows.end; s++)
      for (std::int64_t h = 0; h < t.heads; h++) {
        auto at = (b * t.batch_stride + s * t.seq_stride + h * t.head_stride) * bytes(t.dtype);
        std::memset(rest.data() + at, poison, static_cast<std::size_t>(t.dim * bytes(t.dtype)));
      }
  for (char byte : rest)
    if (byte != poison) return false;
  return true;
}

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

std::string GpuCase::describe() const {
  std::ostringstream text;
  text << problem.describe() << "; batch " << batch << ", kv_heads " << kv_heads << ", q " << q_len
       << ", kv " << kv_len << ", order " << static_cast<int>(order) << ", gap " << gap;
  return text.str();
}

bool GpuResult::accurate() const {
  return untouched && error <= 2 * plain_error + 1e-7 && lse_error <= 2 * plain_lse_error + 2e-5;
}

GpuResult run(const GpuCase& c, const ForwardKernel& kernel) {
  const Problem& p = c.problem;
  std::int64_t heads = c.kv_heads * p.group_size;
  Twin q = random_twin(c, view(c, p.dtype, c.q_len, heads, p.head_dim), 0);
  Twin k = random_twin(c, view(c, p.dtype, c.kv_len, c.kv_heads, p.head_dim), 1);
  Twin v = random_twin(c, view(c, p.dtype, c.kv_len, c.kv_heads, p.v_head_dim()), 2);
  Twin o = poisoned_twin(c, view(c, p.output_dtype(), c.q_len, heads, p.v_head_dim()));
  Twin lse = poisoned_twin(c, view(c, DType::f32, c.q_len, heads, 1));

  ForwardArgs args{.scale = c.scale,
                   .q_offset = c.q_offset,
                   .k_offset = c.k_offset,
                   .q_rows = c.q_rows,
                   .kv_rows = c.kv_rows,
                   .max_sms = c.max_sms};
  args.q = q.on_device(), args.k = k.on_device(), args.v = v.on_device(), args.o = o.on_device();
  if (c.with_lse) args.lse = lse.on_device();
  const std::vector<char> scratch(kernel.workspace_bytes(args), poison);
  const DeviceBuffer workspace(scratch);
  args.workspace = {workspace.data(), scratch.size()};
  kernel.launch(args);
  o.download();
  lse.download();

  args.q = q.host, args.k = k.host, args.v = v.host, args.o = o.host, args.lse = lse.host;
  auto rows = sample_rows(args, c.sampled_rows, c.seed);
  RowValues expected = reference_forward(p, args, rows);
  RowValues plain = plain_forward(p, args, rows), found = read_rows(args, rows);
  Rows written = c.q_rows.value_or(Rows{0, c.q_len});
  GpuResult r;
  r.error = relative_error(found.o, expected.o);
  r.plain_error = relative_error(plain.o, expected.o);
  r.lse_error = c.with_lse ? max_error(found.lse, expected.lse) : 0;
  r.plain_lse_error = max_error(plain.lse, expected.lse);
  r.untouched = only_rows_written(o.host, o.memory, written) &&
                only_rows_written(lse.host, lse.memory, c.with_lse ? written : Rows{0, 0});
  r.o = std::move(o.memory);
  r.lse = std::move(lse.memory);
  return r;
}

}  // namespace streamattn
