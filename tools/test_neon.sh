#!/usr/bin/env bash
# Compiles the inference library for 64-bit ARM (build/neon) and runs the tests of the kernels under
# emulation. On an ARM processor ./test does that and more, without emulation.
# Usage: tools/test_neon.sh. Exit status 0 when all compiles and every test passed.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install_packages.sh neon

echo "== Building (build/neon)"
cmake --preset neon
cmake --build --preset neon --target qg_engine kernels_test

echo "== Testing under emulation"
# A table that the processor cannot run is left out of the tests in silence.
if ! qemu-aarch64 -L /usr/aarch64-linux-gnu build/neon/kernels_test --gtest_list_tests | grep /neon >/dev/null; then
  echo "test_neon: the emulated processor has no dot products; is QEMU_CPU set?" >&2
  exit 1
fi
ctest --preset neon --no-tests=error -R '^kernels$'
echo "== Done after $SECONDS s"
