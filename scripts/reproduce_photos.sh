#!/usr/bin/env bash
# Reproduce the fashion benchmark from its pixels: fine-tune published weights on the training photos,
# extract regions, train all models, and compare the scores with recipes/expected.yaml.
#
#   scripts/reproduce_photos.sh FASHION OUT [--quick]
#
# FASHION holds photos.parquet, train.pairs.tsv, valid.pairs.tsv, valid_answer.json and
# testA.pairs.tsv. With --quick, one small network and two models are trained in about ten minutes,
# and nothing is compared. After an interruption, the same command resumes.
set -euo pipefail
fashion=$1 out=$2 quick=${3:-}
here=$(dirname "${BASH_SOURCE[0]}")
learning=(--learning.sizes 128 96) training=()
if [ "$quick" = --quick ]; then
  learning=(--learning.sizes 64 --learning.epochs 4)
  training=(--stages photo-label dual --set dual.towers=1 dual.train.epochs=4 dual.phase2_epochs=1)
fi

# 1. A table of the photos, the click log, and the pools with their answers.
[ -f "$out/shop/valid_answer.json" ] || python "$here/fashion_photos.py" "$fashion" "$out/shop"

# 2. Fine-tuned regions; an existing prepared folder is left unchanged.
shop=$out/shop
shopsight prepare photos "$shop/products.parquet" --out "$out/data" --text title --max-regions 10 \
  --split-column split --clicks "$shop/clicks.tsv" --pools "$shop/valid.tsv" "$shop/testA.tsv" \
  --learn "${learning[@]}"

# 3. All models, runs, ensemble, submissions and report.
resume=(); [ -f "$out/run/run.json" ] && resume=(--resume)
shopsight train "$out/data" --recipe fashion-photos --out "$out/run" "${training[@]}" "${resume[@]}"

# 4. Measured and expected scores.
[ "$quick" = --quick ] || python "$here/check_expected.py" fashion-photos "$out/data" "$out/run"
