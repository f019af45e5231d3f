#!/usr/bin/env bash
# Refuses an #include that the table of docs/architecture.md does not allow.
# Usage: tests/include_direction.sh [SOURCE_DIR]
# Prints every offending file:line; exit status 0 none, 1 some, 2 could not run.
set -euo pipefail

source_dir=${1:-$(dirname "$0")/..}
cd "$source_dir" || exit 2
if [[ ! -d src ]]; then
  echo "include_direction: no src/ in $source_dir; give the root of the repository" >&2
  exit 2
fi

# Folder of src/, then what it may include besides itself. What those may include comes with them.
table='
base:
bytes: base
tokens: bytes
kernels: base
model: kernels bytes
heads: model
verdict: base
policy: verdict bytes
engine: tokens heads policy verdict
intervention: engine
formats: engine
server: formats engine policy
gateway: server intervention
dataset: tokens verdict
training: dataset bytes verdict
evaluation: dataset engine policy
apps: formats gateway intervention dataset training evaluation
'
# Public header of include/qwen3guard/, then its folder: whoever may include the folder may include the
# header. "any": data and errors that everybody may name.
public='
result.h: any
conversation.h: any
verdict.h: any
weight_format.h: any
policy.h: policy
guard.h: engine
generator.h: engine
intervention.h: intervention
'

roots=()
for root in src include tests fuzz bench; do
  if [[ -d $root ]]; then roots+=("$root"); fi
done

{
  grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]' "${roots[@]}" \
    --include='*.h' --include='*.hpp' --include='*.inc' --include='*.cpp' --include='*.cc' || true
} | awk -v table="$table" -v public="$public" '
  function refuse(why) {
    printf "%s:%s: #include \"%s\": %s\n", file, line, target, why
    refused++
  }
  BEGIN {
    # Rows stand below the rows they may include, so one pass closes the relation.
    rows = split(table, row, "\n")
    for (i = 1; i <= rows; i++) {
      words = split(row[i], word, /[: ]+/)
      if (words == 0 || word[1] == "") continue
      folder = word[1]
      known[folder] = 1
      may[folder, folder] = 1
      for (j = 2; j <= words; j++) {
        if (word[j] == "") continue
        for (other in known) if (may[word[j], other]) may[folder, other] = 1
      }
    }
    rows = split(public, row, "\n")
    for (i = 1; i <= rows; i++) if (split(row[i], word, /[: ]+/) >= 2) layer[word[1]] = word[2]
  }
  {
    if (!match($0, /:[0-9]+:/)) next
    file = substr($0, 1, RSTART - 1)
    line = substr($0, RSTART + 1, RLENGTH - 2)
    target = substr($0, RSTART + RLENGTH)
    sub(/^[^<"]*[<"]/, "", target)
    sub(/[>"].*$/, "", target)
    parts = split(target, part, "/")
    split(file, at, "/")
    included++

    if (target ~ /^(torch|ATen|c10|caffe2)\//) {
      if (file !~ /^(src|tests)\/training\//) refuse("libtorch belongs in src/training only")
      next
    }
    if (at[1] != "src" && at[1] != "include") next  # tests, fuzz and bench may include everything else

    if (at[1] == "include") {
      folder = layer[at[3]]
      if (folder == "") { refuse("give " at[3] " a folder in tests/include_direction.sh"); next }
      # A header for everybody must not bring a folder along.
      if (folder == "any") folder = "base"
    } else {
      folder = at[2]
      if (!known[folder]) { refuse("src/" folder " is not in the table of folders"); next }
    }

    if (part[1] == "." || part[1] == ".." || target ~ /\/\.\.?\//) {
      refuse("name files from src/ or include/, without . and ..")
    } else if (part[1] == "qwen3guard") {
      owner = layer[part[2]]
      if (owner == "") refuse("give " part[2] " a folder in tests/include_direction.sh")
      else if (owner != "any" && !may[folder, owner]) refuse(folder " may not include " owner)
    } else if (known[part[1]] && parts > 1) {
      if (at[1] == "include") refuse("public headers include only public headers")
      else if (!may[folder, part[1]]) refuse(folder " may not include " part[1])
    }
  }
  END {
    if (refused) {
      printf "include_direction: %d of %d includes point the wrong way; docs/architecture.md has the table\n",
             refused, included
      exit 1
    }
    printf "include_direction: %d includes, none points the wrong way\n", included
  }'
