"""The convention of AMSA's released test code (Xia et al., AAAI 2022); DATSR's loader cuts HR the same way."""

from refsr_bench.protocols.base import Protocol

PROTOCOLS = (
    # c2, but input and reference are cut to multiples of 8 * scale, so up to 31 rows and columns are never scored.
    # The four shrunk copies of the reference (0.8^k) that AMSA adds are part of the method: they hold nothing new.
    Protocol(name="amsa", version=1, hr_multiple=32),
)
