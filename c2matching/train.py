"""Train the small model that comes with the package, from folders of photographs, on one CPU (paper section 3.5).

    python -m c2matching.train --photos DIR --scenes DIR --out c2matching-nano-v1.safetensors

Three stages, as in the paper: a teacher for HR-HR matching, a student for LR-HR matching distilled from it, then the
restoration network with the student frozen and reconstruction loss alone. Without ImageNet weights the teacher starts
at random, gently (cross entropy of Eq. 4), the student starts at the teacher, and the reference features are those of
the student's branch 2, which has the shape of VGG19 up to conv3_1.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PilImage
from torch import Tensor, nn

from c2matching.correspondence import correspond, pre_offsets
from c2matching.extractor import ContrastiveExtractor, reference_features
from c2matching.losses import reconstruction_loss
from c2matching.pairs import TransformedPair, degrade, homography_from_corners, to_tensor, transformed_pair
from c2matching.restoration import SCALES, RestorationConfig, RestorationNet
from c2matching.stages import correspondence_loss, matching_cross_entropy
from refsr_bench.checkpoints import load_strict, read_weights
from refsr_bench.images import image_files, read_image

FLIPS = (PilImage.Transpose.FLIP_LEFT_RIGHT, PilImage.Transpose.FLIP_TOP_BOTTOM, PilImage.Transpose.TRANSPOSE)
NANO = RestorationConfig(channels=48, blocks=(8, 4, 4, 2), groups=2, small_reference=False)


@dataclass(frozen=True)
class Recipe:
    """Iterations, batch sizes and rates of the three stages. crop: side of the restoration crops, pixels."""

    teacher_iterations: int = 700
    teacher_warmup: int = 300
    student_iterations: int = 1300
    student_warmup: int = 200
    restoration_iterations: int = 1600
    batch: int = 4
    matching_rate: float = 3e-4
    restoration_rate: float = 4e-4
    pool: int = 1400
    crop: int = 128


@dataclass(frozen=True)
class Photos:
    """single: photographs of anything; scenes: groups of photographs of one thing."""

    single: Sequence[PilImage.Image]
    scenes: Sequence[Sequence[PilImage.Image]]

    def __len__(self) -> int:
        return len(self.single) + sum(map(len, self.scenes))

    def any(self) -> PilImage.Image:
        scene_share = sum(map(len, self.scenes)) / len(self)
        return random.choice(random.choice(self.scenes) if random.random() < scene_share else self.single)


def load_photos(folders: Sequence[Path], scenes: Sequence[Path]) -> Photos:
    def read(folder: Path) -> list[PilImage.Image]:
        return [PilImage.fromarray(read_image(path)) for path in image_files(folder)]

    return Photos(
        [photo for folder in folders for photo in read(folder)],
        [read(scene) for folder in scenes for scene in sorted(folder.iterdir()) if scene.is_dir()],
    )


# -- images --------------------------------------------------------------------------------------------------------


def _bytes(image: PilImage.Image | np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)  # as uint8: a pool of floats would fill the memory


def _shrunk(photo: PilImage.Image, low: float, high: float) -> PilImage.Image:
    factor = random.uniform(low, high)
    return photo.resize((int(photo.width * factor), int(photo.height * factor)), PilImage.Resampling.BICUBIC)


def _cut(photo: PilImage.Image, x: float, y: float, side: int) -> PilImage.Image:
    left, top = round(x * (photo.width - side)), round(y * (photo.height - side))
    return photo.crop((left, top, left + side, top + side))


def _flipped(*images: PilImage.Image) -> list[PilImage.Image]:
    for flip in (flip for flip in FLIPS if random.random() < 0.5):
        images = tuple(image.transpose(flip) for image in images)
    return list(images)


def random_view(photo: PilImage.Image, centre: tuple[float, float], side: int) -> PilImage.Image:
    """A view of a photo around ``centre``: turned up to 30 degrees, scaled 0.75 to 1.4, sheared, recoloured."""
    angle = math.radians(random.uniform(-1, 1) * random.choice((10, 30)))
    half = side / 2 / random.uniform(0.75, 1.4)
    corners = [
        (
            centre[0] + half * (math.cos(angle) * u - math.sin(angle) * v) + random.uniform(-8, 8),
            centre[1] + half * (math.sin(angle) * u + math.cos(angle) * v) + random.uniform(-8, 8),
        )
        for u, v in ((-1, -1), (1, -1), (-1, 1), (1, 1))
    ]
    square = np.array([(0, 0), (side, 0), (0, side), (side, side)], np.float64)
    matrix = homography_from_corners(square, np.array(corners))
    view = photo.transform(
        (side, side), PilImage.Transform.PERSPECTIVE, tuple(matrix.ravel()[:8]), PilImage.Resampling.BICUBIC
    )
    if random.random() < 0.5:
        return view
    values = (np.asarray(view) / 255.0) ** random.uniform(0.85, 1.18) * np.random.uniform(0.9, 1.1, 3)
    return PilImage.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8))


def draw_pair(photos: Photos, side: int) -> list[PilImage.Image]:
    """HR crop and reference: another photo of the scene (20 %), a view of the same photo (68 %), a stranger (12 %)."""
    kind = random.random()
    if kind < 0.2 and photos.scenes:
        first, second = (_shrunk(photo, 0.25, 0.8) for photo in random.sample(random.choice(photos.scenes), 2))
        x, y = random.random(), random.random()
        return _flipped(_cut(first, x, y, side), _cut(second, x, y, side))
    photo = photos.any()
    if min(photo.size) > 400 and random.random() < 0.5:
        photo = _shrunk(photo, 0.4, 1.0)
    left, top = random.randint(0, photo.width - side), random.randint(0, photo.height - side)
    hr = photo.crop((left, top, left + side, top + side))
    if kind < 0.88:
        centre = (left + side / 2 + random.uniform(-25, 25), top + side / 2 + random.uniform(-25, 25))
        return _flipped(hr, random_view(photo, centre, side))
    return _flipped(hr, _cut(photos.any(), random.random(), random.random(), side))


# -- correspondence network ----------------------------------------------------------------------------------------


def matching_batch(photos: Photos, n: int, rng: np.random.RandomState) -> tuple[Tensor, list[TransformedPair]]:
    """n crops of 160 pixels, upsampled from LR (n, 3, 160, 160), and the HR crops with their transformed copies."""
    low, pairs = [], []
    for _ in range(n):
        photo = photos.any()
        if min(photo.size) > 400:
            photo = _shrunk(photo, 0.35, 1.0)
        (crop,) = _flipped(_cut(photo, random.random(), random.random(), 160))
        low.append(to_tensor(degrade(np.asarray(crop))[1]))
        pairs.append(transformed_pair(to_tensor(np.asarray(crop)), rng))
    return torch.stack(low), pairs


def train_extractor(
    net: ContrastiveExtractor, photos: Photos, recipe: Recipe, teacher: ContrastiveExtractor | None
) -> None:
    """Stage 1 (teacher None: HR against transformed HR) or stage 2 (LR against transformed HR, distilled)."""
    iterations = recipe.teacher_iterations if teacher is None else recipe.student_iterations
    warmup = recipe.teacher_warmup if teacher is None else recipe.student_warmup
    rng = np.random.RandomState(1)
    optimiser = torch.optim.Adam(net.parameters(), lr=recipe.matching_rate)
    for step in _steps(iterations, "student" if teacher else "teacher"):
        for group in optimiser.param_groups:
            group["lr"] = recipe.matching_rate * min(1, step / 50) * (0.1 if step > 0.85 * iterations else 1)
        low, pairs = matching_batch(photos, recipe.batch, rng)
        hr, moved = (torch.stack(images) for images in zip(*((p.hr, p.transformed) for p in pairs), strict=True))
        grids = [pair.coordinates for pair in pairs]
        described = _in_bfloat16(net, low if teacher else hr, moved)
        if step <= warmup:
            loss = matching_cross_entropy(described, grids, (160, 160))
        else:
            with torch.no_grad():
                target = _in_bfloat16(teacher, hr, moved) if teacher else None
            loss = correspondence_loss(described, grids, (160, 160), target)
        _update(optimiser, loss, net, clip=1.0)


def _in_bfloat16(net: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = net(*inputs)
    return tuple(output.float() for output in outputs)


def _update(optimiser: torch.optim.Optimizer, loss: Tensor, net: nn.Module, clip: float) -> None:
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimiser.step()


# -- restoration network -------------------------------------------------------------------------------------------


@torch.no_grad()
def make_pool(
    extractor: ContrastiveExtractor, photos: Photos, recipe: Recipe
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """(HR, LR, reference, flow) for every pair of the pool; the extractor is frozen, so matching is done once."""
    pool = []
    for _ in _steps(recipe.pool, "matching the pool"):
        hr, ref = draw_pair(photos, recipe.crop)
        lr, lr_up = degrade(np.asarray(hr))
        first, second = _in_bfloat16(extractor, to_tensor(lr_up)[None], to_tensor(np.asarray(ref))[None])
        pool.append((_bytes(hr), _bytes(lr), _bytes(ref), correspond(first[0], second[0])[0]))
    return pool


def initialise(net: RestorationNet) -> None:
    """Kaiming instead of the paper's normal(0, 0.02), which needs many iterations to wake a network of this width;
    residual branches and the last layer start small."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and "conv_offset_mask" not in name:
            nn.init.kaiming_normal_(module.weight, a=0.1)
            if name.endswith("conv2") and "body" in name:
                module.weight.data *= 0.2
            if name.endswith("tail_large.2"):
                module.weight.data *= 0.05


