"""The window of pixels whose correlation places a match below a cell (``subcell``)."""

CELL = 4  # pixels per descriptor
WINDOW = 20  # pixels compared below a cell: a patch and a cell on either side; smaller windows take noise for detail
REACH = 2  # pixels: half a cell, the most by which a right match is off
FLAT = 1e-6  # least variance of a window, of values in [0, 1]: a quarter of a grey level; less has no place to find
STEADY = 0.02  # of the curvature of correlations, added to it: along an edge, where nothing tells, nothing moves
LEAST_BEND = 1e-5  # curvature below which a peak is flat: what rounding makes of correlations
