"""The transformation-controlled split (the paper's section 5.4, Fig. 6): references made from the HR images themselves.

``making`` makes it in memory from any data set, ``writing`` writes it in a form that Hugging Face ``datasets`` opens,
and ``reading`` opens that. Ids in ``only`` are those of the source data set, so a subset chosen there (the texture
subset of the ablation) is the same subset here.

Such a reference shows the ground truth. It is a leak by construction, for measuring robustness, never for a ranking.
"""
