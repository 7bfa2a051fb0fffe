"""PyTorch's files in every way that trainers write them: what ``torch.load(weights_only=True)`` reads is read."""

import argparse
import collections
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from refsr_bench.core.errors import BenchError
from refsr_bench.formats import pytorch
from refsr_bench.formats.checkpoints import read_weights

LAYOUTS = {
    "zip": {},
    "legacy": {"_use_new_zipfile_serialization": False},
    "zip, protocol 3": {"pickle_protocol": 3},
    "zip, protocol 4": {"pickle_protocol": 4},
    "legacy, protocol 4": {"pickle_protocol": 4, "_use_new_zipfile_serialization": False},
}
BASE = torch.arange(24.0).view(4, 6)
DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
)


def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU())
    net(torch.randn(1, 3, 5, 5))
    return net


def trained() -> dict:
    """A checkpoint as trainers keep it, with the states of an optimiser and a scheduler."""
    net = network()
    optimiser = torch.optim.Adam(net.parameters(), amsgrad=True)
    net(torch.randn(1, 3, 5, 5)).sum().backward()
    optimiser.step()
    steps = torch.optim.lr_scheduler.MultiStepLR(optimiser, [2, 3, 3])
    return {
        "state_dict": {f"module.{key}": value for key, value in net.state_dict().items()},
        "meta": {"epoch": 3, "best": 27.5, "names": ["a", "b"], "size": torch.Size([1]), "none": None, "big": 1 << 90},
        "optimizer": optimiser.state_dict(),
        "scheduler": steps.state_dict(),
        "iter": 3,
        "random": torch.get_rng_state(),
        "digest": b"ab\xff",
    }


def with_attribute() -> nn.Parameter:
    made = nn.Parameter(torch.ones(2))
    made.origin = "elsewhere"
    return made


TIED = torch.randn(3, 3)
CONTENTS: dict[str, Any] = {
    "a state dict": network().state_dict(),
    "a training": trained(),
    "a generator of BasicSR": {"params": network().state_dict(), "params_ema": network().state_dict()},
    "parameters": {"a": nn.Parameter(torch.ones(2)), "b": nn.Parameter(torch.ones(2), requires_grad=False)},
    "a parameter with an attribute": {"a": with_attribute()},
    "an average": torch.optim.swa_utils.AveragedModel(network()).state_dict(),
    "views": {"a": BASE.t(), "b": BASE[1:, ::2], "c": BASE[2, 3], "d": BASE, "e": BASE[:0], "f": BASE.flip(0)},
    "repeated numbers": {"a": torch.ones(1).expand(100), "b": BASE[:, :1].expand(4, 9), "c": BASE[0, 0].expand(3)},
    "tied weights": {"a": TIED, "b": TIED, "c": TIED.t()},
    "empty and single": {"a": torch.empty(0), "b": torch.empty(0, 3), "c": torch.tensor(3), "d": torch.tensor(True)},
    "channels last": {"a": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)},
    "types of numbers": {str(dtype): torch.tensor([0, 1, 3]).to(dtype) for dtype in DTYPES},
    "types in views": {str(dtype): torch.arange(12).to(dtype).view(3, 4).t()[1:] for dtype in DTYPES},
    "a counter": {"a": torch.ones(1), "meta": collections.Counter("aab")},
    "tables in order": collections.OrderedDict(a=collections.OrderedDict(b=torch.ones(1))),
    "keys of other kinds": {"a": torch.ones(1), "meta": {(0, "x"): 1, 0.5: 2, None: 3, True: 4, 1 << 70: 5, b"k": 6}},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.pth"


def read(path: Path) -> Any:
    with pytorch.opened(path) as (content, load):
        return pytorch.everything(content, load)


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, torch.Tensor):
        # numbers that are no number must be the same, so the bytes are compared
        alike = ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.stride() == theirs.stride()
        return alike and raw(ours) == raw(theirs)
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], value) for key, value in theirs.items())
    if isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and ours == theirs


@pytest.mark.filterwarnings("ignore:Detected pickle protocol 3")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CONTENTS)
def test_all_that_pytorch_reads_is_read(path, name, layout):
    torch.save(CONTENTS[name], path, **LAYOUTS[layout])
    # PyTorch's own strict reader knows the operations of protocols 2 and 3 alone; these files are ours
    theirs = torch.load(path, weights_only="protocol 4" not in layout and (name, layout) not in BYTES)
    assert same(read(path), theirs)


