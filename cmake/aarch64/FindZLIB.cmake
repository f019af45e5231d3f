# The header alone, in /usr/include.
if(NOT TARGET ZLIB::ZLIB)
  add_library(ZLIB::ZLIB INTERFACE IMPORTED)
endif()
set(ZLIB_FOUND TRUE)
