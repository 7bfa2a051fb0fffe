"""The files of weights that are known by name: those of the catalogue's methods and metrics, and a few of others."""

from __future__ import annotations

from collections.abc import Iterator

from refsr_bench.core import catalogue
from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.errors import Misuse
from refsr_bench.core.names import did_you_mean

TORCHVISION = "https://download.pytorch.org/models/"


def _of_torchvision(name: str, digits: str, facts: str, companion: bool = False) -> WeightsFile:
    """Make the entry of a file of torchvision's, which states the first eight digits of the SHA-256 in its name."""
    file = f"{'alexnet-owt' if name == 'alexnet' else name}-{digits}.pth"
    return WeightsFile(file, TORCHVISION, facts, name, TORCHVISION + file, digits, companion=companion)


ALEXNET = _of_torchvision("alexnet", "7be5be79", "AlexNet, ImageNet")
VGG16 = _of_torchvision("vgg16", "397923af", "VGG16, ImageNet")
VGG19 = _of_torchvision("vgg19", "dcbb9e9d", "VGG19, goes with any of the others", companion=True)

INCEPTION = WeightsFile(
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid",
    "Inception-v3 of 2015-12-05, ported from TensorFlow",
    "inception",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "6726825d",  # stated in the name, as torchvision does
)
REAL_ESRGAN = WeightsFile(
    "RealESRGAN_x4plus.pth",
    "https://github.com/xinntao/Real-ESRGAN",
    "Real-ESRGAN (Wang et al. 2021), for real photographs",
    "realesrgan-x4plus",
    "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.0/RealESRGAN_x4plus.pth",
    "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",  # as the catalogue OpenModelDB states it
    "BSD-3-Clause",
)
PARTS = (ALEXNET, VGG16, VGG19, INCEPTION)
"""Networks inside metrics and trainings, which are no methods."""
MODELS = (REAL_ESRGAN,)
"""Models that are recognised, of no method of the catalogue."""


def files() -> dict[str, WeightsFile]:
    """Return every file that is known, by its name.

    A file without one is called as it is called on the disk, behind its method where others have the same name.
    """
    found: dict[str, WeightsFile] = {}
    for file in (*PARTS, *MODELS, *_of_cards()):
        found.setdefault(_name(file), file)
    return found


def _name(file: WeightsFile) -> str:
    if file.name:
        return file.name
    return f"{users(file)[0]}/{file.file}" if shared(file) else file.file


def _of_cards() -> Iterator[WeightsFile]:
    for card in catalogue.collect("METHODS").values():
        yield from card.files
    for card in catalogue.collect("METRICS").values():
        if card.file is not None:
            yield card.file


def users(file: WeightsFile) -> list[str]:
    """Return the methods and metrics of the catalogue that take a file."""
    methods = [card.name for card in catalogue.collect("METHODS").values() if file in card.files]
    return methods + [card.name for card in catalogue.collect("METRICS").values() if card.file == file]


def shared(file: WeightsFile) -> bool:
    """Tell whether other authors publish a file of the same name, so that its name does not tell whose it is."""
    return len({other.home for other in _of_cards() if other.file == file.file}) > 1


def named(name: str) -> list[WeightsFile]:
    """Return the file of this name, or all files of the method or metric. Raises Misuse with the nearest names."""
    known = files()
    if name in known:
        return [known[name]]
    if found := [file for file in known.values() if name in users(file)]:
        return found
    raise Misuse(f"No file of weights is called '{name}'. {did_you_mean(name, known)}")
