"""The contrastive correspondence network, which makes descriptors to match (paper section 3.1, Table 2, Fig. 2a)."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from refsr_bench.learning.vgg import ImageNetNormalised, VGG19Features, vgg_layers


class Extractor(ImageNetNormalised):
    """VGG16 up to conv3_1, without its ReLU (Table 2): (N, 3, H, W) RGB in [0, 1] -> (N, 256, H/4, W/4)."""

    def __init__(self) -> None:
        super().__init__()
        self.model = vgg_layers("conv3_1")

    def forward(self, image: Tensor) -> Tensor:
        return self.model(self.normalise(image))


class ContrastiveExtractor(nn.Module):
    """Two extractors of one architecture with their own weights: branch 1 for the LR side, branch 2 for the reference.

    The student sees the LR image upsampled x4 (8-bit bicubic) and the HR reference; the teacher sees two HR images.
    """

    def __init__(self) -> None:
        super().__init__()
        self.feature_extraction_image1 = Extractor()  # the names in the authors' files
        self.feature_extraction_image2 = Extractor()

    def forward(self, image1: Tensor, image2: Tensor) -> tuple[Tensor, Tensor]:
        return self.feature_extraction_image1(image1), self.feature_extraction_image2(image2)


def reference_features(branch: Extractor, layers: Iterable[str]) -> VGG19Features:
    """Wrap a trained branch as VGG19 features, up to relu3_1, as far as both have the same shape.

    It stands in for ImageNet VGG19 when those weights are not available. The result is frozen.
    """
    features = VGG19Features(layers)
    own = branch.state_dict()
    features.load_state_dict({key: own[key.replace("vgg_net.", "model.")] for key in features.state_dict()})
    return features.eval().requires_grad_(False)
