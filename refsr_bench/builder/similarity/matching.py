"""Relates two photos by SIFT matches that one homography verifies, which gives scale, rotation and overlap.

SIFT (Lowe 2004; RootSIFT after Arandjelovic and Zisserman 2012) is matched both ways with a ratio test; then RANSAC
fits one homography. The number of inliers ranks candidates, the homography's local shape gives scale and rotation, and
its outline gives the overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image as PilImage

from refsr_bench.core.types import Image

LONG_SIDE = 640  # pixels to which photos are reduced before key points are sought
FEATURES = 1500
RATIO = 0.8  # Lowe's test, with his paper's value
THRESHOLD = 4.0  # pixels of the reduced images by which a match may miss the homography
MIN_SAMPLE = 8  # matches below which no homography is sought: any four fit one, and chance can agree with them
_PHOTOMETRIC = 240  # long side in pixels at which warped pixels are compared; THRESHOLD is 1.5 pixels there
_LEAST_PIXELS = 400  # shown by both, at _PHOTOMETRIC; PSNR and correlation over fewer say nothing
_GRID = 32  # grid points on either side of the query; the overlap is the share of them that lies in the other image
_MIRRORED = np.arange(128).reshape(4, 4, 8)[::-1][:, :, (8 - np.arange(8)) % 8].ravel()
"""Descriptor of a mirrored patch from that of the patch: across the dominant orientation rows swap, angles change sign.
"""


@dataclass(frozen=True)
class Features:
    """SIFT of one image. points (n, 2) float32, (x, y) in pixels of the original; descriptors (n, 128) uint8.

    hashes: pHash in the eight orientations. thumb: the luma at _PHOTOMETRIC pixels, for comparing pixels.
    """

    width: int
    height: int
    points: np.ndarray
    descriptors: np.ndarray
    hashes: tuple[int, ...]
    thumb: np.ndarray


@dataclass(frozen=True)
class Geometry:
    """The outcome of verified matches; other fields are as in ``rows.Cleaned``.

    share: inliers among the key points of the part that both show. psnr (dB), detail (correlation of fine detail): of
    the pixels after warping. points: inliers (n, 4), x and y in both images, in pixels.
    """

    inliers: int = 0
    scale: float = 0.0
    rotation: float = 0.0
    overlap: float = 0.0
    share: float = 0.0
    psnr: float = 0.0
    detail: float = 0.0
    points: np.ndarray | None = None


NONE = Geometry()


# -- one image -----------------------------------------------------------------------------------------------------


def features(image: Image, count: int = FEATURES) -> Features:
    """Compute SIFT key points, hashes and thumbnail of ``uint8 H x W x 3``."""
    import cv2

    height, width = image.shape[:2]
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = reduced(luma, LONG_SIDE)
    keypoints, descriptors = cv2.SIFT_create(nfeatures=count).detectAndCompute(small, None)
    points = np.array([k.pt for k in keypoints], np.float32).reshape(-1, 2)
    # pixel centres are at whole numbers: x of the reduced image is (x + 0.5) / factor - 0.5 of the original
    points = (points + 0.5) / (np.float32(small.shape[1] / width), np.float32(small.shape[0] / height)) - 0.5
    if descriptors is None:
        descriptors = np.zeros((0, 128), np.float32)
    thumb = reduced(luma, _PHOTOMETRIC).astype(np.float32)
    return Features(width, height, points.astype(np.float32), descriptors.astype(np.uint8), _hashes(luma), thumb)


def reduced(image: np.ndarray, long_side: int) -> np.ndarray:
    """Reduce the image (grey or RGB) by area averages until it is no longer than ``long_side``; never enlarge it."""
    import cv2

    factor = long_side / max(image.shape[:2])
    if factor >= 1:
        return image
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def root(descriptors: np.ndarray) -> np.ndarray:
    """Return RootSIFT, float32: the Euclidean distance of these is the Hellinger distance of the histograms."""
    values = descriptors.astype(np.float32)
    return np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1))


def _hashes(luma: np.ndarray) -> tuple[int, ...]:
    """pHash of the eight orientations: signs of the lowest 8 x 8 cosine coefficients of 32 x 32 luma about the median.

    A flip only changes signs of coefficients, and a transpose transposes them, so one transform does for all.
    """
    from scipy.fft import dctn

    small = np.asarray(PilImage.fromarray(luma).resize((32, 32), PilImage.Resampling.BOX), np.float64)
    low = dctn(small)[:8, :8]
    odd = np.where(np.arange(8) % 2, -1.0, 1.0)
    hashes = []
    for block in (low, low.T):
        for rows in (1.0, odd[:, None]):
            for columns in (1.0, odd[None, :]):
                values = block * rows * columns
                bits = (values > np.median(values)).ravel()
                hashes.append(int(np.packbits(bits).tobytes().hex(), 16))
    return tuple(hashes)


# -- two images ----------------------------------------------------------------------------------------------------


def relate(query: Features, other: Features, mirrored: bool = False) -> Geometry:
    """Verify matches from ``query`` to ``other``. mirrored: match with the mirror image of ``other``."""
    if min(len(query.points), len(other.points)) < MIN_SAMPLE:
        return NONE
    descriptors = other.descriptors[:, _MIRRORED] if mirrored else other.descriptors
    source, target = _matched(root(query.descriptors), root(descriptors))
    if len(source) < MIN_SAMPLE:
        return NONE
    theirs = _turned(other, mirrored)
    a, b = query.points[source].astype(np.float64), theirs[target].astype(np.float64)
    matrix, inside = _homography(a, b, query, other)
    shape = _shape(matrix, a[inside].mean(axis=0)) if inside.sum() >= MIN_SAMPLE else None
    if shape is None:
        return NONE
    scale, rotation = shape
    overlap = float(_inside(matrix, _places(query), other).mean())
    seen = _inside(matrix, query.points, other)
    reverse = _inside(np.linalg.inv(matrix), theirs, query)
    share = float(inside.sum() / max(1, min(seen.sum(), reverse.sum())))
    psnr, detail = _photometric(matrix, query, other, mirrored)
    points = np.concatenate([a[inside], b[inside]], axis=1).astype(np.float32)
    return Geometry(len(points), scale, rotation, overlap, min(1.0, share), psnr, detail, points)


def _matched(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of pairs that are each other's nearest and clearly nearer than the second nearest.

    Takes unit vectors.
    """
    similar = a @ b.T
    best = similar.argmax(axis=1)
    rows = np.arange(len(a))
    first = similar[rows, best]
    similar[rows, best] = -1  # no cosine is lower, so the maximum is now that of the second nearest
    second = similar.max(axis=1)
    similar[rows, best] = first
    # the ratio test is on distances: distance^2 = 2 - 2 cos
    good = (1 - first) < RATIO**2 * (1 - second)
    good &= similar.argmax(axis=0)[best] == rows
    return rows[good], best[good]


