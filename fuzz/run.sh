#!/usr/bin/env bash
# Builds the fuzz targets and runs each for a while, starting from its seeds in fuzz/corpus and from what
# earlier runs found. Exit status 1 when any target has a finding.
# Usage: fuzz/run.sh [SECONDS_EACH] [TARGET...]     (60 seconds, all targets)
#        FUZZ_BUILD=DIR fuzz/run.sh …               to use another build folder than build/fuzz
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
if (($# > 0)); then shift; fi
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: fuzz/run.sh [SECONDS_EACH] [TARGET...]; '$seconds' is not a number of seconds" >&2
  exit 2
fi

tools/install_packages.sh fuzz
build=${FUZZ_BUILD:-build/fuzz}
if [[ -z ${FUZZ_BUILD:-} ]]; then
  cmake --preset fuzz
  cmake --build --preset fuzz --target fuzzers
fi

mapfile -t all <"$build/fuzz_targets.txt"
targets=("$@")
if ((${#targets[@]} == 0)); then targets=("${all[@]}"); fi

failed=()
for target in "${targets[@]}"; do
  program=$build/${target}_fuzz
  if [[ ! -x $program ]]; then
    echo "fuzz/run.sh: no target '$target'; there are: ${all[*]}" >&2
    exit 2
  fi
  # New inputs go to the first folder: the seeds in the repository stay as they are.
  corpus=$build/corpus/$target
  findings=$build/findings/$target
  mkdir -p "$corpus" "$findings"
  folders=("$corpus")
  if [[ -d fuzz/corpus/$target ]]; then folders+=("fuzz/corpus/$target"); fi
  options=(-max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 -max_len=65536
    -artifact_prefix="$findings/" -print_final_stats=1 -verbosity=1)
  if [[ -f fuzz/corpus/$target.dict ]]; then options+=(-dict="fuzz/corpus/$target.dict"); fi

  echo "== $target: $seconds s"
  log=$build/$target.log
  if ! "$program" "${options[@]}" "${folders[@]}" >"$log" 2>&1 </dev/null; then
    tail -n 60 "$log"
    echo "== $target: FINDING, the input is in $findings; the whole log is $log"
    failed+=("$target")
    continue
  fi
  grep -E '^stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)' "$log" || true
  grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [^ ]+' "$log" | tail -n 1 || true
done

if ((${#failed[@]} > 0)); then
  echo "fuzz/run.sh: findings in: ${failed[*]}"
  exit 1
fi
echo "fuzz/run.sh: ${#targets[@]} targets, no finding"
