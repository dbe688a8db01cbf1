#!/usr/bin/env bash
# One change a row: what each part of word match is worth. Pretraining is taken over from BASE, a
# run of the same recipe, wherever the change leaves it as it is.
#
#   scripts/ablations.sh DATA BASE OUT [RECIPE]
set -euo pipefail
data=$1 base=$2 out=$3 recipe=${4:-fashion}

row() { # name, then settings
  local run=$out/$1; shift
  [ -f "$run/runs/valid-word-match.json" ] && return
  local resume=(); [ -f "$run/run.json" ] && resume=(--resume)
  shopsight train "$data" --recipe "$recipe" --stages label-match word-match --out "$run" \
    --reuse "$base" "${resume[@]}" --quiet --set "$@"
}

row as-is                 word_match.dropout=0.1
row no-pretraining        word_match.pretrained=false
row no-hardest-negative   word_match.hardest=false
row random-negatives      word_match.negatives=random
row uniform-weights       word_match.uniform_weights=true
row one-label-head        encoder.label_heads=1
row trunk-not-cached      word_match.cache_trunk=false
row trunk-with-dropout    word_match.cache_trunk=false word_match.trunk_dropout=true
row softmax               word_match.loss=softmax word_match.scale=1

mkdir -p "$out/runs"
for run in "$out"/*/runs/valid-word-match.json; do
  name=${run#"$out"/}
  cp "$run" "$out/runs/${name%%/*}.json"
done
shopsight compare "$out"/runs/*.json --answers "$data/answers-valid.json"
