"""``python -m refsr_bench.cli``, the old spelling of ``python -m refsr_bench``."""

from refsr_bench.cli import main
from refsr_bench.cli.grammar import listen, warn_of_old

listen(0)
warn_of_old("python -m refsr_bench.cli", "python -m refsr_bench")
main(prog_name="refsr-bench")
