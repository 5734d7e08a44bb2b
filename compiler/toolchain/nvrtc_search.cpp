// Looking for NVRTC on disk and in this process.
#include "compiler/toolchain/nvrtc_search.h"

#include <dirent.h>
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <set>

#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/Support/FormatVariadic.h>

#include "streamattn/target.h"
#include "support/environment.h"

namespace streamattn {
namespace {

namespace fs = std::filesystem;

// Newest first. A later major version may break the interface, so it is not tried unasked.
constexpr const char* sonames[] = {"libnvrtc.so.13", "libnvrtc.so.12"};
constexpr std::string_view builtins_prefix = "libnvrtc-builtins.so.";

/// Folders that stand for one place: the first that holds NVRTC counts.
using Place = std::vector<fs::path>;

Place toolkit(const fs::path& root) {
  return {root / "lib64", root / "lib", root / "targets/x86_64-linux/lib"};
}

struct CloseListing {
  void operator()(DIR* listing) const { ::closedir(listing); }
};

/// The entries of `folder` whose name begins with `prefix`, latest name first; none if there is no
/// such folder.
std::vector<fs::path> entries(const fs::path& folder, std::string_view prefix) {
  std::vector<fs::path> found;
  // Not directory_iterator: a toolkit has a hundred libraries, and that makes a path of each.
  const std::unique_ptr<DIR, CloseListing> listing(::opendir(folder.c_str()));
  while (const dirent* entry = listing ? ::readdir(listing.get()) : nullptr) {
    if (std::string_view(entry->d_name).starts_with(prefix))
      found.push_back(folder / entry->d_name);
  }
  std::ranges::sort(found, std::greater());
  return found;
}

/// The folder of the file that holds this code: the shared library, or the program it is linked to.
fs::path own_folder() {
  Dl_info info;
  link_map* map = nullptr;
  const auto here = reinterpret_cast<const void*>(&own_folder);
  const bool known = dladdr1(here, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0;
  const fs::path file = known && *map->l_name ? map->l_name : "/proc/self/exe";
  std::error_code ignored;
  return fs::canonical(file, ignored).parent_path();
}

void add_own_places(std::vector<Place>& places) {
  const fs::path prefix = own_folder().parent_path();
  places.push_back({prefix / "nvidia/cu13/lib"});
  places.push_back({prefix / "nvidia/cuda_nvrtc/lib"});
  places.push_back({prefix / "share/streamattn/nvrtc/lib"});
}

void add_loaded(std::vector<Place>& places) {
  const auto visit = [](dl_phdr_info* info, std::size_t, void* result) {
    const llvm::StringRef path = info->dlpi_name;
    if (path.contains("/libnvrtc.so."))
      static_cast<std::vector<Place>*>(result)->push_back({path.str()});
    return 0;
  };
  dl_iterate_phdr(visit, &places);
}

void add_python_places(std::vector<Place>& places) {
  std::vector<fs::path> roots;
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (auto root = environment(name)) roots.emplace_back(*root);
  }
  if (auto home = environment("HOME")) roots.push_back(fs::path(*home) / ".local");
  roots.insert(roots.end(), {"/usr/local", "/usr"});
  for (const fs::path& root : roots) {
    for (const fs::path& python : entries(root / "lib", "python3")) {
      for (const char* packages : {"site-packages", "dist-packages"}) {
        const fs::path wheels = python / packages / "nvidia";
        std::error_code ignored;
        if (!fs::exists(wheels, ignored)) continue;
        places.push_back({wheels / "cu13/lib", wheels / "cuda_nvrtc/lib"});
      }
    }
  }
  if (auto root = environment("CONDA_PREFIX")) places.push_back(toolkit(*root));
}

void add_toolkits(std::vector<Place>& places) {
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"}) {
    if (auto root = environment(name)) places.push_back(toolkit(*root));
  }
  if (auto path = environment("LD_LIBRARY_PATH")) {
    llvm::SmallVector<llvm::StringRef> folders;
    llvm::StringRef(*path).split(folders, ':', -1, /*KeepEmpty=*/false);
    for (llvm::StringRef folder : folders) places.push_back({folder.str()});
  }
  places.push_back(toolkit("/usr/local/cuda"));
}

void add_toolkits_of_releases(std::vector<Place>& places) {
  for (const fs::path& root : entries("/usr/local", "cuda-")) places.push_back(toolkit(root));
}

/// The library of a place; the name of its first folder where there is none.
std::optional<fs::path> library_in(const Place& place) {
  for (const fs::path& path : place) {
    std::error_code ignored;
    const fs::file_type type = fs::status(path, ignored).type();
    if (type == fs::file_type::regular) return path;
    if (type != fs::file_type::directory) continue;
    for (const char* soname : sonames) {
      if (fs::is_regular_file(path / soname, ignored)) return path / soname;
    }
  }
  return std::nullopt;
}

/// 13000 for "libnvrtc-builtins.so.13.0"; nothing for another name.
std::optional<CudaVersion> builtins_version(llvm::StringRef name) {
  int major = 0;
  int minor = 0;
  if (!name.consume_front({builtins_prefix.data(), builtins_prefix.size()})) return std::nullopt;
  if (name.consumeInteger(10, major) || !name.consume_front(".")) return std::nullopt;
  if (name.consumeInteger(10, minor)) return std::nullopt;
  return major * 1000 + minor * 10;
}

/// Judges a library by the files beside it. The builtins have the exact release in their name.
/// `real` is where it is after all links.
NvrtcFiles inspect(const fs::path& library, const fs::path& real) {
  NvrtcFiles files{.path = library.native()};
  for (const fs::path& entry : entries(real.parent_path(), builtins_prefix)) {
    const auto version = builtins_version(entry.filename().native());
    if (version && *version > files.version) {
      files.version = *version;
      files.builtins = entry.native();
    }
  }
  if (files.builtins.empty()) {
    files.complaint = std::string(builtins_prefix) + "* is missing beside it";
  } else if (files.version < min_nvrtc_version()) {
    files.complaint = llvm::formatv("too old: {0}, {1} is needed", version_text(files.version),
                                    version_text(min_nvrtc_version()));
  }
  return files;
}

std::optional<fs::path> library_of_loader() {
  for (const char* soname : sonames) {
    void* handle = dlopen(soname, RTLD_LAZY | RTLD_LOCAL);
    link_map* map = nullptr;
    if (handle && dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0) return map->l_name;
  }
  return std::nullopt;
}

}  // namespace

