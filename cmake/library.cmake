# The streamattn library: every module in one shared and one static library; how it is installed.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(objects $<TARGET_OBJECTS:streamattn_support> $<TARGET_OBJECTS:streamattn_compiler>
            $<TARGET_OBJECTS:streamattn_runtime>)

# LLVM is linked in and hidden. Threads of the CPU target stay, and so must their code: nodelete.
set(exports ${PROJECT_SOURCE_DIR}/cmake/exports.map)
add_library(streamattn SHARED ${objects})
set_target_properties(streamattn PROPERTIES LINKER_LANGUAGE CXX LINK_DEPENDS ${exports}
                      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_options(streamattn PRIVATE
  LINKER:--as-needed LINKER:--gc-sections LINKER:--exclude-libs,ALL LINKER:-z,nodelete
  LINKER:--version-script=${exports})
target_link_libraries(streamattn PRIVATE streamattn_llvm PkgConfig::HWY)

# The static library contains LLVM's archives, so that its users need none of LLVM's packages. The
# script starts it anew: what GNU's ar and LLVM's have in common can not append to it.
add_library(streamattn_static STATIC ${objects})
set_target_properties(streamattn_static PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME streamattn
                                                   EXPORT_NAME static)
set(merge "CREATE $<TARGET_FILE:streamattn_static>\n")
foreach(part streamattn_support streamattn_compiler streamattn_runtime LLVMSupport LLVMDemangle)
  string(APPEND merge "ADDLIB $<TARGET_FILE:${part}>\n")
endforeach()
file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/merge.mri CONTENT "${merge}SAVE\nEND\n")
add_custom_command(TARGET streamattn_static POST_BUILD
                   COMMAND ${CMAKE_AR} -M < ${PROJECT_BINARY_DIR}/merge.mri)
add_dependencies(streamattn_static streamattn_support streamattn_compiler streamattn_runtime)
target_link_libraries(streamattn_static INTERFACE hwy ${LLVM_NEEDS})

foreach(library streamattn streamattn_static)
  target_compile_features(${library} INTERFACE cxx_std_20)
  target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
add_library(streamattn::streamattn ALIAS streamattn)
add_library(streamattn::static ALIAS streamattn_static)

# find_package(streamattn 0.1 CONFIG)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/streamattn)
install(TARGETS streamattn streamattn_static EXPORT streamattn)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/streamattn DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT streamattn NAMESPACE streamattn:: FILE streamattnTargets.cmake
        DESTINATION ${package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/cmake/streamattnConfig.cmake DESTINATION ${package_dir})
write_basic_package_version_file(streamattnConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/streamattnConfigVersion.cmake DESTINATION ${package_dir})

# pkg-config: the prefix is found from the file's own place, so that a tree can be moved.
file(RELATIVE_PATH up_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
set(private_libraries "-lhwy -lstdc++ -lpthread")
if(LLVM_ENABLE_TERMINFO)
  string(APPEND private_libraries " -ltinfo")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/streamattn.pc.in streamattn.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/streamattn.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
