"""Lists of arrays that TensorLayer saved, read without running what is in the file."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.formats.tensorlayer_npz import read

ARRAYS = [
    np.arange(3 * 3 * 2 * 4, dtype=np.float32).reshape(3, 3, 2, 4),
    np.linspace(-1, 1, 4, dtype=np.float64),
    np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3)),
]


def object_array(arrays) -> np.ndarray:
    out = np.empty(len(arrays), dtype=object)
    out[:] = arrays
    return out


def npz(path: Path, content: bytes, shape: tuple[int, ...]) -> Path:
    """An archive whose ``params.npy`` says it is an object array of that shape and goes on with these bytes."""
    npy = io.BytesIO()
    np.lib.format.write_array_header_1_0(npy, {"descr": "|O", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("params.npy", npy.getvalue() + content)
    return path


def test_a_list_as_tensorlayer_saves_it(tmp_path) -> None:
    path = tmp_path / "srntt.npz"
    np.savez(path, params=object_array(ARRAYS))
    arrays = read(path)
    assert list(arrays) == ["0", "1", "2"]
    for value, expected in zip(arrays.values(), ARRAYS, strict=True):
        assert value.dtype == expected.dtype.newbyteorder("=") and np.array_equal(value, expected)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("numpy_1", [False, True])
def test_every_protocol_and_both_numpys(tmp_path, protocol, numpy_1) -> None:
    content = pickle.dumps(object_array(ARRAYS), protocol=protocol)
    if numpy_1 and protocol < 4:  # from protocol 4 on, names have their length before them
        content = content.replace(b"numpy._core", b"numpy.core")
    arrays = read(npz(tmp_path / "x.npz", content, (3,)))
    assert all(np.array_equal(arrays[str(n)], expected) for n, expected in enumerate(ARRAYS))


def test_a_list_written_by_python_2(tmp_path) -> None:
    """Python 2 pickles hold the bytes of arrays as strings (opcode U), which become text when they are read."""
    data = np.array([1.5, -2.25], "<f4").tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"U" + bytes([len(data)]) + data + b"tb"
    )
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x01\x85"
        b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89]"
        + array
        + b"atb."
    )
    assert read(npz(tmp_path / "x.npz", content, (1,)))["0"].tolist() == [1.5, -2.25]


def test_plain_arrays_by_name(tmp_path) -> None:
    np.savez_compressed(tmp_path / "x.npz", **{"conv/W": ARRAYS[0], "b": ARRAYS[2]})
    arrays = read(tmp_path / "x.npz")
    assert list(arrays) == ["conv/W", "b"] and np.array_equal(arrays["conv/W"], ARRAYS[0])
    assert arrays["b"].dtype.isnative and np.array_equal(arrays["b"], ARRAYS[2])


def test_code_in_the_list_is_named_and_not_run(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    for protocol in (2, 4):
        content = pickle.dumps(object_array([*ARRAYS, Trap()]), protocol=protocol)
        with pytest.raises(BenchError, match=r"asks for posix\.mkdir .* It was not run"):
            read(npz(tmp_path / "x.npz", content, (4,)))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("module", ["builtins.eval", "numpy.load", "numpy.lib.format.open_memmap", "_codecs.decode"])
def test_nothing_else_is_let_through(tmp_path, module) -> None:
    content = b"\x80\x02c" + module.rpartition(".")[0].encode() + b"\n" + module.rpartition(".")[2].encode() + b"\n."
    with pytest.raises(BenchError, match=f"asks for {module} "):
        read(npz(tmp_path / "x.npz", content, (1,)))


def test_other_encodings_are_refused(tmp_path) -> None:
    content = b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R."
    with pytest.raises(BenchError, match="not as NumPy writes it"):
        read(npz(tmp_path / "x.npz", content, (1,)))


def test_a_list_of_another_length_than_its_header(tmp_path) -> None:
    with pytest.raises(BenchError, match="another length"):
        read(npz(tmp_path / "x.npz", pickle.dumps(object_array(ARRAYS), protocol=2), (4,)))


@pytest.mark.parametrize("content", [[1.0, "x"], [None], [object_array(ARRAYS)], []])
def test_other_things_than_arrays(tmp_path, content) -> None:
    with pytest.raises(BenchError, match="something else than arrays"):
        read(npz(tmp_path / "x.npz", pickle.dumps(object_array(content), protocol=2), (len(content),)))


def test_damaged_files(tmp_path) -> None:
    whole = tmp_path / "whole.npz"
    np.savez(whole, params=object_array(ARRAYS), plain=ARRAYS[0])
    data = whole.read_bytes()
    damaged = [data[: len(data) * part // 7] for part in range(7)]
    at = data.index(ARRAYS[1].tobytes())  # one bit of a number: only the checksum tells
    damaged += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], b"not an archive", b"PK\x03\x04"]
    for number, content in enumerate(damaged):
        path = tmp_path / f"{number}.npz"
        path.write_bytes(content)
        with pytest.raises(BenchError, match="cannot be read"):
            read(path)


def test_half_an_array_in_a_whole_archive(tmp_path) -> None:
    npy = io.BytesIO()
    np.save(npy, ARRAYS[0])
    for content in (npy.getvalue()[:-8], npy.getvalue()[:5], npy.getvalue() + b"more", b""):
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("w.npy", content)
        with pytest.raises(BenchError, match="cannot be read"):
            read(tmp_path / "x.npz")


def test_no_file_and_an_empty_archive(tmp_path) -> None:
    with pytest.raises(Misuse, match="no weights file"):
        read(tmp_path / "none.npz")
    with zipfile.ZipFile(tmp_path / "x.npz", "w"):
        pass
    with pytest.raises(BenchError, match="something else than arrays"):
        read(tmp_path / "x.npz")
