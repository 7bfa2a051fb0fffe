"""Every hostile input ends in words: quickly, in little memory, without a trace outside its folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from corpus import all_cases
from hostile.case import Case
from sandbox import Sandbox

CASES = all_cases()


def _marked(cases: Iterable[Case]) -> Iterator[object]:
    """Yield parameters: each kind of input meets one command by default, the others with the slow tests."""
    seen = set()
    for case in cases:
        kind = (case.name.partition(":")[0], case.name.rpartition(": ")[2])
        name = case.name.encode("ascii", "backslashreplace").decode()
        yield pytest.param(case, marks=[pytest.mark.slow] if kind in seen else [], id=name)
        seen.add(kind)


PARAMETERS = list(_marked(CASES))


@pytest.mark.parametrize("case", PARAMETERS)
def test_a_hostile_input_is_refused_in_words_and_does_no_harm(case: Case, sandbox: Sandbox) -> None:
    outcome, wrong = sandbox.judge(case)
    assert not wrong, f"{'; '.join(wrong)}\n{outcome.output[-3000:]}"


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 1000 and sum(not parameter.marks for parameter in PARAMETERS) >= 450
