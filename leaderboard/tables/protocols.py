"""The differences between two protocols in sentences, from their fields as run files hold them."""

from __future__ import annotations

from refsr_bench.core.schema import ProtocolInfo
from refsr_bench.protocols import effects


def differences(a: ProtocolInfo, b: ProtocolInfo) -> list[str]:
    """One sentence or two per field in which ``b`` differs from ``a``: what it decides, both values, and what it is
    worth where somebody measured it. Empty for protocols that measure the same."""
    first, second = (a.label, b.label) if a.label != b.label else (f"{a.label} v{a.version}", f"{b.label} v{b.version}")
    sentences = []
    for found in effects.differences(a.fields, b.fields):
        worth = f" Worth {found.worth}." if found.worth else ""
        sentences.append(f"{found.subject}: {first}, {found.a_words}; {second}, {found.b_words}.{worth}")
    return sentences