# PyTorch refuses bytes of protocol 3
BYTES = {(name, "zip, protocol 3") for name in ("a training", "keys of other kinds")}


def test_tensors_that_share_a_storage_share_memory(path):
    torch.save({"a": TIED, "b": TIED, "c": TIED.t()}, path)
    state = read_weights(path)
    assert len({value.untyped_storage().data_ptr() for value in state.values()}) == 1


@pytest.mark.parametrize("layout", ["zip", "legacy"])
@pytest.mark.parametrize("wrap", ["state_dict", "params_ema"])
def test_the_state_dict_of_a_training_is_found(path, wrap, layout):
    net = network()
    prefixed = {f"module.{key}": value for key, value in net.state_dict().items()}
    torch.save({**trained(), "state_dict": None, wrap: prefixed}, path, **LAYOUTS[layout])
    assert same(read_weights(path), dict(net.state_dict()))


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_tensors_of_a_gpu_are_read_on_the_cpu(path, layout):
    torch.save({"a": BASE}, path, **LAYOUTS[layout])
    rewritten(path, lambda data: data.replace(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"))
    assert same(read_weights(path), torch.load(path, map_location="cpu", weights_only=True))


def rewritten(path: Path, change, **members: bytes) -> None:
    """Change the pickle of a file, and the members of an archive that are given."""
    if path.read_bytes()[:2] != b"PK":
        changed = change(path.read_bytes())
        path.write_bytes(changed)
        return
    with zipfile.ZipFile(path) as archive:
        contents = {member.filename: archive.read(member) for member in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            last = name.split("/", 1)[1]
            archive.writestr(name, members.get(last, change(data) if last == "data.pkl" else data))


def test_numbers_of_a_big_endian_machine_are_turned(path):
    state = {"a": BASE, "b": torch.arange(4), "c": torch.tensor([True, False]), "d": BASE.to(torch.bfloat16)}
    torch.save(state, path)
    rewritten(path, bytes, byteorder=b"big")
    assert same(read(path), torch.load(path, weights_only=True))
    assert not torch.equal(read(path)["a"], BASE)


def test_a_file_without_checksums_is_read(path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": BASE}, path)
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip()
    assert same(read(path), {"a": BASE})


def test_a_changed_number_is_noticed_by_the_checksum(path):
    torch.save({"a": BASE}, path)
    data = path.read_bytes()
    path.write_bytes(data.replace(BASE.numpy().tobytes(), BASE.flip(0).numpy().tobytes()))
    with pytest.raises(BenchError, match="cannot be read"):
        read_weights(path)


# -- what old versions wrote ---------------------------------------------------------------------------------------


def old(content: bytes, *storages: tuple[str, torch.Tensor], machine: bool = True) -> bytes:
    """Make a file as PyTorch 0.1 to 1.5 did, from the pickle of its content and the storages in their order."""
    about = {"protocol_version": 1001, "little_endian": machine, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    keys = [key for key, _ in storages]
    pickles = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, about)]
    numbers = [value.numel().to_bytes(8, "little") + value.numpy().tobytes() for _, value in storages]
    return b"".join((*pickles, content, pickle.dumps(keys, 2), *numbers))


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def tuple_of(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def storage(key: str, numbers: int, view: bytes = b"N", kind: str = "torch.cuda\nFloatStorage") -> bytes:
    about = (text("storage"), b"c" + kind.encode() + b"\n", text(key), text("cuda:0"), b"K" + bytes([numbers]), view)
    return tuple_of(*about) + b"Q"


def tensor(kept: bytes, function: str = "_rebuild_tensor") -> bytes:
    size, stride, more = b"K\x02K\x02\x86", b"K\x02K\x01\x86", b""
    if function.endswith("v2"):
        more = b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n" + function.encode() + b"\n" + tuple_of(kept, b"K\x01", size, stride, more) + b"R"


ORDERED = b"\x80\x02ccollections\nOrderedDict\n"
FIVE = torch.arange(5.0)
VIEW = tuple_of(text("part"), b"K\x01", b"K\x05")
PARAMETER = b"ctorch.nn.parameter\nParameter\n"
OLD = {
    "first version": ORDERED + b")R" + text("a") + tensor(storage("7", 5)) + b"s.",
    "second version": ORDERED + b")R" + text("a") + tensor(storage("7", 5), "_rebuild_tensor_v2") + b"s.",
    "tables of Python 2": ORDERED + b"]" + b"]" + text("a") + b"a" + tensor(storage("7", 5)) + b"aa\x85R.",
    "texts of Python 2": b"\x80\x02}U\x01a" + tensor(storage("7", 5).replace(text("storage"), b"U\x07storage")) + b"s.",
    "parameters of 0.3": b"\x80\x02}" + text("a") + PARAMETER + tensor(storage("7", 5)) + b"\x85\x81"
    + tuple_of(b"\x88", b"\x89", b"ccollections\nOrderedDict\n)R") + b"bs.",
}  # fmt: skip


@pytest.mark.parametrize("machine", [True, False])
@pytest.mark.parametrize("name", OLD)
def test_files_of_old_versions_are_read(path, name, machine):
    path.write_bytes(old(OLD[name], ("7", FIVE), machine=machine))
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    assert same(read_weights(path), {"a": FIVE[1:].view(2, 2)}) and torch.equal(theirs["a"].data, FIVE[1:].view(2, 2))


def test_a_part_of_a_storage_is_read(path):
    content = b"\x80\x02}" + text("a") + tensor(storage("7", 6, VIEW)) + b"s."
    path.write_bytes(old(content, ("7", torch.arange(6.0))))
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    assert same(read_weights(path), {"a": torch.arange(2.0, 6).view(2, 2)}) and same(read_weights(path), theirs)


# -- what is passed over, and what is refused ----------------------------------------------------------------------

BESIDE = {
    "a NumPy number": np.float64(27.5),
    "a NumPy array": np.arange(3),
    "complex numbers": torch.ones(2, dtype=torch.complex64).conj(),
    "a complex number": 1 + 2j,
    "a set": {1, 2},
    "a device": torch.device("cuda:0"),
    "a type": torch.float32,
    "a class of tensors": torch.FloatTensor,
    "a sparse tensor": torch.eye(3).to_sparse(),
}


@pytest.mark.parametrize("layout", ["zip", "legacy"])
@pytest.mark.parametrize("name", BESIDE)
def test_oddities_beside_the_weights_are_passed_over(path, name, layout):
    torch.save({"meta": {"x": BESIDE[name]}, "state_dict": {"a": BASE}}, path, **LAYOUTS[layout])
    assert same(read_weights(path), {"a": BASE})


@pytest.mark.parametrize("layout", ["zip", "legacy"])
@pytest.mark.parametrize("name", ["a NumPy number", "complex numbers", "a set", "a sparse tensor"])
def test_oddities_among_the_weights_are_named(path, name, layout):
    torch.save({"a": BASE, "b": BESIDE[name]}, path, **LAYOUTS[layout])
    with pytest.raises(BenchError, match=r"net\.pth cannot be read: b is an? "):
        read_weights(path)


class Mine:
    pass


@pytest.mark.parametrize("layout", ["zip", "legacy"])
@pytest.mark.parametrize("value", [argparse.Namespace(rate=0.1), Mine(), collections.defaultdict(int), Path("x")])
def test_objects_are_refused_by_name_as_pytorch_refuses_them(path, value, layout):
    torch.save({"args": value, "state_dict": {"a": BASE}}, path, **LAYOUTS[layout])
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    with pytest.raises(BenchError, match=rf"net\.pth asks for [\w.]*{type(value).__name__} while it is read"):
        read_weights(path)


def test_compressed_members_are_refused_in_words(path):
    """A small file would fill the memory; PyTorch reads it, but writes none."""
    torch.save({"a": BASE}, path)
    with zipfile.ZipFile(path) as archive:
        contents = {member.filename: archive.read(member) for member in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    with pytest.raises(BenchError, match="its members are compressed, which PyTorch never does"):
        read_weights(path)


def test_many_keys_of_other_kinds_are_refused(path):
    torch.save({"a": {(n, n): 1 for n in range(1000)}}, path)
    with pytest.raises(BenchError, match="keys that are neither text nor ordinary numbers"):
        read_weights(path)
