# streamattn_embed(OUTPUT file.cpp FUNCTION name ROOT dir FILES a b ...): text files as a table that
# `std::span<const EmbeddedFile> name()` returns, each under its path below ROOT.
function(streamattn_embed)
  cmake_parse_arguments(ARG "" "OUTPUT;FUNCTION;ROOT" "FILES" ${ARGN})
  string(JOIN "," files ${ARG_FILES})
  add_custom_command(
    OUTPUT ${ARG_OUTPUT}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${ARG_OUTPUT} -DFUNCTION=${ARG_FUNCTION} -DROOT=${ARG_ROOT}
            "-DFILES=${files}" -P ${PROJECT_SOURCE_DIR}/cmake/embed_files.cmake
    DEPENDS ${ARG_FILES} ${PROJECT_SOURCE_DIR}/cmake/embed_files.cmake
    VERBATIM)
endfunction()
