"""The networks of the systems, one module each, beside their papers; what several share is in ``learning.blocks``."""
