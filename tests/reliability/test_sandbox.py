"""The sandbox notices each broken bound, and nothing where none is broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile.case import Case
from sandbox import Sandbox

BROKEN = {
    "raising": "traceback",
    "hanging": "no end after 1 seconds",
    "computing": "no end after 1 seconds",
    "growing": "more than 1024 MiB of memory",
    "peaking": "more than 1024 MiB of memory",
    "writing": "outside the case's folder",
    "writing_through_a_link": "outside the case's folder",
    "removing": "outside the case's folder",
    "renaming": "outside the case's folder",
    "starting": "a process was started",
    "shelling": "a process was started",
    "forking": "a process was started",
    "executing": "code of the input was executed",
    "calling": "the network was used",
    "unpickling": "was unpickled",
    "colouring": "control characters",
    "crashing": "died of signal 6",
    "chattering": "endless output",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_bound_is_noticed(name: str, sandbox: Sandbox) -> None:
    more = {"seconds": 1} if "seconds" in BROKEN[name] else {}  # memory is filled slowly where others work too
    outcome = sandbox.run([], f"misbehaving:{name}", **more)
    assert any(BROKEN[name] in fault for fault in outcome.faults), outcome


@pytest.mark.parametrize(
    ("name", "trap"),
    [("writing", "was changed"), ("removing", "was changed"), ("renaming", "was changed"), ("calling", "connection")],
)
def test_traps_notice_what_a_hook_could_miss(name: str, trap: str, sandbox: Sandbox) -> None:
    assert any(trap in fault for fault in sandbox.run([], f"misbehaving:{name}").faults)


def test_good_behaviour_has_no_faults(sandbox: Sandbox) -> None:
    outcome = sandbox.run([], "misbehaving:well_behaved")
    assert (outcome.exit, outcome.output, outcome.faults) == (1, "done\n", ())


def test_a_wrong_exit_code_and_a_message_without_the_name_are_faults(sandbox: Sandbox) -> None:
    def make(folder: Path) -> list[str]:
        return ["methods", "list"]

    _, wrong = sandbox.judge(Case("a command that succeeds", make, names="photo.png"))
    assert wrong == ["exit code 0, expected one of (1, 2)", "the message does not name 'photo.png'"]
