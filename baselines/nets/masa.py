"""MASA-SR (Lu et al., CVPR 2021): matching in two steps, then fusion that adapts to the reference's colours and light.

1. encoder: features of LR image, reference and reduced reference
2. MEM, matching and extraction (section 3.1): the reference is searched coarsely for each 8x8 block of the LR image,
   then for each cell of the block only in a window around what was found
3. SAM, spatial adaptation (3.2): transferred features take on the statistics of the LR image's
4. DRAM, dual residual aggregation (3.3): both merge at x2 and x4
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refsr_bench.learning.blocks import conv, residual_blocks

LR_MULTIPLE, REF_MULTIPLE = 8, 16  # of the sides that the network takes: a block, and a cell of the reduced reference
BLOCK = 8  # cells along a side
DILATIONS = (1, 2, 3)  # of the patches in the coarse search
SPREAD = 1.5  # along either axis, a window's share of the reference is 1.5 times the block's share of the LR image


class Encoder(nn.Module):
    """The features (N, C, H, W), (N, C, H/2, W/2), (N, C, H/4, W/4) of an image (N, 3, H, W)."""

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
    """The matches in a reference of each of B blocks of an image, counted row by row.

    coarse (N, B): cell of the reference, row-major. fine (N, B, 8, 8): 3x3 patch in the block's window, row-major.
    similarity (N, B, 8, 8): cosine of that patch and the cell's own. centre (N, h, w, 2): where it is, (y, x) in the
    reference.
    """

    coarse: Tensor
    fine: Tensor
    similarity: Tensor
    centre: Tensor


def blocks_of(features: Tensor) -> Tensor:
    """Cut (N, C, h, w), multiples of 8, into blocks with one cell around (N, B, C, 10, 10); the border is repeated."""
    n, channels = features.shape[:2]
    around = F.unfold(F.pad(features, (1, 1, 1, 1), mode="replicate"), BLOCK + 2, stride=BLOCK)
    return around.view(n, channels, BLOCK + 2, BLOCK + 2, -1).permute(0, 4, 1, 2, 3)


def image_of(blocks: Tensor, columns: int) -> Tensor:
    """Put blocks together again, (N, B, side, side) -> (N, B / columns * side, columns * side)."""
    return blocks.unflatten(1, (-1, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def coarse_match(blocks: Tensor, ref: Tensor) -> Tensor:
    """The cell of ref (N, C, H, W) that is most like the centre of each block, (N, B), row-major.

    The likeness is the sum of the cosines of the 3x3 patches around both, with cells 1, 2 and 3 apart.
    """
    total, centre = 0, (BLOCK + 2) // 2  # in the block with its surroundings: the block's fifth cell
    for d in DILATIONS:
        taps = slice(centre - d, centre + d + 1, d)
        own = F.normalize(blocks[..., taps, taps].flatten(2), dim=2)
        theirs = F.normalize(F.unfold(ref, 3, dilation=d, padding=d), dim=1)
        total = total + own @ theirs
    return total.argmax(2)


def windows(coarse: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Windows around matched cells that do not leave a reference of ``size``. grid: rows and columns of blocks.

    Returns their tops and lefts (N, B), and the number of 3x3 patches that a window has along y and x.
    """
    corners, patches = [], []
    places = (coarse // size[1], coarse % size[1])
    for place, blocks, cells in zip(places, grid, size, strict=True):
        radius = int(cells // (2 * blocks) * SPREAD)
        across = min(2 * radius + 3, cells)  # a patch reaches one cell beyond; one block has the whole reference
        corners.append((place - radius - 1).clamp(0, cells - across))
        patches.append(across - 2)
    return *corners, tuple(patches)


def match(lr: Tensor, ref: Tensor) -> Match:
    """Match the cells of lr (N, C, h, w), h and w multiples of 8, with ref (N, C, H, W).

    Places are constants; similarity has gradients.
    """
    n, channels, h, w = lr.shape
    size, grid = ref.shape[-2:], (h // BLOCK, w // BLOCK)
    blocks = blocks_of(lr)
    coarse = coarse_match(blocks.detach(), ref.detach())
    top, left, (down, across) = windows(coarse, grid, size)

    # The windows with one cell around, (N * B, C, down + 2, across + 2).
    y = top[..., None, None] + torch.arange(down + 2, device=lr.device).view(-1, 1)
    x = left[..., None, None] + torch.arange(across + 2, device=lr.device)
    where = (y * size[1] + x).flatten(1)[:, None].expand(-1, channels, -1)
    window = ref.flatten(2).gather(2, where).view(n, channels, -1, down + 2, across + 2).transpose(1, 2).flatten(0, 1)
    own = F.normalize(F.unfold(blocks.flatten(0, 1), 3), dim=1)  # (N * B, 9 * C, 64)
    theirs = F.normalize(F.unfold(window, 3), dim=1)
    similarity, fine = (own.transpose(1, 2) @ theirs).max(2)
    fine, similarity = (found.view(n, -1, BLOCK, BLOCK) for found in (fine, similarity))

    y, x = fine // across + top[..., None, None] + 1, fine % across + left[..., None, None] + 1
    return Match(coarse, fine, similarity, torch.stack([image_of(place, grid[1]) for place in (y, x)], -1))


def transfer(ref: Tensor, centre: Tensor, scale: int) -> Tensor:
    """Put the patches of the reference where the cells of the LR image are that they were matched with.

    ref (N, C, scale * H, scale * W), centre (N, h, w, 2) as in ``Match`` -> (N, C, scale * h, scale * w). Each cell,
    scale x scale pixels, is the mean over the patches that cover it and belong to a cell of the same block: all nine,
    except at a block's border.
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
    """SAM: lr, ref (N, C, H, W) -> ref with the spread and mean of lr, plus what is learned for each place."""

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
    """DRAM: lr (N, C, H, W), ref (N, C, 2H, 2W) -> (N, C, 2H, 2W). Each is refined by its difference to the other."""

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
    """(N, C, h, w) -> (N, C, 2h, 2w), bilinearly."""
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
    """The whole network; the published one has 64 channels, 4.0 M parameters."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.enc = Encoder(channels)  # one for all three images
        self.decoder = Decoder(channels)

    def forward(self, lr: Tensor, ref: Tensor, ref_down: Tensor) -> Tensor:
        """lr (N, 3, h, w), ref (N, 3, H, W), ref_down (N, 3, H/4, W/4) -> SR image (N, 3, 4h, 4w).

        h and w are multiples of 8, H and W of 16. ref_down is Pillow's bicubic. All are BGR in [0, 1], which the
        authors' weights expect.
        """
        features, ref_features = self.enc(lr), self.enc(ref)  # 1
        found = match(features[0], self.enc.level1(ref_down))  # 2
        warped = []
        for scale, ref_map in zip((1, 2, 4), ref_features[::-1], strict=True):
            # The authors' code enlarges block by block; over the whole image, weights at the borders would differ.
            soft = F.interpolate(found.similarity, scale_factor=scale, mode="bilinear", align_corners=False)
            warped.append(transfer(ref_map, found.centre, scale) * image_of(soft, lr.shape[3] // BLOCK)[:, None])
        lr_up = F.interpolate(lr, scale_factor=4, mode="bicubic", align_corners=False)
        return lr_up + self.decoder(features, warped)  # 3 and 4
