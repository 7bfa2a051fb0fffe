"""Names and changes protocols: ``refsr_bench.protocol``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refsr_bench.core import catalogue
from refsr_bench.protocols.base import Protocol, parse_label, value_text


def protocol(name: str | Protocol = "c2", **changes: Any) -> Protocol:
    """Return a published convention, with some of its choices changed.

        ours = refsr_bench.protocol("c2", border=0, refs="level:5")

    name: a name that ``refsr-bench protocols`` lists, a label with changes ("c2+border=0"), or a protocol. changes: new
    values of its fields, which ``protocol(name).fields()`` shows. A changed protocol has another digest and is never
    ranked beside the original. Raises Misuse for an unknown name or field (with the nearest one), and for a value that
    the field does not take.
    """
    found = name if isinstance(name, Protocol) else parse_label(name, lambda label: catalogue.get("PROTOCOLS", label))
    return changed(found, changes) if changes else found


def changed(found: Protocol, changes: Mapping[str, Any]) -> Protocol:
    """Return a protocol with some fields changed; values are those of the fields, or text. Raises Misuse."""
    return found.changed({field: value_text(value) for field, value in changes.items()})


def with_refs(name: str | Protocol, refs: str | None) -> Protocol:
    """Return a protocol, with another rule of references if one is given. Raises Misuse."""
    found = protocol(name)
    return found if refs is None else changed(found, {"refs": refs})
