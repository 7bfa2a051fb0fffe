"""ENet: golden vectors, the authors' weights where they are at hand, and the reader of their TensorFlow checkpoint."""

import json
import struct

import numpy as np
import pytest
import torch
from golden import closeness, fill, golden, official

from baselines import enet
from baselines.nets.enet import ENet, bicubic_top_left
from refsr_bench.core import catalogue
from refsr_bench.core.errors import BenchError
from refsr_bench.data.opening import open_dataset
from refsr_bench.formats import tensorflow_v1
from refsr_bench.formats.checkpoints import read_weights

SIZES = {"channels": 64, "blocks": 10}
SMALL = {"channels": 4, "blocks": 2}


def loaded(states):
    options, state = enet.convert(states)
    net = enet.build(**options)
    net.load_state_dict(state)
    return net.eval(), options


def tensorflow_name(key: str) -> str:
    """Our name -> that of the variable, for the published size."""
    module, kind = key.rsplit(".", 1)
    names = ["conv_first", *(f"body.{i}.conv{j}" for i in range(10) for j in (1, 2))]
    n = [*names, "conv_up1", "conv_up2", "conv_hr", "conv_last"].index(module)
    return f"generator/Conv{f'_{n}' if n else ''}/{'weights' if kind == 'weight' else 'biases'}"


def variables(**options):
    """A small network and its weights as TensorFlow has them, the names in the order of use."""
    torch.manual_seed(0)
    net = ENet(**SMALL | options)
    modules = [module for module in net.modules() if isinstance(module, torch.nn.Conv2d)]
    arrays = {}
    for n, module in enumerate(modules):
        name = f"generator/Conv_{n}" if n else "generator/Conv"
        arrays[f"{name}/weights"] = module.weight.detach().permute(2, 3, 1, 0).contiguous().numpy()
        arrays[f"{name}/biases"] = module.bias.detach().numpy()
    return net.eval(), arrays


# -- the network ---------------------------------------------------------------------------------------------------


def test_same_output_as_the_golden_vectors(shared) -> None:
    arrays, meta = golden(shared, "enet")
    net = fill(ENet(), meta, tensorflow_name)
    assert closeness(net(arrays["in_lr"]), arrays["out_sr"]) < 1e-4
    assert closeness(bicubic_top_left(arrays["in_lr"] - net.mean) + net.mean, arrays["out_bicubic_skip"]) < 1e-5


@pytest.mark.parametrize("order", ["out in height width", "height width in out"])
def test_variables_are_taken_in_either_order(shared, order) -> None:
    arrays, meta = golden(shared, "enet")
    state = official(meta)
    if order == "height width in out":
        state = {k: v.permute(2, 3, 1, 0) if v.ndim == 4 else v for k, v in state.items()}
    net, options = loaded([state])
    assert options == SIZES
    assert closeness(enet.restore(net, arrays["in_lr"], None, []), arrays["out_sr"]) < 1e-4


def test_interpolation_goes_through_the_pixels_and_repeats_the_border() -> None:
    x = torch.rand(2, 3, 5, 7)
    y = bicubic_top_left(x)
    assert closeness(y[..., ::4, ::4], x) < 1e-6
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    assert bicubic_top_left(ramp)[0, 0, 9, 4:24].tolist() == pytest.approx(_kept(ramp[0, 0, 0].numpy())[4:24], abs=1e-5)
    flat = torch.full((1, 1, 3, 3), 0.3)
    assert closeness(bicubic_top_left(flat), torch.full((1, 1, 12, 12), 0.3)) < 1e-6


def _kept(row: np.ndarray) -> list[float]:
    """Keys' interpolation with a = -0.75 at i / 4, written out."""
    values = []
    for i in range(4 * len(row)):
        t, total = i / 4, 0.0
        for tap in range(int(t) - 1, int(t) + 3):
            d, a = abs(t - tap), -0.75
            near, far = (a + 2) * d**3 - (a + 3) * d**2 + 1, a * (d**3 - 5 * d**2 + 8 * d - 4)
            total += (near if d <= 1 else far if d < 2 else 0) * row[min(max(tap, 0), len(row) - 1)]
        values.append(total)
    return values


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 9)])
def test_any_size_is_restored_and_every_weight_learns(height, width) -> None:
    torch.manual_seed(0)
    net = enet.build(channels=32, blocks=1)
    sr = enet.restore(net, torch.rand(2, 3, height, width), None, [torch.rand(2, 3, 24, 20)])
    assert sr.shape == (2, 3, 4 * height, 4 * width)
    sr.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_file_of_another_model_is_not_taken() -> None:
    assert enet.convert([{"conv_first.weight": torch.zeros(64, 3, 3, 3)}]) is None
    _, arrays = variables()
    arrays = {key: torch.from_numpy(array) for key, array in arrays.items()}
    assert enet.convert([arrays | {"generator/Conv_9/weights": torch.zeros(3, 3, 4, 4)}]) is None
    del arrays["generator/Conv_4/biases"]
    assert enet.convert([arrays]) is None


