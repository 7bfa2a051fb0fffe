"""C2-Matching (Jiang et al., CVPR 2021): contrastive correspondence, dynamic aggregation, restoration."""

from c2matching.matchers import MATCHERS
from c2matching.method import METHODS

__all__ = ["MATCHERS", "METHODS"]