def _turned(other: Features, mirrored: bool) -> np.ndarray:
    return other.points * (-1, 1) + (other.width - 1, 0) if mirrored else other.points


def _homography(a: np.ndarray, b: np.ndarray, query: Features, other: Features) -> tuple[np.ndarray, np.ndarray]:
    """Return the 3x3 matrix from ``a`` to ``b`` (n, 2) in pixels of the originals, and which points agree.

    No points agree when RANSAC finds nothing.
    """
    import cv2

    # pixels of the reduced images, so that THRESHOLD means the same for photos of any size
    to_query = max(query.width, query.height, LONG_SIDE) / LONG_SIDE
    to_other = max(other.width, other.height, LONG_SIDE) / LONG_SIDE
    cv2.setRNGSeed(0)  # the same matches for the same photos
    matrix, mask = cv2.findHomography(
        a / to_query, b / to_other, cv2.RANSAC, THRESHOLD, maxIters=3000, confidence=0.999
    )
    if matrix is None:
        return np.eye(3), np.zeros(len(a), bool)
    back = np.diag([to_other, to_other, 1.0]) @ matrix @ np.diag([1 / to_query, 1 / to_query, 1.0])
    return back, mask.ravel().astype(bool)


def _shape(matrix: np.ndarray, at: np.ndarray) -> tuple[float, float] | None:
    """(scale, rotation in degrees counter-clockwise as seen) of a homography near a point; None if it folds there."""
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        return None  # singular up to rounding
    x, y, w = matrix @ (*at, 1.0)
    if abs(w) < 1e-9:
        return None  # the point lies on the horizon
    jacobian = (matrix[:2, :2] - np.outer((x / w, y / w), matrix[2, :2])) / w
    area = float(np.linalg.det(jacobian))
    if not 0.01 < area < 100:
        return None  # folded, or collapsed onto a few points; real photos stay within a factor of 10
    stretch = np.linalg.svd(jacobian, compute_uv=False)
    if stretch[0] > 4 * stretch[1]:
        return None  # seen from beyond 75 degrees, where SIFT does not match, so the fit is chance
    angle = np.degrees(np.arctan2(jacobian[1, 0] - jacobian[0, 1], jacobian[0, 0] + jacobian[1, 1]))
    return float(np.sqrt(area)), float(-angle)  # the sign turns because y points down


