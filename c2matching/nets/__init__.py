"""The networks, with their places in the paper (Fig. 2).

* ``correspondence_network``: the contrastive correspondence network (section 3.1, Table 2, Fig. 2a)
* ``dynamic_aggregation``: the dynamic aggregation module (section 3.3, Eq. 9)
* ``restoration``: the restoration module (section 3.4, Table 3), which holds an aggregation per scale
* ``model``: the whole at inference (Fig. 2b); ``large_images`` and ``strips`` do the same in bounded memory

Eq. (4) and (8) are in ``c2matching.matching``, the losses of Eq. (1) to (7) in ``c2matching.training``.
"""
