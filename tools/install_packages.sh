#!/usr/bin/env bash
# Installs the Debian packages that a task needs and that are missing; says nothing when none is.
# Usage: tools/install_packages.sh build|test|fuzz|format|training|neon...
set -euo pipefail

build=(g++ cmake ninja-build ccache nlohmann-json3-dev libsimdjson-dev libcli11-dev zlib1g-dev
  libboost1.81-dev libssl-dev)
tests=(libgtest-dev libgmock-dev python3)
fuzz=(clang-14 libclang-rt-14-dev llvm-14)
format=(clang-format-14 clang-tidy-14)
training=(libtorch-dev libopenblas-openmp-dev)
neon=(g++-aarch64-linux-gnu qemu-user)

wanted=()
for group in "$@"; do
  case $group in
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${build[@]}" "${tests[@]}") ;;
    fuzz) wanted+=("${build[@]}" "${fuzz[@]}") ;;
    format) wanted+=("${format[@]}") ;;
    training) wanted+=("${build[@]}" "${training[@]}") ;;
    neon) wanted+=("${build[@]}" "${tests[@]}" "${neon[@]}") ;;
    *)
      echo "install_packages: no group '$group'; there are build, test, fuzz, format, training and neon" >&2
      exit 2
      ;;
  esac
done
if ((${#wanted[@]} == 0)); then
  echo "usage: $0 build|test|fuzz|format|training|neon..." >&2
  exit 2
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install_packages: not a Debian system; make sure that you have: ${wanted[*]}" >&2
  exit 0
fi

# Unknown packages are left out of the answer, removed ones say "config-files".
installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for package in "${wanted[@]}"; do
  if [[ $'\n'$installed$'\n' != *$'\n'"installed $package"$'\n'* ]]; then missing+=("$package"); fi
done
if ((${#missing[@]} == 0)); then exit 0; fi

root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "install_packages: there is no sudo here; as root, run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  root=(sudo)
fi
echo "Installing packages: ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Nobody is there to answer questions, and the many lines matter only when something goes wrong.
install() {
  "${root[@]}" apt-get update </dev/null >"$log" 2>&1 &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      "${missing[@]}" </dev/null >"$log" 2>&1
}
if ! install; then
  tail -n 20 "$log" >&2
  echo "install_packages: apt-get failed; check the network, or install by hand: ${missing[*]}" >&2
  exit 1
fi
