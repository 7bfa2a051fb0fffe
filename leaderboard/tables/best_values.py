"""The marks of the best and the second-best value of a column."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from leaderboard.tables.model import Score

MARKS = {1: "best", 2: "second"}
FEWEST = {"best": 2, "second": 3}  # contenders: alone, nothing is best; of two, the last is not called second best


def ranked(scores: Mapping[tuple, Score], direction: str = "higher") -> dict[tuple, Score]:
    """Places among the scores that may be ranked (rank 0), best first: 1, 1, 3 when two print alike.

    A mark needs FEWEST contenders.
    """
    contenders = {key: score for key, score in scores.items() if score.rank is not None}
    sign = -1 if direction == "lower" else 1

    def printed(score: Score) -> float:
        return sign * (math.inf if score.text == "∞" else float(score.text))

    places = dict(scores)
    for key, score in contenders.items():
        rank = 1 + sum(printed(other) > printed(score) for other in contenders.values())
        mark = MARKS.get(rank, "")
        marked = mark and len(contenders) >= FEWEST[mark]
        places[key] = dataclasses.replace(score, rank=rank, mark=mark if marked else "")
    return places
