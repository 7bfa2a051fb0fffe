"""Every hostile input ends in words: quickly, in little memory, without a trace outside its folder."""

from __future__ import annotations

import pytest
from corpus import all_cases
from hostile.case import Case
from sandbox import Sandbox

CASES = all_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.encode("ascii", "backslashreplace").decode())
def test_a_hostile_input_is_refused_in_words_and_does_no_harm(case: Case, sandbox: Sandbox) -> None:
    outcome, wrong = sandbox.judge(case)
    assert not wrong, f"{'; '.join(wrong)}\n{outcome.output[-3000:]}"


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 400
