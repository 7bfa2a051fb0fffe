"""Protocols: one frozen object per published convention. ``docs/protocols.md`` compares them."""
