# cmake -DFOLDER=web/dist -DOUTPUT=page_files.cpp -P EmbedFiles.cmake: the built page as bytes in C++, so
# that the program needs no files beside it and its build no node.
file(GLOB_RECURSE names RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT names)
set(arrays "")
set(entries "")
set(count 0)
foreach(name IN LISTS names)
  file(READ ${FOLDER}/${name} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)"
                       "\\1\n" bytes "${bytes}")
  file(SHA256 ${FOLDER}/${name} digest)
  string(APPEND arrays "const unsigned char kFile${count}[] = {\n${bytes}};\n")
  string(APPEND entries "    {\"${name}\", \"${digest}\", kFile${count}, sizeof kFile${count}},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
// Made by cmake/EmbedFiles.cmake.
#include "server/page_files.h"

namespace qwen3guard::server {
namespace {

@arrays@
const PageFile kFiles[] = {
@entries@};

}  // namespace

std::span<const PageFile> page_files() { return kFiles; }

}  // namespace qwen3guard::server
]])