def test_parameters_of_the_published_network() -> None:
    assert sum(p.numel() for p in ENet().parameters()) == 852_867 == enet.METHODS[0].parameters


# -- the authors' weights ------------------------------------------------------------------------------------------


def test_the_authors_weights_give_their_output(shared) -> None:
    with np.load(shared / "baselines" / "enet_real.npz", allow_pickle=False) as file:
        lr, sr = (torch.from_numpy(file[key]) for key in ("in_lr", "out_sr"))  # a uint8 image, and (1, 3, H, W)
    net, options = loaded([read_weights(shared / "baselines" / "enhancenet" / "weights")])
    assert options == SIZES
    assert closeness(enet.restore(net, lr.permute(2, 0, 1)[None] / 255, None, []), sr) < 1e-4


@pytest.mark.slow
@torch.inference_mode()
def test_the_authors_weights_give_the_published_quality_image_by_image(shared) -> None:
    """The first images of Urban100, whose whole gives the 23.63 / .711 of the table."""
    expected = json.loads((shared / "baselines" / "enhancenet" / "expected.json").read_text())["images"]
    method = enet.METHODS[0].load(shared / "baselines" / "enhancenet" / "weights", "cpu")
    dataset = open_dataset("urban100", shared / "data" / "classic_x4" / "Urban100")
    protocol = catalogue.get("PROTOCOLS", "srntt")
    measured = 0
    for pair in dataset.pairs:
        sample = protocol.prepare(pair, "urban100")
        sr = method.predict(sample.lr, sample.refs, sample.scale).sr
        for metric, tolerance in (("psnr_y", 0.002), ("ssim_y_uniform7", 0.0002)):
            compute = catalogue.get("METRICS", metric).load("cpu", None)
            value = compute(sr, sample.hr, protocol.border, protocol.y_rounded)
            assert value == pytest.approx(expected[pair.id][metric], abs=tolerance), (pair.id, metric)
        measured += 1
    assert measured == len(expected)


