"""Protocols: one frozen object per published convention. ``docs/reference/protocols.md`` compares them."""
