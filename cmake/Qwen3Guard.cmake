# The few verbs with which every folder declares itself.

add_library(qg_flags INTERFACE)
target_compile_options(qg_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                          -Wno-sign-conversion)
# g++ 12 reports overlapping copies in its own std::string (GCC bug 105329). ccache needs
# -fpch-preprocess to see through precompiled headers.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(qg_flags INTERFACE -Wno-restrict -fpch-preprocess)
endif()
# Every 64-bit ARM processor fuses multiply-adds, and g++ would use them wherever it likes: results could
# depend on how a loop was compiled. A fused one stands only where the code says so.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  target_compile_options(qg_flags INTERFACE -ffp-contract=off)
endif()
target_include_directories(qg_flags INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
if(QWEN3GUARD_SANITIZE)
  target_compile_options(qg_flags INTERFACE -fsanitize=${QWEN3GUARD_SANITIZE} -fno-omit-frame-pointer
                                            -fno-sanitize-recover=all)
  target_link_options(qg_flags INTERFACE -fsanitize=${QWEN3GUARD_SANITIZE})
endif()
if(QWEN3GUARD_FUZZ)
  target_compile_options(qg_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# qg_add_library(tokens SOURCES a.cpp … DEPENDS base bytes …): one library a folder, target qg_<folder>.
function(qg_add_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  add_library(qg_${name} STATIC ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND qg_)
  target_link_libraries(qg_${name} PUBLIC qg_flags ${ARG_DEPENDS} ${ARG_LINK})
endfunction()

# Tests spend most of their compile time on the headers of GoogleTest and JSON: parsed once, for all.
set(QG_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)
function(qg_precompile_test_headers)
  add_library(qg_test_headers OBJECT ${CMAKE_SOURCE_DIR}/tests/support/headers.cpp)
  target_link_libraries(qg_test_headers PRIVATE qg_flags GTest::gtest nlohmann_json::nlohmann_json)
  target_compile_options(qg_test_headers PRIVATE ${QG_TEST_OPTIONS})
  target_precompile_headers(qg_test_headers PRIVATE <gtest/gtest.h> <nlohmann/json.hpp>)
endfunction()

# qg_add_test(tokens SOURCES a_test.cpp … DEPENDS tokens …): one GoogleTest program a folder, listed by
# ctest test by test. Test data is found through QG_TEST_DATA (tests/golden) and QG_SOURCE_DIR. Compiling
# a test takes longer than running it, so tests are optimised little; what they test is optimised fully.
function(qg_add_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  list(TRANSFORM ARG_DEPENDS PREPEND qg_)
  add_executable(${name}_test ${ARG_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPENDS} ${ARG_LINK} GTest::gtest GTest::gtest_main
                                             nlohmann_json::nlohmann_json)
  target_compile_definitions(${name}_test PRIVATE QG_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/golden"
                                                  QG_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                                  QG_BUILD_DIR="${CMAKE_BINARY_DIR}")
  target_compile_options(${name}_test PRIVATE ${QG_TEST_OPTIONS})
  target_precompile_headers(${name}_test REUSE_FROM qg_test_headers)
  add_test(NAME ${name} COMMAND ${name}_test)
endfunction()

# qg_add_fuzz_target(safetensors DEPENDS bytes): fuzz/<name>_fuzz.cpp, seeds in fuzz/corpus/<name>.
function(qg_add_fuzz_target name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  list(TRANSFORM ARG_DEPENDS PREPEND qg_)
  add_executable(${name}_fuzz ${name}_fuzz.cpp)
  target_link_libraries(${name}_fuzz PRIVATE ${ARG_DEPENDS})
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
endfunction()
