"""Commands that were killed continue to the bytes of an uninterrupted twin, and the harness would see it if not."""

import random
from collections.abc import Iterator
from pathlib import Path

import kills
import pytest
from commands import COMMANDS, OUT, results
from kills import Bench, Damage

SEED = 20260101


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with kills.bench(tmp_path_factory.mktemp("kills"), seeds=(1,)) as made:
        yield made


def killed(place: Bench, name: str, wanted: int) -> int:
    done = story = 0
    while done < wanted:
        done += kills.tell(place, name, random.Random(f"{SEED}/{name}/{story}"), wanted - done)
        story += 1
    return done


@pytest.mark.parametrize("name", ["prepare", "run", "serve"])
def test_a_killed_command_continues_to_the_same_bytes(place: Bench, name: str) -> None:
    assert killed(place, name, 2) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", kills.NAMES)
def test_many_kills_lose_nothing(place: Bench, name: str) -> None:
    assert killed(place, name, 12) == 12


@pytest.mark.parametrize("harm", ["another byte", "a file less", "a file more"])
def test_damage_is_found(place: Bench, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    def damaged(folder: Path) -> dict[str, bytes]:
        found = results(folder)
        name = "CUFED5/manifest.json"
        if harm == "another byte":
            found[name] = found[name].replace(b'"pairs"', b'"Pairs"')
        elif harm == "a file less":
            del found[name]
        else:
            found["CUFED5/.manifest.json.partial"] = b""
        return found

    place.twin(COMMANDS["prepare"])
    monkeypatch.setattr(kills.commands, "results", damaged)
    with pytest.raises(Damage, match=r"manifest\.json.*: (differs from byte|is missing|should not be there)"):
        kills.tell(place, "prepare", random.Random(1))


def test_a_vote_that_is_lost_is_found(tmp_path: Path) -> None:
    trial = '"participant": "A", "item": "p1", "left": "one", "kind": "pair"'
    join = '{"action": "join", "participant": "A", "trials": [{"item": "p1", "left": "one", "kind": "pair"}]}\n'
    vote = f'{{"action": "vote", {trial}, "trial": 0, "choice": "left", "milliseconds": 1000}}\n'
    journal = tmp_path / "votes.jsonl"
    journal.write_text(join + vote)
    kills._check_votes(journal, "A", ["left"])
    for text, answers in ((join, ["left"]), (join + vote + vote, ["left"]), (join + vote, ["right"])):
        journal.write_text(text)
        with pytest.raises(Damage, match="the acknowledged votes are"):
            kills._check_votes(journal, "A", answers)


def test_pages_of_other_results_are_found(place: Bench) -> None:
    place.begin("run", COMMANDS["run"].make)
    assert place.start(COMMANDS["run"].lines[0]).wait() == 0
    place.check_pages("run")
    page = place.work / OUT / "site" / "index.html"
    page.write_text(page.read_text() + " ")
    with pytest.raises(Damage, match=r"not those of the results: index\.html"):
        place.check_pages("run")


def test_a_command_that_cannot_continue_is_told_with_its_words(place: Bench) -> None:
    broken = kills.Command("broken", (("data", "verify", "nothing"),))
    with pytest.raises(Damage, match="fails undisturbed"):
        place.twin(broken)