CudaVersion min_nvrtc_version() {
  CudaVersion lowest = std::numeric_limits<CudaVersion>::max();
  for (const Target* target : served_targets())
    if (!target->is_cpu()) lowest = std::min(lowest, target->min_nvrtc);
  return lowest;
}

std::string version_text(CudaVersion version) {
  return llvm::formatv("{0}.{1}", version / 1000, version % 1000 / 10);
}

std::vector<NvrtcFiles> search_nvrtc(NvrtcSearch extent) {
  std::vector<NvrtcFiles> found;
  std::set<fs::path> seen;
  const auto add = [&](const fs::path& library) {
    std::error_code ignored;
    const fs::path real = fs::canonical(library, ignored);
    if (!seen.insert(real).second) return false;
    found.push_back(inspect(library, real));
    return found.back().complaint.empty();
  };
  // Whether one of them is usable.
  const auto add_all = [&](const std::vector<Place>& places) {
    bool any_usable = false;
    for (const Place& place : places) {
      if (const auto library = library_in(place))
        any_usable |= add(*library);
      else
        found.push_back({.path = place.front().native(), .complaint = "missing"});
      if (any_usable && extent == NvrtcSearch::first_usable) break;
    }
    return any_usable;
  };
  if (auto only = environment("STREAMATTN_NVRTC")) {
    add_all({{*only}});
    return found;
  }
  bool any_usable = false;
  for (const auto add_places :
       {add_own_places, add_loaded, add_toolkits, add_toolkits_of_releases, add_python_places}) {
    std::vector<Place> places;
    add_places(places);
    any_usable |= add_all(places);
    if (any_usable && extent == NvrtcSearch::first_usable) return found;
  }
  if (any_usable) return found;
  if (const auto library = library_of_loader()) add(*library);
  return found;
}

}  // namespace streamattn
