"""Damaged weights files lead to words: a fixed set of mutations always, and atheris where it is installed."""

import random

import pytest
from fuzz import TARGETS, mutated, run


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_refused_in_words(name, tmp_path):
    target, rng = TARGETS[name], random.Random(name)
    path = tmp_path / f"net{target.suffix}"
    seeds = list(target.seeds())
    for number in range(200):
        data = mutated(seeds[number % len(seeds)], rng)
        path.write_bytes(data)
        try:
            target(path)
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error}; input {data.hex()}")


@pytest.mark.parametrize("name", TARGETS)
def test_a_sound_file_is_read(name, tmp_path):
    """The seeds are what the parsers accept; otherwise fuzzing would stop at the first check."""
    from refsr_bench.formats.checkpoints import read_weights

    if name == "tensorflow-messages":
        pytest.skip("a part of a file")
    for seed in TARGETS[name].seeds():
        path = tmp_path / f"net{TARGETS[name].suffix}"
        path.write_bytes(seed)
        assert read_weights(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_fuzzing_finds_nothing(name):
    pytest.importorskip("atheris", reason="needs atheris, on Linux with CPython: pip install '.[fuzz]'")
    assert run(5, [name])[name] > 0
