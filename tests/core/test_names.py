"""Names that are nearest to a mistyped one."""

import pytest

from refsr_bench.core.names import did_you_mean, nearest

KNOWN = ("run", "robustness", "c2matching", "c2matching-gan", "psnr_y")


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("robustnes", ["robustness"]),
        ("c2matchin", ["c2matching"]),
        ("C2Matching", ["c2matching"]),
        ("psnr-y", ["psnr_y"]),
        ("rum", ["run"]),
        ("xyz", []),
    ],
)
def test_the_nearest_names_are_offered(name: str, names: list[str]) -> None:
    assert nearest(name, KNOWN) == names


def test_a_second_name_is_offered_if_it_is_almost_as_near() -> None:
    assert did_you_mean("robustnes", ("robustness", "run")) == "Did you mean robustness?"
    assert did_you_mean("b12", ("b1", "b2", "other")) == "Did you mean b1 or b2?"
    assert did_you_mean("zzz", ("b1", "b2")) == "Known: b1, b2."
