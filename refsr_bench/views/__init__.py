"""Views of references: proposals, warps, and what methods get beside the untouched reference.

1. ``proposals`` collects *guides*, rough maps from every pixel of the image to the reference: motions of matched
   keypoints, the matches of the method itself, and, where both fail, ``turns``
2. ``dense`` follows what is left of the motion by optical flow, there and back, and tells where it can be trusted
3. ``warps`` samples the reference at the places of a map, without aliasing
4. ``using`` gives the views to methods that know nothing of them; ``records`` describes them
"""
