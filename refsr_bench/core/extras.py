"""Packages that only some commands need, and what a person installs when one of them is missing."""

from __future__ import annotations

from importlib.util import find_spec

from refsr_bench.core.errors import Misuse

EXTRAS: dict[str, tuple[str, dict[str, str]]] = {
    "build": ("Building a data set", {"faiss": "faiss-cpu", "httpcore2": "httpcore2", "protego": "protego"}),
    "onnx": ("Exporting weights to ONNX", {"onnx": "onnx", "onnxruntime": "onnxruntime", "onnxscript": "onnxscript"}),
    "study": ("The report of a study", {"krippendorff": "krippendorff"}),
}
"""By the name of an extra in pyproject.toml: what needs it, and the package for each module it imports."""


def require(extra: str) -> None:
    """Check that the packages of an extra are installed, before any work begins.

    Raises Misuse with the command that installs what is missing.
    """
    if told := _missing(extra):
        raise Misuse(told)


def explained(error: ImportError) -> str:
    """Say what a person can do about an import that failed; empty where only a programmer can."""
    if isinstance(error, ModuleNotFoundError):
        module = str(error.name).partition(".")[0]
        return next((_missing(extra) for extra, (_, packages) in EXTRAS.items() if module in packages), "")
    if ".so" not in str(error):
        return ""
    library = str(error).partition(":")[0]
    if error.name == "cv2" or library.startswith(("libGL", "libxcb", "libgthread", "libglib")):
        # The wheel opencv-python links to what draws windows, which servers and containers go without.
        return (
            f"OpenCV cannot start, because this system has no {library}. Install it (Debian, Ubuntu: "
            "apt-get install libgl1 libglib2.0-0 libxcb1), or take the OpenCV that draws no windows: "
            "pip uninstall -y opencv-python; pip install opencv-python-headless"
        )
    return f"A package cannot start, because this system has no {library}: {error}"


def _missing(extra: str) -> str:
    purpose, packages = EXTRAS[extra]
    missing = [package for module, package in packages.items() if find_spec(module) is None]
    return f"{purpose} needs {_listed(missing)}: pip install {' '.join(missing)}" if missing else ""


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
