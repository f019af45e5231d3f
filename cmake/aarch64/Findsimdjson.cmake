# The header alone, in /usr/include.
if(NOT TARGET simdjson::simdjson)
  add_library(simdjson::simdjson INTERFACE IMPORTED)
endif()
set(simdjson_FOUND TRUE)
