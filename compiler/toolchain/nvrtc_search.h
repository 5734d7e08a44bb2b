// Where NVRTC may be, judged by files alone: loading the 109 MB library costs 5 to 250 ms, which a
// process that finds its kernels in the cache never pays.
#pragma once

#include <string>
#include <vector>

namespace streamattn {

/// A release as CUDA spells it: 13.0 is 13000, 12.9 is 12090.
using CudaVersion = int;

/// The oldest release that compiles for any of the served targets.
CudaVersion min_nvrtc_version();

/// "13.0".
std::string version_text(CudaVersion version);

/// One place that was looked at. Where `complaint` is empty, both files are there and new enough.
struct NvrtcFiles {
  std::string path;      ///< of the library, or of the place where none is
  std::string builtins;  ///< NVRTC's own headers, loaded by it from the same folder
  CudaVersion version = 0;
  std::string complaint;
};

/// How far to look: a process that finds its kernels in the cache needs to know no more than which
/// NVRTC made them.
enum class NvrtcSearch { everywhere, first_usable };

/// Every place in search order, or those up to the first usable library; each library once:
///   1. STREAMATTN_NVRTC, a library or its folder; where set, it is the only place
///   2. beside this library: ../nvidia/cu13/lib and ../nvidia/cuda_nvrtc/lib (Python packages),
///   then
///      ../share/streamattn/nvrtc/lib (scripts/setup)
///   3. an NVRTC that this process has already loaded
///   4. CUDA_HOME, CUDA_PATH
///   5. LD_LIBRARY_PATH
///   6. /usr/local/cuda*
///   7. Python's nvidia-cuda-nvrtc: VIRTUAL_ENV, CONDA_PREFIX, the user's and the system's packages
///   8. what the loader finds by name. It comes last because it can only be asked by loading.
std::vector<NvrtcFiles> search_nvrtc(NvrtcSearch extent = NvrtcSearch::everywhere);

}  // namespace streamattn
