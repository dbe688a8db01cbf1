#!/usr/bin/env bash
# Reproduce the results of a recipe: prepare, train all stages, train the dual encoder with two more
# seeds, and compare the scores with recipes/expected.yaml where it has the recipe.
#
#   scripts/reproduce.sh RAW OUT [RECIPE [PREPARE-OPTION...]]
#
# RAW is a raw folder (train/train.tsv, valid/valid.tsv, valid/valid_answer.json, ...), OUT the output
# folder, RECIPE "fashion" by default, or a YAML file. A recipe with the word vectors of a published
# model is prepared with the tokenizer of that model. After an interruption, the same command resumes.
set -euo pipefail
raw=$1 out=$2 recipe=${3:-fashion}
here=$(dirname "${BASH_SOURCE[0]}")

# 1. The prepared data set; an existing one is left unchanged.
vectors=$(python -c 'import sys; from shopsight.config.recipes import load_recipe
print(load_recipe(sys.argv[1]).words.source)' "$recipe")
tokenizer=(); [ "$vectors" = learned ] || tokenizer=(--tokenizer "$vectors")
shopsight prepare kddcup "$raw" --out "$out/data" "${tokenizer[@]}" "${@:4}"

# 2. All stages, runs, ensemble, submissions and report, in OUT/run.
resume=(); [ -f "$out/run/run.json" ] && resume=(--resume)
shopsight train "$out/data" --recipe "$recipe" --out "$out/run" "${resume[@]}"

# 3. The dual encoder with two more seeds.
for seed in 1 2; do
  run=$out/dual-seed$seed
  resume=(); [ -f "$run/run.json" ] && resume=(--resume)
  shopsight train "$out/data" --recipe "$recipe" --stages dual --set seed=$seed --out "$run" \
    "${resume[@]}"
done

# 4. Measured and expected scores.
python "$here/check_expected.py" "$recipe" "$out/data" "$out/run" "$out"/dual-seed[12]
