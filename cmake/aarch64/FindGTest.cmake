# From the sources in libgtest-dev, which define the target GTest::gtest.
add_subdirectory(/usr/src/googletest googletest EXCLUDE_FROM_ALL)
target_compile_options(gtest PRIVATE -Wno-restrict)  # GCC bug 105329, as in Qwen3Guard.cmake
set(GTest_FOUND TRUE)
