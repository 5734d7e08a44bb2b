# Writes OUTPUT, a header with the commit of the tree SOURCE: "1a2b3c4", "1a2b3c4-dirty", or "" where
# there is no git or no repository.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --exclude *
                OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
set(text "// The commit that was built.\n#define STREAMATTN_COMMIT \"${commit}\"\n")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT text STREQUAL old)
  file(WRITE ${OUTPUT} "${text}")
endif()
