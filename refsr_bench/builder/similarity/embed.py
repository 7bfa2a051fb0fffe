"""Computes one vector per image; inner products of these vectors say how alike two photos are.

*descriptor* needs no weights. It joins three parts: RootSIFT of at most 400 key points as a vector of locally
aggregated descriptors (VLAD, Jegou et al., CVPR 2010; signed square roots, normalised per word as in Arandjelovic and
Zisserman 2013) over a codebook learnt on the pool and whitened by its principal components; a colour histogram (hue,
saturation, value); and orientation histograms on a 4 x 4 grid (similar to GIST). *torchvision:NAME* and *timm:NAME* are
the pooled features of a network, with weights from a local file.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refsr_bench.builder.similarity.matching import reduced, root
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image

DESCRIPTOR = "descriptor"
WORDS = 64  # the VLAD paper's k
DIMENSIONS = 384  # at most, of the whitened VLAD
LONG_SIDE = 480
KEY_POINTS = 400
MOST_BYTES = 64 << 20  # limit of a codebook, which has 13 MB
LEARN_IMAGES = 600  # plenty for 64 words, however large the pool
WEIGHTS = (0.6, 0.2, 0.2)
"""Shares of VLAD, colours and layout in the similarity. Of 587 photos, another one of the same scene was among the ten
most similar for all of 33 photos of three scenes, and 80 % of a scene were among the 50 most similar (VLAD alone 56 %,
colours alone 69 %, layout alone 57 %)."""
# mean and standard deviation that the networks were trained with
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

Embedder = Callable[[Sequence[Image]], np.ndarray]
"""Images (uint8 H x W x 3, any sizes) to (n, d) float32 of unit length."""


@dataclass(frozen=True)
class Embedding:
    """The choice of an embedding, in the words of the settings. weights: the file of a network; "" for DESCRIPTOR."""

    name: str = DESCRIPTOR
    weights: str = ""


WITHOUT_WEIGHTS = Embedding()


@dataclass(frozen=True)
class Descriptor:
    """The embedding without weights. words (WORDS, 128); mean (WORDS * 128,); projection (WORDS * 128, d)."""

    words: np.ndarray
    mean: np.ndarray
    projection: np.ndarray

    def __call__(self, images: Sequence[Image]) -> np.ndarray:
        return np.stack([self._one(image) for image in images]).astype(np.float32)

    def _one(self, image: Image) -> np.ndarray:
        small = reduced(image, LONG_SIDE)
        local = unit((vlad(key_points(small), self.words) - self.mean) @ self.projection)
        parts = (local, colours(small), layout(small))
        # square roots make the inner product the weighted mean of the parts' inner products
        return unit(np.concatenate([np.sqrt(w) * part for w, part in zip(WEIGHTS, parts, strict=True)]))

    def save(self, path: Path) -> None:
        """Write the codebook, whole or not at all. Raises BenchError when the disk refuses."""
        data = io.BytesIO()
        np.savez(data, words=self.words, mean=self.mean, projection=self.projection)
        files.write_bytes(path, data.getvalue())

    @classmethod
    def load(cls, path: Path) -> Descriptor:
        """Read a codebook. Raises BenchError for a damaged one, or one with other shapes than ``learn`` makes."""
        data = io.BytesIO(files.read_bytes(path, MOST_BYTES))
        try:
            if sum(member.file_size for member in zipfile.ZipFile(data).infolist()) > MOST_BYTES:
                raise ValueError("too large when unpacked")
            with np.load(data, allow_pickle=False) as arrays:
                made = cls(*(np.asarray(arrays[name], np.float32) for name in ("words", "mean", "projection")))
            wanted = (WORDS, 128), (WORDS * 128,), (WORDS * 128, made.projection.shape[-1])
            if (made.words.shape, made.mean.shape, made.projection.shape) != wanted:
                raise ValueError("arrays of other shapes")
        except (OSError, EOFError, KeyError, ValueError, MemoryError, zipfile.BadZipFile) as error:
            raise BenchError(f"{path}: damaged codebook ({error}). Remove it and the shards beside it.") from None
        return made


def learn(images: Iterable[Image], seed: int = 0) -> Descriptor:
    """Learn codebook and whitening from images. Raises BenchError when they have too little texture for WORDS words."""
    import faiss

    descriptors = [key_points(reduced(image, LONG_SIDE)) for image in images]
    rng = np.random.default_rng(seed)
    # at most 100 each, so no image outweighs the others
    sample = [d[rng.permutation(len(d))[:100]] for d in descriptors if len(d)]
    if not sample or sum(map(len, sample)) < WORDS:
        raise BenchError("The pool has too little texture to learn a codebook from: use more or larger images.")
    points = np.concatenate(sample)
    trainer = faiss.Kmeans(128, WORDS, niter=20, seed=seed, min_points_per_centroid=1, max_points_per_centroid=4096)
    trainer.train(np.ascontiguousarray(points))
    words = trainer.centroids.reshape(WORDS, 128).copy()
    vectors = np.stack([vlad(d, words) for d in descriptors])
    mean = vectors.mean(axis=0)
    # the principal components of few images in a large space, by a thin singular value decomposition
    centred = vectors - mean
    _, singular, rows = np.linalg.svd(centred, full_matrices=False)
    kept = int(min(DIMENSIONS, max(1, len(vectors) // 2), (singular > 1e-6 * singular[0]).sum()))
    # damped whitening, because full whitening would amplify directions that few images support
    strength = (singular[:kept] / np.sqrt(len(vectors))) ** 0.5
    return Descriptor(words, mean.astype(np.float32), (rows[:kept] / strength[:, None]).T.astype(np.float32))


def unit(vector: np.ndarray) -> np.ndarray:
    """Return the vector at unit length; zeros stay zeros."""
    norm = np.linalg.norm(vector)
    return vector / norm if norm > 0 else vector


def key_points(image: Image) -> np.ndarray:
    """Return the RootSIFT descriptors (n, 128) of the strongest key points."""
    import cv2

    _, found = cv2.SIFT_create(nfeatures=KEY_POINTS).detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
    return np.zeros((0, 128), np.float32) if found is None else root(found)


def vlad(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Sum the residuals to the nearest word per word, normalise each word, then the whole: (WORDS * 128,)."""
    sums = np.zeros_like(words)
    if len(descriptors):
        # nearest: |d - w|^2 = |d|^2 - 2 (d w - |w|^2 / 2)
        nearest = (descriptors @ words.T - 0.5 * (words**2).sum(axis=1)).argmax(axis=1)
        np.add.at(sums, nearest, descriptors - words[nearest])
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)  # a word without key points stays 0
    return unit(sums.ravel())