def train_restoration(
    extractor: ContrastiveExtractor, photos: Photos, recipe: Recipe, out: Path | None = None
) -> RestorationNet:
    """Stage 3 with L1 alone (Eq. 10), cosine rate, and an exponential average of the weights, which is returned.

    out: where to keep the average every 250 iterations, so that a stopped training is not lost.
    """
    net, average = RestorationNet(NANO), RestorationNet(NANO)
    initialise(net)
    average.load_state_dict(net.state_dict())
    features = reference_features(extractor.feature_extraction_image2, net.ref_layers)
    scales = [SCALES[scale] for scale in net.dyn_agg_restore.scales]
    pool = make_pool(extractor, photos, recipe)
    optimiser = torch.optim.Adam(net.parameters(), lr=recipe.restoration_rate)
    order: list[int] = []
    errors: list[float] = []
    for step in _steps(recipe.restoration_iterations, "restoration", errors):
        cosine = 0.51 + 0.49 * math.cos(math.pi * step / recipe.restoration_iterations)
        for group in optimiser.param_groups:
            group["lr"] = recipe.restoration_rate * min(1, step / 100) * cosine
        if len(order) < recipe.batch:
            order = random.sample(range(len(pool)), len(pool))
        chosen = [pool[order.pop()] for _ in range(recipe.batch)]
        hr, lr, ref = (torch.stack([item[i] for item in chosen]).float() / 255 for i in range(3))
        offsets = {layer: torch.stack([pre_offsets(item[3], f) for item in chosen]) for layer, _, f in scales}
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.no_grad():
                refs = features(ref)
            sr = net(lr, refs, offsets)
        loss = reconstruction_loss(sr.float(), hr)
        _update(optimiser, loss, net, clip=0.5)
        errors.append((sr.detach().float() - hr).square().mean().item())
        decay = min(0.995, step / (step + 20))
        for kept, new in zip(average.parameters(), net.parameters(), strict=True):
            kept.data.lerp_(new.data, 1 - decay)
        if out and step % 250 == 0:
            save(out, extractor, average)
    return average


