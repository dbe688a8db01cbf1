#!/usr/bin/env bash
# Ablations of word match, one change per run. Pretraining is copied from BASE, a run of the same recipe,
# unless the change affects it.
#
#   scripts/ablations.sh DATA BASE OUT [RECIPE]
set -euo pipefail
data=$1 base=$2 out=$3 recipe=${4:-fashion}

ablate() { # name, settings
  local run=$out/$1; shift
  [ -f "$run/runs/valid-word-match.json" ] && return
  local resume=(); [ -f "$run/run.json" ] && resume=(--resume)
  shopsight train "$data" --recipe "$recipe" --stages label-match word-match --out "$run" \
    --reuse "$base" "${resume[@]}" --quiet --set "$@"
}

ablate none                  word_match.dropout=0.1
ablate no-pretraining        word_match.pretrained=false
ablate no-hardest-negative   word_match.hardest=false
ablate random-negatives      word_match.negatives=random
ablate uniform-weights       word_match.uniform_weights=true
ablate one-label-head        encoder.label_heads=1
ablate trunk-not-cached      word_match.cache_trunk=false
ablate trunk-with-dropout    word_match.cache_trunk=false word_match.trunk_dropout=true
ablate softmax               word_match.loss=softmax word_match.scale=1

mkdir -p "$out/runs"
for run in "$out"/*/runs/valid-word-match.json; do
  name=${run#"$out"/}
  cp "$run" "$out/runs/${name%%/*}.json"
done
shopsight compare "$out"/runs/*.json --answers "$data/answers-valid.json"
