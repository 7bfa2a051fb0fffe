"""MASA-SR (Lu et al., CVPR 2021): matching in two steps, then fusion that adapts to the reference's colours and light.

Matching and extraction (MEM, section 3.1): for each 8x8 block of the LR image the reference is searched coarsely, for
each cell of the block only a window around what was found. Spatial adaptation (SAM, 3.2) gives transferred features the
statistics of the LR image's; dual residual aggregation (DRAM, 3.3) merges both at x2 and x4.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.blocks import conv, residual_blocks

LR_MULTIPLE, REF_MULTIPLE = 8, 16  # of the sides that the network takes, pixels
BLOCK = 8  # cells
DILATIONS = (1, 2, 3)  # of the patches in the coarse search
SPREAD = 1.5  # a window has 1.5 times the share of the reference that a block has of the LR image, in each direction


class Encoder(nn.Module):
    """An image (N, 3, H, W) -> features (N, C, H, W), (N, C, H/2, W/2), (N, C, H/4, W/4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for level in (1, 2, 3):
            stage = conv(3, channels) if level == 1 else conv(channels, channels, stride=2)
            self.add_module(f"conv_L{level}", stage)
            self.add_module(f"blk_L{level}", residual_blocks(channels, 4))

    def forward(self, image: Tensor) -> list[Tensor]:
        one = self.level1(image)
        two = self.blk_L2(F.relu(self.conv_L2(one)))
        return [one, two, self.blk_L3(F.relu(self.conv_L3(two)))]

    def level1(self, image: Tensor) -> Tensor:
        return self.blk_L1(F.relu(self.conv_L1(image)))


class Match(NamedTuple):
    """What was found in a reference for each of B blocks of an image, counted row by row.

    coarse (N, B): cell of the reference, row-major. fine (N, B, 8, 8): 3x3 patch in the block's window, row-major.
    similarity (N, B, 8, 8): cosine of that patch and the cell's own. centre (N, h, w, 2): where it is, (y, x) in the
    reference.
    """

    coarse: Tensor
    fine: Tensor
    similarity: Tensor
    centre: Tensor


def blocks_of(features: Tensor) -> Tensor:
    """(N, C, h, w), multiples of 8 -> (N, B, C, 10, 10): blocks and one cell around, beyond the border the border."""
    n, channels = features.shape[:2]
    around = F.unfold(F.pad(features, (1, 1, 1, 1), mode="replicate"), BLOCK + 2, stride=BLOCK)
    return around.view(n, channels, BLOCK + 2, BLOCK + 2, -1).permute(0, 4, 1, 2, 3)


def image_of(blocks: Tensor, columns: int) -> Tensor:
    """(N, B, side, side) -> (N, B / columns * side, columns * side)."""
    return blocks.unflatten(1, (-1, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def coarse_match(blocks: Tensor, ref: Tensor) -> Tensor:
    """The cell of ref (N, C, H, W) most like the centre of each block, (N, B), row-major.

    Cosines of the 3x3 patches around both, with the cells 1, 2 and 3 apart, added up.
    """
    total, centre = 0, (BLOCK + 2) // 2  # of the block with its surroundings: its fifth cell
    for d in DILATIONS:
        taps = slice(centre - d, centre + d + 1, d)
        own = F.normalize(blocks[..., taps, taps].flatten(2), dim=2)
        theirs = F.normalize(F.unfold(ref, 3, dilation=d, padding=d), dim=1)
        total = total + own @ theirs
    return total.argmax(2)


def windows(coarse: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Tops and lefts (N, B) of windows around matched cells that do not leave a reference of ``size``, and how many
    3x3 patches a window has along y and x. grid: rows and columns of blocks."""
    corners, patches = [], []
    places = (coarse // size[1], coarse % size[1])
    for place, blocks, cells in zip(places, grid, size, strict=True):
        radius = int(cells // (2 * blocks) * SPREAD)
        across = min(2 * radius + 3, cells)  # a patch reaches one cell beyond; one block has the whole reference
        corners.append((place - radius - 1).clamp(0, cells - across))
        patches.append(across - 2)
    return *corners, tuple(patches)


def match(lr: Tensor, ref: Tensor) -> Match:
    """lr (N, C, h, w), h and w multiples of 8; ref (N, C, H, W). Places are constants, similarity has gradients."""
    n, channels, h, w = lr.shape
    size, grid = ref.shape[-2:], (h // BLOCK, w // BLOCK)
    blocks = blocks_of(lr)
    coarse = coarse_match(blocks.detach(), ref.detach())
    top, left, (down, across) = windows(coarse, grid, size)

    # the windows, (N * B, C, down + 2, across + 2)
    y = top[..., None, None] + torch.arange(down + 2, device=lr.device).view(-1, 1)
    x = left[..., None, None] + torch.arange(across + 2, device=lr.device)
    where = (y * size[1] + x).flatten(1)[:, None].expand(-1, channels, -1)
    window = ref.flatten(2).gather(2, where).view(n, channels, -1, down + 2, across + 2).transpose(1, 2).flatten(0, 1)
    own = F.normalize(F.unfold(blocks.flatten(0, 1), 3), dim=1)
    theirs = F.normalize(F.unfold(window, 3), dim=1)
    similarity, fine = (own.transpose(1, 2) @ theirs).max(2)
    fine, similarity = (found.view(n, -1, BLOCK, BLOCK) for found in (fine, similarity))

    y, x = fine // across + top[..., None, None] + 1, fine % across + left[..., None, None] + 1
    return Match(coarse, fine, similarity, torch.stack([image_of(place, grid[1]) for place in (y, x)], -1))


def transfer(ref: Tensor, centre: Tensor, scale: int) -> Tensor:
    """Features of the reference in the places of the patches that are most like the LR image's own.

    ref (N, C, scale * H, scale * W), centre (N, h, w, 2) as in ``Match`` -> (N, C, scale * h, scale * w): in each cell,
    scale x scale pixels, the mean over the patches that cover it and belong to a cell of the same block (all nine, but
    at a block's border).
    """
    (n, channels, height, width), (h, w) = ref.shape, centre.shape[1:3]
    pixels = ref.permute(0, 2, 3, 1).reshape(-1, channels)  # so that what is copied lies together
    first = torch.arange(n, device=ref.device).view(-1, 1, 1, 1, 1) * height * width
    y, x = (torch.arange(side, device=ref.device) for side in (h, w))
    inner = torch.arange(scale, device=ref.device)
    total, count = 0, 0
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):  # the patch of the cell (dy, dx) away; this cell is (-dy, -dx) from its centre
            same_block = (y // BLOCK == (y + dy) // BLOCK).view(-1, 1) & (x // BLOCK == (x + dx) // BLOCK)
            rows, columns = (centre.roll((-dy, -dx), (1, 2)) - torch.tensor((dy, dx), device=ref.device)).unbind(-1)
            rows = rows.view(n, h, 1, w, 1) * scale + inner.view(-1, 1, 1)
            columns = columns.view(n, h, 1, w, 1) * scale + inner
            covered = same_block.view(h, 1, w, 1)
            where = (first + rows * width + columns) * covered  # any pixel will do where there is no such patch
            covered = covered.expand(h, scale, w, scale).reshape(1, -1, 1).to(ref.dtype)
            total = total + pixels.index_select(0, where.flatten()).view(n, -1, channels) * covered
            count = count + covered
    return (total / count).transpose(1, 2).reshape(n, channels, scale * h, scale * w)


class SpatialAdaptation(nn.Module):
    """SAM: lr, ref (N, C, H, W) -> ref, normalised, with spread and mean of lr plus what is learned for each place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_shared = nn.Sequential(conv(2 * channels, channels), nn.ReLU())
        self.conv_gamma = conv(channels, channels)
        self.conv_beta = conv(channels, channels)

    def forward(self, lr: Tensor, ref: Tensor) -> Tensor:
        style = self.conv_shared(torch.cat((lr, ref), 1))
        gamma = self.conv_gamma(style) + lr.std((2, 3), keepdim=True)
        beta = self.conv_beta(style) + lr.mean((2, 3), keepdim=True)
        return F.instance_norm(ref) * gamma + beta


class DualResidualAggregation(nn.Module):
    """DRAM: lr (N, C, H, W), ref (N, C, 2H, 2W) -> (N, C, 2H, 2W). Each is refined by how it differs from the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for branch in "ab":
            self.add_module(f"conv_down_{branch}", conv(channels, channels, stride=2))
            self.add_module(f"conv_up_{branch}", nn.ConvTranspose2d(channels, channels, 3, 2, 1, output_padding=1))
        self.conv_cat = conv(2 * channels, channels)

    def forward(self, lr: Tensor, ref: Tensor) -> Tensor:
        ref_refined = ref + F.relu(self.conv_up_a(F.relu(self.conv_down_a(ref)) - lr))
        lr_refined = F.relu(self.conv_up_b(lr + (lr - F.relu(self.conv_down_b(ref)))))
        return F.relu(self.conv_cat(torch.cat((ref_refined, lr_refined), 1)))


def doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Decoder(nn.Module):
    """Features of the LR image, finest first, and transferred ones of the reference at x1, x2, x4 -> residual image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for level in (3, 2, 1):
            self.add_module(f"conv_L{level}", conv(channels if level == 3 else 2 * channels, channels))
            self.add_module(f"blk_L{level}", residual_blocks(channels, 2))
        self.pAda = SpatialAdaptation(channels)  # one for all scales
        self.merge_warp_x1 = conv(2 * channels, channels)
        self.blk_x1 = residual_blocks(channels, 12)
        self.dram_x2 = DualResidualAggregation(channels)
        self.blk_x2 = residual_blocks(channels, 8)
        self.dram_x4 = DualResidualAggregation(channels)
        self.blk_x4 = residual_blocks(channels, 4)
        self.conv_out = conv(channels, 3)

    def forward(self, lr: list[Tensor], warped: list[Tensor]) -> Tensor:
        x = self.blk_L3(F.relu(self.conv_L3(lr[2])))
        x = self.blk_L2(F.relu(self.conv_L2(torch.cat((doubled(x), lr[1]), 1))))
        x = self.blk_L1(F.relu(self.conv_L1(torch.cat((doubled(x), lr[0]), 1))))
        x = self.blk_x1(F.relu(self.merge_warp_x1(torch.cat((self.pAda(x, warped[0]), x), 1))))
        x = self.blk_x2(self.dram_x2(x, self.pAda(doubled(x), warped[1])))
        x = self.blk_x4(self.dram_x4(x, self.pAda(doubled(x), warped[2])))
        return self.conv_out(x)


class MASA(nn.Module):
    """As published: 64 channels, 4.0 M parameters.

    forward: lr (N, 3, h, w), h and w multiples of 8; ref (N, 3, H, W), multiples of 16, and ref_down (N, 3, H/4, W/4),
    Pillow-bicubic, all BGR in [0, 1] (what the authors' weights expect) -> SR image (N, 3, 4h, 4w).
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.enc = Encoder(channels)  # one for all three images
        self.decoder = Decoder(channels)

    def forward(self, lr: Tensor, ref: Tensor, ref_down: Tensor) -> Tensor:
        features, ref_features = self.enc(lr), self.enc(ref)
        found = match(features[0], self.enc.level1(ref_down))
        warped = []
        for scale, of_ref in zip((1, 2, 4), ref_features[::-1], strict=True):
            # Block by block, as in the authors' code: enlarged over the whole image, weights at borders would differ.
            soft = F.interpolate(found.similarity, scale_factor=scale, mode="bilinear", align_corners=False)
            warped.append(transfer(of_ref, found.centre, scale) * image_of(soft, lr.shape[3] // BLOCK)[:, None])
        lr_up = F.interpolate(lr, scale_factor=4, mode="bicubic", align_corners=False)
        return lr_up + self.decoder(features, warped)
