# The few verbs with which every folder declares itself.

add_library(qg_flags INTERFACE)
target_compile_options(qg_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                          -Wno-sign-conversion)
# g++ 12 reports overlapping copies in its own std::string (GCC bug 105329).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(qg_flags INTERFACE -Wno-restrict)
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

# For code whose compile time is that of the headers of JSON, CLI11 and GoogleTest: several files are
# compiled as one, so that those are parsed and instantiated once for all, and optimised little. Names in
# anonymous namespaces must therefore differ between the files of one target.
# Under sanitizers less still: g++ takes their checks through every pass (docs/building.md).
set(QG_COLD_OPTIONS $<$<CONFIG:Release>:-O1>)
if(QWEN3GUARD_SANITIZE AND NOT QWEN3GUARD_FUZZ)
  set(QG_COLD_OPTIONS -Og)
endif()
function(qg_compile_cold target)
  target_compile_options(${target} PRIVATE ${QG_COLD_OPTIONS})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
endfunction()

# qg_add_library(tokens SOURCES a.cpp … DEPENDS base bytes …): one library a folder, target qg_<folder>.
# COLD: nothing in it runs more often than once a file or request.
function(qg_add_library name)
  cmake_parse_arguments(ARG "COLD" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  add_library(qg_${name} STATIC ${ARG_SOURCES})
  if(ARG_COLD)
    qg_compile_cold(qg_${name})
  endif()
  list(TRANSFORM ARG_DEPENDS PREPEND qg_)
  target_link_libraries(qg_${name} PUBLIC qg_flags ${ARG_DEPENDS} ${ARG_LINK})
endfunction()

# qg_uses_boost(http_server.cpp): a source file of this folder that includes Boost.Asio.
function(qg_uses_boost file)
  set_source_files_properties(${file} PROPERTIES
    COMPILE_OPTIONS "-Wno-conversion" SKIP_UNITY_BUILD_INCLUSION ON)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # A false one, from Asio's allocation of coroutines.
    set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS -Wno-mismatched-new-delete)
  elseif(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 17)
    # clang 14 has C++20's coroutines and does not say so to the standard library; with
    # sanitizers it cannot assemble them ("Cannot represent a difference across sections"). No fuzz
    # target opens a socket.
    set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS -D__cpp_impl_coroutine=201902L
                                                                -fno-sanitize=all)
  endif()
endfunction()

# qg_add_test(tokens SOURCES a_test.cpp … DEPENDS tokens …): one GoogleTest program a folder, listed by
# ctest test by test. Test data is found through QG_TEST_DATA (tests/golden) and QG_SOURCE_DIR. Compiling
# a test takes longer than running it, so tests are compiled cold; what they test is optimised fully.
function(qg_add_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  list(TRANSFORM ARG_DEPENDS PREPEND qg_)
  add_executable(${name}_test ${ARG_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPENDS} ${ARG_LINK} GTest::gtest GTest::gtest_main
                                             nlohmann_json::nlohmann_json)
  target_compile_definitions(${name}_test PRIVATE QG_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/golden"
                                                  QG_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                                  QG_BUILD_DIR="${CMAKE_BINARY_DIR}")
  target_include_directories(${name}_test PRIVATE ${CMAKE_SOURCE_DIR}/tests/support)
  qg_compile_cold(${name}_test)
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
