# What find_package(streamattn CONFIG) reads: streamattn::streamattn (shared), streamattn::static.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/streamattnTargets.cmake)