# -- TensorFlow V1 checkpoints -------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def proto(*fields: tuple[int, bytes | int]) -> bytes:
    """A protocol buffer of numbers and of whatever has a length."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def block(entries: list[tuple[bytes, bytes]], every: int = 3) -> bytes:
    """Entries with shared beginnings of keys; every third key is whole."""
    out, restarts, before = b"", [], b""
    for n, (key, value) in enumerate(entries):
        shared = 0
        if n % every == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(before), len(key)) and before[shared] == key[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    return out + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def table(entries: list[tuple[bytes, bytes]], per_block: int = 4, compression: int = 0) -> bytes:
    """A sorted string table, as TensorFlow and LevelDB write it."""
    out, index = b"", []

    def put(content: bytes) -> bytes:
        nonlocal out
        handle = varint(len(out)) + varint(len(content))
        content += bytes([compression])
        out += content + struct.pack("<I", tensorflow_v1.masked(tensorflow_v1.crc32c(content)))
        return handle

    for start in range(0, len(entries), per_block):
        part = entries[start : start + per_block]
        index.append((part[-1][0] + b"\x01", put(block(part))))
    footer = put(block([])) + put(block(index, every=1))
    return out + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


TYPES = {"float32": (1, 5, "<f4"), "float64": (2, 6, "<f8"), "int64": (9, 10, None)}


def checkpoint(arrays: dict[str, np.ndarray], part: bytes = b"", **layout) -> bytes:
    """The bytes of a TensorFlow V1 checkpoint. part: extent of the first dimension, where not the whole is saved."""
    metas, entries = b"", []
    for name, array in arrays.items():
        kind, field, dtype = TYPES[array.dtype.name]
        shape = proto(*((2, proto((1, side))) for side in array.shape))
        whole = proto(*((1, part if d == 0 else b"") for d in range(array.ndim)))
        metas += proto((1, proto((1, name.encode()), (2, shape), (3, kind), (4, whole))))
        numbers = array.astype(dtype).tobytes() if dtype else b"".join(varint(int(v)) for v in array.flat)
        data = proto((1, name.encode()), (2, whole), (3, proto((field, numbers))))
        entries.append((b"\0" + name.encode() + b"\0\1\1", proto((2, data))))
    return table([(b"", proto((1, metas))), *sorted(entries)], **layout)


@pytest.fixture
def saved(tmp_path):
    def save(data: bytes, name: str = "weights"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return save


def test_a_checkpoint_becomes_the_network(saved) -> None:
    net, arrays = variables()
    path = saved(checkpoint(arrays | {"generator/Conv/weights/Adam": np.ones(3, np.float32)}))
    assert tensorflow_v1.is_checkpoint(path)
    again, options = loaded([read_weights(path)])
    lr = torch.rand(1, 3, 6, 5)
    assert options == SMALL and again(lr).equal(net(lr))


@pytest.mark.parametrize("per_block", [1, 3, 100])
def test_every_number_comes_back(saved, per_block) -> None:
    rng = np.random.default_rng(0)
    arrays = {f"a/b_{n}/{word}": rng.normal(size=(n, 2)).astype("f4") for n in range(1, 9) for word in ("x", "xy")}
    arrays |= {"scalar": np.array(2.5, "f4"), "double": np.array([1 / 3]), "step": np.array([300])}
    read = tensorflow_v1.read(saved(checkpoint(arrays, per_block=per_block)))
    assert read.keys() == arrays.keys() - {"step"} and {array.dtype.name for array in read.values()} == {"float32"}
    assert all(np.array_equal(read[name], arrays[name].astype("f4")) for name in read)


def test_other_files_are_no_checkpoints(saved) -> None:
    for data in (b"", b"short", b"x" * 1000, checkpoint(variables()[1])[:-1]):
        assert not tensorflow_v1.is_checkpoint(saved(data))


def test_checksum_is_castagnolis() -> None:
    assert tensorflow_v1.crc32c(b"123456789") == 0xE3069283  # the check value of the catalogues
    assert tensorflow_v1.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def test_every_damaged_byte_is_noticed(saved) -> None:
    """Every byte counts but the empty meta-index, its handle and the zeros behind the handles, which are not read."""
    data = checkpoint({"a": np.arange(3, dtype="f4"), "ab": np.ones((2, 2), "f4")}, per_block=2)
    footer, (offset, size) = len(data) - 48, tensorflow_v1._handle(data, len(data) - 48)[0]
    handles = data[footer:-8].rstrip(b"\0")
    first = len(varint(offset) + varint(size))
    unread = {
        *range(offset, offset + size + 5),
        *range(footer, footer + first),
        *range(footer + len(handles), footer + 40),
    }
    assert len(unread) < 60 < footer
    for at in set(range(len(data))) - unread:
        changed = bytearray(data)
        changed[at] ^= 4
        with pytest.raises(BenchError, match="cannot be read"):
            tensorflow_v1.read(saved(bytes(changed)))


@pytest.mark.parametrize("cut", [slice(0, 30), slice(0, 500), slice(40, None), slice(0, 0)])
def test_half_a_file_is_named(saved, cut) -> None:
    with pytest.raises(BenchError, match=r"cannot be read: .*half downloaded"):
        tensorflow_v1.read(saved(checkpoint(variables()[1])[cut]))


ONE = {"a": np.ones((2, 3), "f4")}


def tensor(name: bytes, numbers: bytes) -> bytes:
    return proto((2, proto((1, name), (3, proto((5, numbers))))))


META = proto((1, proto((1, proto((1, b"a"), (2, proto((2, proto((1, 2))))), (3, 1))))))


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (checkpoint(ONE, compression=1), "weights", "compressed"),
        (checkpoint(ONE), "model.ckpt-00000-of-00002", "one of 2 parts"),
        (checkpoint(ONE, part=proto((1, 0), (2, 1))), "weights", "a is in parts"),
        (table([(b"", proto((1, 1), (2, 0))), (b"a", b"")]), "model.ckpt.index", "index of a V2 checkpoint"),
        (table([(b"k", b"v")]), "000005.ldb", "without a list of tensors"),
        (table([(b"", META)]), "weights", "a is in its list of tensors, but not in the file"),
        (table([(b"", META), (b"a", tensor(b"a", bytes(4)))]), "w", "2 numbers, not 1"),
        (table([(b"", META), (b"b", tensor(b"b", bytes(8)))]), "w", "its list of tensors lacks"),
        (table([(b"", META), (b"a", b"\xff\xff")]), "w", "half downloaded"),
        (table([(b"", META), (b"a", proto((3, 1)))]), "w", "not tensors"),
        (table([(b"", META), (b"a", proto((2, proto((1, 5)))))]), "w", "not tensors"),
    ],
)
def test_what_a_file_is_instead_is_said(saved, data, name, words) -> None:
    with pytest.raises(BenchError, match=words):
        tensorflow_v1.read(saved(data, name))


def test_a_single_shard_is_read(saved) -> None:
    assert tensorflow_v1.read(saved(checkpoint(ONE), "model.ckpt-00000-of-00001")).keys() == {"a"}