def save(path: Path, extractor: ContrastiveExtractor, restoration: RestorationNet) -> None:
    """One bundle as ``c2matching.method.load_bundle`` reads it, in half precision; reference features are branch 2."""
    from safetensors.torch import save_file

    state = {f"restoration.{key}": value for key, value in restoration.state_dict().items()}
    state |= {f"extractor.{key}": value for key, value in extractor.state_dict().items()}
    save_file({key: value.half().contiguous() for key, value in state.items()}, path)


def _steps(n: int, what: str, errors: Sequence[float] = ()) -> Iterator[int]:
    start = time.monotonic()
    for step in range(1, n + 1):
        yield step
        if step % 50 == 0 or step == n:
            recent = f", {-10 * math.log10(np.mean(errors[-200:])):.2f} dB" if errors else ""
            print(f"{what} {step}/{n}{recent}, {(time.monotonic() - start) / step:.2f} s each", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, action="append", required=True, help="a folder of photographs")
    parser.add_argument("--scenes", type=Path, action="append", default=[], help="a folder with one folder per scene")
    parser.add_argument("--extractor", type=Path, help="trained extractors (.pth): restoration is trained alone")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(options.seed)
    photos, recipe = load_photos(options.photos, options.scenes), Recipe()
    print(f"{len(photos)} photographs")
    if options.extractor:
        student = ContrastiveExtractor()
        load_strict(student, read_weights(options.extractor), options.extractor, "the C2-Matching extractors")
    else:
        teacher = ContrastiveExtractor()
        for module in teacher.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        teacher.feature_extraction_image2.load_state_dict(teacher.feature_extraction_image1.state_dict())
        train_extractor(teacher, photos, recipe, None)
        student = ContrastiveExtractor()
        student.load_state_dict(teacher.state_dict())
        train_extractor(student, photos, recipe, teacher.eval().requires_grad_(False))
    student.eval().requires_grad_(False)
    save(options.out, student, train_restoration(student, photos, recipe, options.out))


if __name__ == "__main__":
    main()
