# Outside libraries, all as packages: LLVM ADT and Support, toml++, Highway, threads.
if(NOT LLVM_DIR)
  foreach(version 19 20 21 22 18 17 16 15)
    list(APPEND CMAKE_PREFIX_PATH /usr/lib/llvm-${version})
  endforeach()
endif()
find_package(LLVM REQUIRED CONFIG)
if(LLVM_VERSION_MAJOR LESS 15)
  message(FATAL_ERROR "LLVM ${LLVM_VERSION} in ${LLVM_DIR} is too old: 15 or newer is needed")
endif()
message(STATUS "LLVM ${LLVM_VERSION} in ${LLVM_DIR}")
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
find_path(HIGHWAY_INCLUDE_DIR hwy/highway.h REQUIRED)
find_package(Threads REQUIRED)

# ADT and Support, linked statically; nothing else of LLVM. The archives are named by themselves,
# because the packages that LLVM says they need (zlib, zstd, z3) serve parts that we do not call.
set(LLVM_NEEDS Threads::Threads ${CMAKE_DL_LIBS})
if(LLVM_ENABLE_TERMINFO)  # LLVM 18 and older ask terminfo whether a terminal has colours.
  list(APPEND LLVM_NEEDS tinfo)
endif()
add_library(streamattn_llvm INTERFACE)
target_include_directories(streamattn_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
target_compile_definitions(streamattn_llvm INTERFACE ${LLVM_DEFINITIONS_LIST})
target_link_libraries(streamattn_llvm INTERFACE $<TARGET_FILE:LLVMSupport>
                                               $<TARGET_FILE:LLVMDemangle> ${LLVM_NEEDS})

# toml++ as headers, for the one file that uses it: distributions build it as a shared library.
add_library(streamattn_toml INTERFACE)
target_include_directories(streamattn_toml SYSTEM INTERFACE ${TOMLPLUSPLUS_INCLUDE_DIR})
target_compile_definitions(streamattn_toml INTERFACE TOML_HEADER_ONLY=1)

# Highway as headers; runtime/cpu/highway.cpp stands for the library that goes with them.
add_library(streamattn_highway INTERFACE)
target_include_directories(streamattn_highway SYSTEM INTERFACE ${HIGHWAY_INCLUDE_DIR})

# Boost.Context, fibers for the emulator. The emulator is off where it is missing, and under
# sanitizers, which take a switch of stacks for a fault.
set(Boost_USE_STATIC_LIBS ON)  # the shared one is of one exact version
find_package(Boost 1.74 QUIET CONFIG COMPONENTS context)
set(can_emulate OFF)
# LLVM 15 still has llvm::Optional where the emulator starts the host compiler.
if(TARGET Boost::context AND NOT STREAMATTN_SANITIZE AND LLVM_VERSION_MAJOR GREATER 15)
  set(can_emulate ON)
endif()
option(STREAMATTN_EMULATOR "Build the emulator, which runs kernels on the CPU" ${can_emulate})
