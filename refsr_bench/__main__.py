"""``python -m refsr_bench``, also for launchers that start modules (torchrun)."""

from refsr_bench.cli import main

main(prog_name="refsr-bench")
