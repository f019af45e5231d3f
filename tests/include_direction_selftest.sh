#!/usr/bin/env bash
# Proves on made-up trees that tests/include_direction.sh refuses what it should and nothing else.
set -euo pipefail

check=$(cd "$(dirname "$0")" && pwd)/include_direction.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# try REFUSED|ALLOWED FILE INCLUDE: a tree with this one include.
try() {
  local expected=$1 file=$2 include=$3 tree=$scratch/tree found output
  rm -rf "$tree"
  mkdir -p "$tree/src" "$tree/$(dirname "$file")"
  printf '// A comment.\n#include %s\n' "$include" >"$tree/$file"
  if output=$("$check" "$tree"); then found=ALLOWED; else found=REFUSED; fi
  if [[ $found != "$expected" ]]; then
    echo "$file: #include $include: expected $expected, found $found: $output" >&2
    failures=$((failures + 1))
  elif [[ $found == REFUSED && $output != *"$file:2: "* ]]; then
    echo "$file: the message names another place: $output" >&2
    failures=$((failures + 1))
  fi
}

# A folder and what it may include, directly and through others.
try ALLOWED src/base/a.cpp '"base/a.h"'
try ALLOWED src/tokens/a.cpp '"bytes/json.h"'
try ALLOWED src/heads/a.cpp '"kernels/a.h"'
try ALLOWED src/engine/a.cpp '"base/check.h"'
try ALLOWED src/evaluation/a.cpp '"policy/a.h"'
try ALLOWED src/apps/a.cpp '"server/a.h"'
try ALLOWED src/gateway/a.cpp '"server/a.h"'
try ALLOWED src/tokens/a.cpp '"tables.inc"'
try ALLOWED src/tokens/a.cpp '<vector>'
try ALLOWED src/bytes/a.cpp '<nlohmann/json.hpp>'

# Upwards, sideways, and in disguise.
try REFUSED src/base/a.h '"bytes/json.h"'
try REFUSED src/bytes/a.cpp '"tokens/tokenizer.h"'
try REFUSED src/kernels/a.cpp '"bytes/json.h"'
try REFUSED src/verdict/a.cpp '"bytes/json.h"'
try REFUSED src/heads/a.cpp '"tokens/tokenizer.h"'
try REFUSED src/policy/a.cpp '"engine/a.h"'
try REFUSED src/engine/a.cpp '"dataset/a.h"'
try REFUSED src/server/a.cpp '"dataset/a.h"'
try REFUSED src/server/a.cpp '"gateway/a.h"'
try REFUSED src/training/a.cpp '"engine/a.h"'
try REFUSED src/training/a.cpp '"model/a.h"'
try REFUSED src/base/a.h '<bytes/json.h>'
try REFUSED src/base/sub/a.inc '"bytes/json.h"'
try REFUSED src/base/a.h '"../bytes/json.h"'
try REFUSED src/base/a.h '"base/../bytes/json.h"'
try REFUSED src/unheard/a.cpp '"base/a.h"'

# Public headers.
try ALLOWED src/kernels/a.cpp '"qwen3guard/result.h"'
try ALLOWED src/bytes/a.cpp '"qwen3guard/verdict.h"'
try ALLOWED src/engine/a.cpp '"qwen3guard/guard.h"'
try REFUSED src/model/a.cpp '"qwen3guard/guard.h"'
try ALLOWED include/qwen3guard/guard.h '"qwen3guard/policy.h"'
try REFUSED src/dataset/a.cpp '"qwen3guard/policy.h"'
try REFUSED src/apps/a.cpp '"qwen3guard/unheard.h"'
try ALLOWED include/qwen3guard/guard.h '"qwen3guard/verdict.h"'
try REFUSED include/qwen3guard/verdict.h '"qwen3guard/guard.h"'
try REFUSED include/qwen3guard/guard.h '"engine/a.h"'
try REFUSED include/qwen3guard/unheard.h '<string>'

# libtorch.
try ALLOWED src/training/a.cpp '<torch/torch.h>'
try ALLOWED tests/training/a.cpp '<torch/torch.h>'
try REFUSED src/apps/a.cpp '<torch/torch.h>'
try REFUSED src/engine/a.cpp '"ATen/ATen.h"'
try REFUSED bench/a.cpp '<torch/torch.h>'

# Tests may include everything else.
try ALLOWED tests/base/a.cpp '"engine/a.h"'

if ((failures > 0)); then
  echo "include_direction_selftest: $failures failures" >&2
  exit 1
fi
echo "include_direction_selftest: all as expected"