def colours(image: Image) -> np.ndarray:
    """Histogram of hue, saturation, value on 12 x 4 x 4 bins, square roots (Hellinger), unit length."""
    import cv2

    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256])  # OpenCV's hue ends at 180
    return unit(np.sqrt(counts.ravel()))


def layout(image: Image) -> np.ndarray:
    """Energy of gradients in 8 directions on a 4 x 4 grid, square roots, unit length."""
    import cv2

    luma = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
    dx, dy = (cv2.Sobel(luma, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    direction = ((np.arctan2(dy, dx) + np.pi) / (2 * np.pi) * 8).astype(int) % 8
    cell = np.arange(128) // 32
    at = (cell[:, None] * 4 + cell[None, :]) * 8 + direction
    return unit(np.sqrt(np.bincount(at.ravel(), np.hypot(dx, dy).ravel(), 128)))


def backbone(embedding: Embedding) -> Embedder:
    """Return the features of a network with a local state dict, before its classifier, on the CPU or GPU.

    Images are resized to 224 x 224 and normalised as for ImageNet. Raises Misuse for unknown names, BenchError for
    weights that do not fit.
    """
    import torch
    from torch import nn

    from refsr_bench.formats.checkpoints import load_strict, read_weights

    net, weights = _network(embedding.name), Path(embedding.weights)
    load_strict(net, read_weights(weights), weights, embedding.name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = _without_classifier(net, embedding.name).eval().to(device)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in _IMAGENET)

    def embed(images: Sequence[Image]) -> np.ndarray:
        import cv2

        small = np.stack([cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA) for image in images])
        batch = torch.from_numpy(small).to(device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            values = net((batch - mean) / std).flatten(1)
        return nn.functional.normalize(values).float().cpu().numpy()

    return embed


def _network(name: str) -> Any:
    """Return an untrained network of torchvision or timm. Raises Misuse."""
    library, _, model = name.partition(":")
    if library == "torchvision":
        import torchvision

        try:
            return torchvision.models.get_model(model, weights=None)
        except ValueError:
            raise Misuse(f"embedding {name}: torchvision has no model of that name.") from None
    if library == "timm":
        try:
            import timm
        except ModuleNotFoundError:
            raise Misuse(f"embedding {name} needs timm: pip install timm.") from None
        if not timm.is_model(model):
            raise Misuse(f"embedding {name}: timm has no model of that name.")
        return timm.create_model(model, pretrained=False)
    raise Misuse(f"embedding {name}: use '{DESCRIPTOR}', 'torchvision:NAME' or 'timm:NAME'.")


def _without_classifier(net: Any, name: str) -> Any:
    """Return the network up to its pooled features. Raises Misuse when it is unknown which part is the classifier."""
    from torch import nn

    if isinstance(getattr(net, "features", None), nn.Module):
        return nn.Sequential(net.features, nn.AdaptiveAvgPool2d(1))
    head = next((part for part in ("fc", "heads", "head") if isinstance(getattr(net, part, None), nn.Module)), None)
    if head is None:
        raise Misuse(f"embedding {name}: it has no features and no classifier that could be left out.")
    setattr(net, head, nn.Identity())
    return net
