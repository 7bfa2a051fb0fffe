#!/usr/bin/env bash
# The project's own leaderboard, from nothing: every method with weights in this repository, on the sample set, under two
# protocols, with the figures' runs beside them. About an hour on two CPU cores; stopped at any point, it goes on.
#
#   docs/scripts/site.sh OUT            leaves OUT/results (run files and images) and OUT/site (the pages)
#   docs/scripts/site.sh OUT quick      two images each, for a look; such runs are shown and never ranked
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$1
results=$out/results
limit=()
[ "${2:-}" = quick ] && limit=(--limit 2)

budget=()
for method in srcnn edsr srntt-rec ttsr-rec; do
    budget+=(--method "$method" --weights "$method=benchmarks/fixed-budget/weights/$method-fixed-budget-500.safetensors")
done
common=(--dataset sample --out "$results" "${limit[@]}")

for protocol in c2 ttsr; do
    refsr-bench run --method bicubic --method c2matching "${budget[@]}" --protocol "$protocol" --save-matches "${common[@]}"
    refsr-bench run --method c2matching --name "C2-Matching, fixed budget" --protocol "$protocol" --save-matches \
        --weights benchmarks/fixed-budget/weights/c2matching-fixed-budget-500.safetensors "${common[@]}"
done
# One choice of the protocol at a time, and one level of reference at a time: the figures of sensitivity and of levels.
for choice in border=0 lr_resizer=matlab-bicubic ssim_window=uniform7 channel=rgb; do
    refsr-bench run --method bicubic --method c2matching --set "$choice" "${common[@]}"
done
for level in 1 2 3 4 5; do
    refsr-bench run --method c2matching "${budget[@]}" --refs "level:$level" "${common[@]}"
done
# Views of the references, and matches below a cell: the same rows with and without, and the share of the ceiling.
refsr-bench run --method c2matching --matching sub-cell --views auto --save-matches "${common[@]}"
for method in srntt-rec ttsr-rec; do
    refsr-bench run --method "$method" --views auto "${common[@]}" \
        --weights "benchmarks/fixed-budget/weights/$method-fixed-budget-500.safetensors"
done
refsr-bench robustness --transform rotation --transform scale --transform shift "${common[@]}"
refsr-bench robustness --transform rotation --transform scale --transform shift --matcher none \
    --matching exact --matching sub-cell --views none --views auto --views truth "${common[@]}"
refsr-bench leaderboard build --results "$results" --out "$out/site"
