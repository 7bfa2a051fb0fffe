"""A disk that is full or read-only is told in words, keeps what was there, and the same command goes on afterwards."""

import sys

import disks
import pytest
from sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limits and mounts")

COMMANDS = {
    "init": ("nothing", "build wrsr init P"),
    "queries": ("project", "build wrsr queries P --from photos"),
    "pool": ("project", "build wrsr pool P --from photos"),
    "clean": ("uncleaned", "build wrsr clean P"),
    "select": ("project", "build wrsr select P --auto"),
    "rescale": ("unscaled", "build wrsr rescale P"),
    "export": ("project", "build wrsr export P"),
    "study init": ("images", "study init S --images Fine=fine --images Coarse=coarse"),
    "study import": ("voted", "study import S votes.csv"),
    "study report": ("voted", "study report S --out report"),
    "data prepare": ("download", "data prepare wrsr --from down --data-root root"),
}


SMALL = {"init", "select", "clean", "study import"}  # these write less than a few KiB


@pytest.mark.parametrize("most", [40, 3000])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_may_not_grow_is_told_and_the_same_command_goes_on(
    sandbox: Sandbox, command: str, most: int
) -> None:
    if most == 3000 and command in SMALL:
        pytest.skip("writes less")
    _passes(sandbox, "disks:full", command, str(most))


LEFT = {0: set(COMMANDS) - {"study import"}, 40: {"queries", "pool", "export", "study init", "data prepare"}}


@pytest.mark.parametrize(("left", "command"), [(left, name) for left in LEFT for name in sorted(LEFT[left])])
def test_a_full_disk_is_told_and_the_same_command_goes_on(sandbox: Sandbox, command: str, left: int) -> None:
    """left: KiB of room when the command begins; each command here needs more."""
    _passes(sandbox, "disks:small", command, str(left))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_read_only_folder_is_told(sandbox: Sandbox, command: str) -> None:
    _passes(sandbox, "disks:read_only", command)


def _passes(sandbox: Sandbox, main: str, command: str, *more: str) -> None:
    prepared, words = COMMANDS[command]
    outcome = sandbox.run([prepared, *more, *words.split()], main)
    if disks.NO_MOUNT in outcome.output:
        pytest.skip(disks.NO_MOUNT)
    assert outcome.exit == 0 and not outcome.faults, (outcome.faults, outcome.output)
