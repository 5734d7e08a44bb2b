# The streamattn library: every module in one shared and one static library; how it is installed.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(objects $<TARGET_OBJECTS:streamattn_support> $<TARGET_OBJECTS:streamattn_compiler>
            $<TARGET_OBJECTS:streamattn_shipped> $<TARGET_OBJECTS:streamattn_runtime>
            $<TARGET_OBJECTS:streamattn_measure> $<TARGET_OBJECTS:streamattn_autotune>)

# LLVM is linked in and hidden. Threads of the CPU target stay, and so must their code: nodelete.
set(exports ${PROJECT_SOURCE_DIR}/cmake/exports.map)
add_library(streamattn SHARED ${objects})
set_target_properties(streamattn PROPERTIES LINKER_LANGUAGE CXX LINK_DEPENDS ${exports}
                      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_options(streamattn PRIVATE
  LINKER:--as-needed LINKER:--gc-sections LINKER:--exclude-libs,ALL LINKER:-z,nodelete
  LINKER:--version-script=${exports})
target_link_libraries(streamattn PRIVATE streamattn_llvm)

# The static library is one object, in which LLVM, linked in, and all that is not public are local: a
# program may use another LLVM beside it.
set(static_object ${PROJECT_BINARY_DIR}/streamattn.o)
set(static_exports ${PROJECT_SOURCE_DIR}/cmake/static_exports.txt)
add_custom_command(
  OUTPUT ${static_object}
  COMMAND ${CMAKE_COMMAND} -E env LD=${CMAKE_LINKER} NM=${CMAKE_NM} OBJCOPY=${CMAKE_OBJCOPY}
          ${PROJECT_SOURCE_DIR}/cmake/merge_static ${static_object} ${static_exports}
          $<TARGET_FILE:streamattn_autotune> $<TARGET_FILE:streamattn_measure>
          $<TARGET_FILE:streamattn_runtime> $<TARGET_FILE:streamattn_shipped>
          $<TARGET_FILE:streamattn_compiler> $<TARGET_FILE:streamattn_support>
          $<TARGET_FILE:LLVMSupport> $<TARGET_FILE:LLVMDemangle>
  DEPENDS streamattn_autotune streamattn_measure streamattn_runtime streamattn_shipped
          streamattn_compiler streamattn_support
          ${PROJECT_SOURCE_DIR}/cmake/merge_static ${static_exports}
  COMMENT "Merging the static library" VERBATIM)
add_library(streamattn_static STATIC ${static_object})
set_source_files_properties(${static_object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(streamattn_static PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME streamattn
                                                   EXPORT_NAME static)
# By name, for a project that is written in C and links with the C compiler.
set(static_needs stdc++ m pthread ${CMAKE_DL_LIBS})
if(LLVM_ENABLE_TERMINFO)
  list(APPEND static_needs tinfo)
endif()
target_link_libraries(streamattn_static INTERFACE ${static_needs})

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
list(TRANSFORM static_needs PREPEND "-l" OUTPUT_VARIABLE private_libraries)
list(JOIN private_libraries " " private_libraries)
configure_file(${PROJECT_SOURCE_DIR}/cmake/streamattn.pc.in streamattn.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/streamattn.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/THIRD_PARTY_NOTICES
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
