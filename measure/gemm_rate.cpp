// Measures a bf16 matrix product with cuBLAS, opened at run time.
#include "measure/gemm_rate.h"

#include <dlfcn.h>

#include "measure/random_inputs.h"
#include "measure/rounds.h"

namespace streamattn {
namespace {

// The part of cuBLAS's interface that is used here (cublas_api.h, library_types.h).
using Handle = struct CublasContext*;
constexpr int op_none = 0, op_transposed = 1, type_bf16 = 14, compute_f32 = 68, default_algo = -1;

struct Cublas {
  int (*create)(Handle*);
  int (*destroy)(Handle);
  int (*gemm)(Handle, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* a,
              int type_a, int lda, const void* b, int type_b, int ldb, const void* beta, void* c,
              int type_c, int ldc, int compute_type, int algo);
};

std::optional<Cublas> open_cublas() {
  for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so",
                           "/usr/local/cuda/lib64/libcublas.so"}) {
    void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) continue;
    Cublas cublas = {};
    const auto load = [&](auto& entry, const char* symbol) {
      entry = reinterpret_cast<std::remove_reference_t<decltype(entry)>>(dlsym(library, symbol));
      return entry != nullptr;
    };
    if (load(cublas.create, "cublasCreate_v2") && load(cublas.destroy, "cublasDestroy_v2") &&
        load(cublas.gemm, "cublasGemmEx")) {
      return cublas;
    }
  }
  return std::nullopt;
}

std::optional<double> measured_tflops(Workbench& gpu) {
  constexpr int size = 8192;
  constexpr std::int64_t count = std::int64_t{size} * size;
  const std::optional<Cublas> cublas = open_cublas();
  Handle handle = nullptr;
  if (!cublas || cublas->create(&handle) != 0) return std::nullopt;

  // Zeros and repeated numbers draw less power and run faster: random ones, all different.
  std::vector<std::uint16_t> numbers(count);
  Memory matrices[3];
  for (int i = 0; i < 3; ++i) {
    fill_random(numbers.data(), DType::bf16, count, i + 1);
    matrices[i] = gpu.allocate(count * sizeof(std::uint16_t));
    gpu.upload(matrices[i].get(), numbers.data(), count * sizeof(std::uint16_t));
  }
  bool failed = false;
  const auto multiply = [&](Stream) {
    const float one = 1, zero = 0;
    const int status =
        cublas->gemm(handle, op_transposed, op_none, size, size, size, &one, matrices[0].get(),
                     type_bf16, size, matrices[1].get(), type_bf16, size, &zero, matrices[2].get(),
                     type_bf16, size, compute_f32, default_algo);
    failed = failed || status != 0;
  };
  const Stopwatch stopwatch = [&](int runs) { return gpu.time(multiply, runs); };
  const Timing timing =
      time_interleaved({stopwatch}, {}, gpu.overhead_milliseconds(), [] {}).front();
  cublas->destroy(handle);
  if (failed) return std::nullopt;
  return 2.0 * size * count / (timing.milliseconds * 1e9);
}

}  // namespace

std::optional<GemmRate> bf16_gemm_rate(Workbench& gpu) {
  if (const auto tflops = measured_tflops(gpu)) {
    return GemmRate{*tflops, "cuBLAS 8192^3, measured now"};
  }
  if (gpu.name().find("H200") != std::string::npos) {
    return GemmRate{670, "on record for the H200, cuBLAS is not here to measure"};
  }
  return std::nullopt;
}

}  // namespace streamattn
