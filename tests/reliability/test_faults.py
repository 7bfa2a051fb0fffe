"""Commands under faults end in words, lose nothing, and go on to the twin's bytes."""

from collections.abc import Iterator

import faults
import kills
import pytest
from commands import COMMANDS
from faults import FAULTS, Unavailable
from kills import Bench, Damage

# One or two commands for each fault; all are tried with the slow tests.
SOME = {
    ("full disk", "prepare"), ("file limit", "prepare"), ("read only", "prepare"), ("clock back", "prepare"),
    ("removed", "prepare"), ("removed", "leaderboard"), ("renamed", "run"), ("two at once", "prepare"),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with kills.bench(tmp_path_factory.mktemp("faults"), seeds=(1,)) as made:
        yield made


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        pytest.param(fault, name, marks=() if (fault, name) in SOME else pytest.mark.slow)
        for name in COMMANDS
        for fault in FAULTS
    ],
)
def test_a_hindered_command_says_so_and_goes_on(place: Bench, fault: str, name: str) -> None:
    try:
        FAULTS[fault](place, COMMANDS[name])
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.25, 0.75, 0.95])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_vanishes_stays_gone_at_any_moment(place: Bench, name: str, share: float) -> None:
    faults.vanishing(place, COMMANDS[name], share=share)


def test_a_command_that_ends_well_under_a_fault_is_damage(place: Bench) -> None:
    place.begin("prepare", COMMANDS["prepare"].make)
    line = COMMANDS["prepare"].lines[0]
    with pytest.raises(Damage, match="exit code 0"):
        faults._refused(place.start(line), line)
