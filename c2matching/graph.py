"""C2-Matching without its matching, as a graph for other programs: matches come in as an input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from c2matching.nets.model import C2Matching
from refsr_bench.learning.system import Graph, Port

INPUTS = (
    Port("lr", (1, 3, "height", "width"), "LR image, RGB in [0, 1]"),
    Port("ref", (1, 3, "ref_height", "ref_width"), "reference, RGB in [0, 1], sides cut to multiples of 4"),
    Port(
        "flow",
        ("height-2", "width-2", 2),
        "p0 of Eq. (9): for the 3x3 patch of cells with its top-left cell at (y, x), the displacement (x, y) to the "
        "matched patch of the reference, in cells of 4x4 HR pixels; fractions are allowed",
    ),
)


class Restoring(nn.Module):
    """The reference's features, the displacements of all taps, aggregation and restoration (``nets.model``, 3 to 5)."""

    def __init__(self, net: C2Matching) -> None:
        super().__init__()
        self.net = net

    def forward(self, lr: Tensor, ref: Tensor, flow: Tensor) -> Tensor:
        return self.net.restoration(lr, self.net.vgg(ref), self.net.offsets([flow]))


def graph(net: C2Matching) -> Graph:
    """Make the graph of a network. Its matches are found here, in the network's own way of matching."""

    @torch.no_grad()
    def prepare(lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        (flow,) = net.flows(lr_up, refs[0])
        return lr, refs[0], flow

    return Graph(Restoring(net), INPUTS, prepare)
