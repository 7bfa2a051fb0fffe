#!/usr/bin/env bash
# The fixed-budget track: the same photographs, references, iterations, batch, crop, optimiser and loss for every method.
#
#   train.sh PHOTOS SCENES OUT      PHOTOS: folder of photos; SCENES: folder with one folder of photos per scene
#
# Two to three hours on one CPU core. Stopped at any point, the same command goes on.
set -euo pipefail
photos=$1 scenes=$2 out=$3
student=$(python -c "from c2matching.checkpoints import BUNDLED; print(BUNDLED)")
common=(--data "$photos" --data "$scenes" --data "$scenes" --student "$student" --recipe small-cpu --device cpu
    --set crop=96 --set ramp=50 --set run.validation=8 --set run.validate_every=200)

stage() { # stage NAME ARGUMENT ...
    local folder=$out/$1
    shift
    [ -e "$folder/done" ] && return
    local resume=()
    [ -e "$folder/checkpoint.pt" ] && resume=(--resume)
    refsr-bench train "$@" "${common[@]}" --out "$folder" "${resume[@]}"
    touch "$folder/done"
}

for method in srcnn edsr srntt-rec ttsr-rec; do
    stage "$method" "$method" --small --budget 500 --name "$method fixed-budget-500"
done
stage c2matching c2matching restoration --set iterations=500

weights=()
for method in srcnn edsr srntt-rec ttsr-rec c2matching; do
    packed=$out/$method-fixed-budget-500.safetensors
    refsr-bench weights pack "$out/$method/last.safetensors" --out "$packed" --overwrite
    weights+=(--method "$method" --weights "$method=$packed")
done
refsr-bench run "${weights[@]}" --method bicubic --dataset sample --out "$out/results"