def _inside(matrix: np.ndarray, points: np.ndarray, frame: Features) -> np.ndarray:
    """Tell which points (n, 2) the matrix takes into the frame."""
    x, y, w = matrix @ np.column_stack([points, np.ones(len(points))]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = x / w, y / w
        # behind the camera w changes its sign
        return (w * matrix[2, 2] > 0) & (x >= 0) & (y >= 0) & (x < frame.width) & (y < frame.height)


def _places(query: Features) -> np.ndarray:
    y, x = np.mgrid[0:_GRID, 0:_GRID]
    return np.column_stack([(x.ravel() + 0.5) / _GRID * query.width, (y.ravel() + 0.5) / _GRID * query.height])


def _photometric(matrix: np.ndarray, query: Features, other: Features, mirrored: bool) -> tuple[float, float]:
    """PSNR after the best gain and offset, and correlation of detail, of the other image warped onto the query."""
    import cv2

    theirs = other.thumb[:, ::-1] if mirrored else other.thumb
    down = np.diag([query.thumb.shape[1] / query.width, query.thumb.shape[0] / query.height, 1.0])
    up = np.diag([theirs.shape[1] / other.width, theirs.shape[0] / other.height, 1.0])
    between = up @ matrix @ np.linalg.inv(down)
    ours = query.thumb
    size = (ours.shape[1], ours.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(theirs, between, size, flags=flags)
    valid = cv2.warpPerspective(np.ones_like(theirs), between, size, flags=flags) > 0.99
    # shrink the mask, because the blur below reaches over the edge
    valid = cv2.erode(valid.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    if valid.sum() < _LEAST_PIXELS:
        return 0.0, 0.0
    # blurring makes compression and resampling matter less than content
    ours, warped = (cv2.GaussianBlur(plane, (0, 0), 1.0) for plane in (ours, warped))
    psnr = _fitted(ours[valid], warped[valid])[1]
    fine = [cv2.Laplacian(plane, cv2.CV_32F)[valid] for plane in (ours, warped)]
    return psnr, _fitted(*fine)[0]


def _fitted(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """(correlation, PSNR in dB) after the best gain and offset of ``b``."""
    a, b = a.astype(np.float64) - a.mean(), b.astype(np.float64) - b.mean()
    power, product = float(b @ b), float(a @ b)
    error = float(np.mean((a - (product / power if power else 0.0) * b) ** 2))
    norm = float(np.sqrt((a @ a) * power))
    return product / norm if norm else 0.0, min(99.0, 10 * np.log10(255**2 / error)) if error else 99.0
