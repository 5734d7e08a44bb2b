# What find_package(streamattn CONFIG) reads: streamattn::streamattn (shared), streamattn::static.
include(${CMAKE_CURRENT_LIST_DIR}/streamattnTargets.cmake)
