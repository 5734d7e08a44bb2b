# streamattn_module(name sources...): the static library of one top-level folder.
function(streamattn_module name)
  add_library(streamattn_${name} STATIC ${ARGN})
  target_include_directories(streamattn_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include
                                                       ${PROJECT_SOURCE_DIR})
  streamattn_warnings(streamattn_${name})
endfunction()

function(streamattn_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow
                         -Wno-missing-field-initializers -Wno-psabi)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # Wrong about inlined std::string and std::vector: GCC bugs 105651 and 107852.
    target_compile_options(${target} PRIVATE -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)
  endif()
  if(STREAMATTN_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
