"""Describes the differences between two protocols in sentences, from their fields as run files hold them."""

from __future__ import annotations

from refsr_bench.core.schema import ProtocolInfo
from refsr_bench.protocols import effects


def differences(a: ProtocolInfo, b: ProtocolInfo) -> list[str]:
    """Return a sentence or two per field in which ``b`` differs from ``a``; empty for protocols that measure the same.

    They say what the field decides, both values, and the effect if somebody measured it.
    """
    first, second = (a.label, b.label) if a.label != b.label else (f"{a.label} v{a.version}", f"{b.label} v{b.version}")
    sentences = []
    for found in effects.differences(a.fields, b.fields):
        worth = f" Worth {found.worth}." if found.worth else ""
        sentences.append(f"{found.subject}: {first}, {found.a_words}; {second}, {found.b_words}.{worth}")
    return sentences
