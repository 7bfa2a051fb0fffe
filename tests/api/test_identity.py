"""The digest of a function follows what it computes, and nothing else."""

import functools
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from refsr_bench.api.identity import Unidentified, digest_of

SHIFT = 1


def made(body: str, **names: object):
    """A function as a notebook makes it: from text, with globals of its own."""
    space = {"__name__": "__main__", "np": np, **names}
    exec(compile(f"def f(lr, refs, scale):\n    {body}", "<cell>", "exec"), space)
    return space["f"]


def test_the_same_text_is_the_same_code() -> None:
    assert digest_of(made("return lr * 2")) == digest_of(made("return  lr*2  # said otherwise"))
    assert digest_of(made("return lr * 2")) != digest_of(made("return lr * 3"))
    assert digest_of(made("return lr * 2")) != digest_of(made("return lr * 2.0"))
    assert digest_of(made("return np.abs(lr)")) != digest_of(made("return np.square(lr)"))


def test_globals_closures_and_defaults_count() -> None:
    def closed(value: object):
        return lambda lr, refs, scale: (lr, value)

    def default(value: int):
        def f(lr, refs, scale, value=value):
            return lr + value

        return f

    for one, other in ((1, 2), (1, True), ("a", "b"), ([1, 2], [1, 3]), ({"a": 1}, {"a": 2}), ({1, 2}, {1, 3})):
        assert digest_of(made("return lr + k", k=one)) == digest_of(made("return lr + k", k=one))
        assert digest_of(made("return lr + k", k=one)) != digest_of(made("return lr + k", k=other))
        assert digest_of(closed(one)) != digest_of(closed(other))
    assert digest_of(default(1)) != digest_of(default(2))
    assert digest_of(made("return lr", k=1)) == digest_of(made("return lr", k=2))  # it does not read k


def test_functions_behind_functions_count() -> None:
    def inner(text: str):
        return made("return g(lr)", g=made(text))

    assert digest_of(inner("return lr + 1")) != digest_of(inner("return lr + 2"))
    nested = "return [f(lr) for f in (lambda x: x + k,)]"
    assert digest_of(made(nested, k=1)) != digest_of(made(nested, k=2))

    @functools.lru_cache
    def one(x):
        return x + 1

    @functools.lru_cache
    def two(x):
        return x + 2

    assert digest_of(made("return g(lr)", g=one)) != digest_of(made("return g(lr)", g=two))
    assert digest_of(functools.partial(made("return lr"), k=1)) != digest_of(functools.partial(made("return lr"), k=2))
    assert digest_of([1, 2].append) != digest_of([1, 3].append)


def test_arrays_networks_and_objects_count() -> None:
    class Model:
        def __init__(self, gain: float) -> None:
            self.gain = gain

        def __call__(self, lr, refs, scale):
            return lr * self.gain

    assert digest_of(Model(1.0)) == digest_of(Model(1.0)) != digest_of(Model(2.0))
    assert digest_of(Model(1.0).__call__) != digest_of(Model(2.0).__call__)
    arrays = [np.zeros(5), np.zeros(5, np.float32), np.eye(5)]
    assert len({digest_of(made("return k", k=array)) for array in arrays}) == 3
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3), torch.nn.ReLU())
    first = digest_of(made("return net(lr)", net=net))
    assert digest_of(made("return net(lr)", net=net)) == first
    with torch.no_grad():
        net[0].bias[0] += 1
    assert digest_of(made("return net(lr)", net=net)) != first
    compiled = torch.compile(net, backend="eager")
    assert digest_of(compiled) == digest_of(torch.compile(net, backend="eager")) != digest_of(net)
    net[0].padding = (1, 1)
    assert digest_of(made("return net(lr)", net=net)) not in (first, digest_of(net))


def test_a_module_beside_the_notebook_counts_as_it_is_in_memory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_own_net.py").write_text("GAIN = 2\ndef run(x):\n    return GAIN * x\n")
    import my_own_net

    outside = made("return m.run(lr)", m=my_own_net)
    inside = made("import my_own_net; return my_own_net.run(lr)")
    before = digest_of(outside), digest_of(inside)
    (tmp_path / "my_own_net.py").write_text("GAIN = 3\ndef run(x):\n    return GAIN * x\n")
    assert (digest_of(outside), digest_of(inside)) == before  # what runs is still the old one
    monkeypatch.setattr(my_own_net, "GAIN", 3)
    assert digest_of(outside) != before[0] and digest_of(inside) != before[1]
    del sys.modules["my_own_net"]


def test_a_named_file_counts_with_its_contents(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"1")
    as_text, as_path = made("return open(k)", k=str(path)), made("return open(k)", k=path)
    before = digest_of(as_text), digest_of(as_path)
    path.write_bytes(b"2")
    assert digest_of(as_text) != before[0] and digest_of(as_path) != before[1]


def test_what_cannot_be_read_is_said() -> None:
    for thing in (threading.Lock(), (n for n in range(3)), memoryview(b"1")):
        with pytest.raises(Unidentified):
            digest_of(made("return k", k=thing))


def test_a_thing_that_holds_itself_ends() -> None:
    loop: list[object] = [1]
    loop.append(loop)
    assert digest_of(made("return k", k=loop)) == digest_of(made("return k", k=loop))

    def again(lr, refs, scale):
        return lr if scale == 1 else again(lr, refs, scale - 1)

    assert digest_of(again) == digest_of(again)
