#!/usr/bin/env bash
# How c2matching-nano-v2 was trained, in three rounds, on two CPU cores; see MODEL_CARD.md.
#
#   train.sh PHOTOS SCENES OUT      PHOTOS: folder of photos; SCENES: folder with one folder of photos per scene
#
# Stopped at any point, the same command goes on. The first round's weights (v1) came from an earlier form of this
# program with the same settings, and the mirrored taps that were then the only ones.
set -euo pipefail
photos=$1 scenes=$2 out=$3

stage() { # stage FOLDER STAGE OPTION ...
    local folder=$out/$1 stage=$2
    shift 2
    [ -e "$folder/done" ] && return
    local resume=()
    [ -e "$folder/checkpoint.pt" ] && resume=(--resume)
    refsr-bench train c2matching "$stage" --data "$photos" --data "$scenes" --recipe small-cpu --out "$folder" \
        "$@" "${resume[@]}"
    touch "$folder/done"
}

# Round 1, from random weights: 1.7 hours.
stage teacher teacher
stage student student --teacher "$out/teacher/last.safetensors"
stage v1 restoration --student "$out/student/last.safetensors" --set network.taps=mirrored
v1=$out/v1/last.safetensors

# Round 2, the correspondence network learns wider transformations: 50 minutes beside another training.
wide=(--set views.rotation=25 --set views.scale=1.4 --set views.photometric=0.15 --set views.blur=0.5)
fine=(--set rate=2e-4 --set ramp=20)
stage teacher-2 teacher --from-weights "$v1" "${wide[@]}" "${fine[@]}" --set warm_up=0 --set iterations=140 --set "decays=[110]"
taught=(--teacher "$out/teacher-2/last.safetensors")
stage student-2a student --from-weights "$v1" "${taught[@]}" "${wide[@]}" "${fine[@]}" \
    --set warm_up=0 --set iterations=260 --set "decays=[210]"
stage student-2b student --from-weights "$out/student-2a/last.safetensors" "${taught[@]}" "${wide[@]}" \
    --set rate=4e-4 --set ramp=20 --set warm_up=240 --set iterations=240 --set "decays=[200]"
stage student-2c student --from-weights "$out/student-2b/last.safetensors" "${taught[@]}" --recipe robust \
    --set rate=2e-4 --set ramp=10 --set warm_up=130 --set iterations=130 --set "decays=[90]" --set run.seed=11

# Round 3, restoration with the new correspondences and unmirrored taps: 40 minutes.
stage v2 restoration --data "$scenes" --data "$scenes" --data "$scenes" --from-weights "$v1" \
    --student "$out/student-2c/last.safetensors" --recipe robust --set iterations=520 --set ramp=20 \
    --set rate=2e-4 --set small_offset_rate=2e-4 --set medium_offset_rate=2e-4 --set large_offset_rate=2e-4 \
    --set photos.same_scene=0.8 --set run.held_out=24
refsr-bench weights pack "$out/v2/last.safetensors" --out "$out/c2matching-nano-v2.safetensors" --overwrite
