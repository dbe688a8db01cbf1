#!/usr/bin/env bash
# From raw files to the headline table: every stage, the best model under three seeds, and a check
# of the scores against recipes/expected.yaml.
#
#   scripts/reproduce.sh RAW OUT [RECIPE]
#
# RAW is a raw folder (train/train.tsv, valid/valid.tsv, valid/valid_answer.json, ...), OUT where
# everything goes, RECIPE "fashion" unless said otherwise. Cut short, the same line goes on.
set -euo pipefail
raw=$1 out=$2 recipe=${3:-fashion}
here=$(dirname "${BASH_SOURCE[0]}")

# 1. Every product once, in memory-mapped arrays; a folder that is there already is left as it is.
shopsight prepare kddcup "$raw" --out "$out/data"

# 2. All stages, runs, ensemble, submissions and report: OUT/run.
resume=(); [ -f "$out/run/run.json" ] && resume=(--resume)
shopsight train "$out/data" --recipe "$recipe" --out "$out/run" "${resume[@]}"

# 3. The best single model once more, under two other seeds.
for seed in 1 2; do
  run=$out/dual-seed$seed
  resume=(); [ -f "$run/run.json" ] && resume=(--resume)
  shopsight train "$out/data" --recipe "$recipe" --stages dual --set seed=$seed --out "$run" \
    "${resume[@]}"
done

# 4. What was expected, and what came out.
python "$here/check_expected.py" "$recipe" "$out/data" "$out/run" "$out"/dual-seed[12]
