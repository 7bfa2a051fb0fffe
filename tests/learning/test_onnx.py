"""ONNX files: onnxruntime makes the method's own image from them, at any size."""

import dataclasses

import numpy as np
import pytest
import torch
from skimage import data

from refsr_bench.core import catalogue
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.formats.checkpoints import synthetic
from refsr_bench.learning.tensors import degrade

onnx = pytest.importorskip("refsr_bench.learning.onnx")
runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

TINY = {  # all ways of building a network, as small as they get
    "srcnn": {"channels": 1, "kernels": [9, 5, 5]},
    "edsr": {"channels": 8, "blocks": 1},
    "enet": {"channels": 8, "blocks": 1},
    "srgan": {"channels": 8, "blocks": 1},
    "esrgan": {"channels": 8, "blocks": 1, "growth": 4},
    "rcan": {"channels": 8, "groups": 1, "blocks": 1, "reduction": 4},
    "ranksrgan": {"channels": 8, "blocks": 1},
    "swinir": {"channels": 8, "groups": 1, "layers": 2, "heads": 2},
    "c2matching": {"channels": 8, "blocks": [1, 1, 1, 1], "groups": 2},
}
OTHERS = [
    ("srcnn", {"channels": 3, "kernels": [9, 1, 5]}),
    ("srgan", {"modified": False, "channels": 8, "blocks": 1}),
    ("swinir", {"channels": 8, "groups": 1, "layers": 2, "heads": 2, "upsampler": "nearest+conv", "bottleneck": True}),
    ("c2matching", {**TINY["c2matching"], "aggregation": "copy"}),
    ("c2matching", {**TINY["c2matching"], "small_reference": False, "taps": "unmirrored"}),
]
SIZES = ((12, 17), (21, 9), (16, 8), (5, 30))  # rows and columns of LR; windows of SwinIR have 8


def example(rows, columns):
    photo = data.coffee()[100:, 150:]
    return degrade(photo[: 4 * rows, : 4 * columns])[0], [photo[8 : 4 * rows + 20, 4 : 4 * columns + 8]]


def network(name, options):
    card = catalogue.get("METHODS", name)
    net = synthetic(card.system.build(**options)).eval().requires_grad_(False)
    if card.system.matching:
        net.matching = "sub-cell"
    return card, net


def exported(name, options, out):
    card, net = network(name, options)
    done = onnx.export(card, net, out, [example(*size) for size in SIZES], {"weights": "made for a test"})
    return card, net, done


def check(name, options, out):
    _, _, done = exported(name, options, out)
    assert [*done.differences] == [(columns, rows) for rows, columns in SIZES]
    assert max(done.differences.values()) < 0.01
    return done


def test_one_file_serves_all_sizes(tmp_path):
    check("edsr", TINY["edsr"], tmp_path / "net.onnx")


def test_the_graph_of_c2matching_takes_its_matches_from_outside():
    card, net = network("c2matching", TINY["c2matching"])
    graph = onnx.graph_of(card, net)
    images, given = onnx._prepared(graph, *example(12, 17))
    with torch.no_grad():
        assert (graph.module(*given) - card.system.restore(net, *images)).abs().max() < 1e-5
        moved = graph.module(*given[:2], given[2] + 1)
    assert (moved - card.system.restore(net, *images)).abs().max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [*TINY.items(), *OTHERS])
def test_every_network_is_exported(name, options, tmp_path):
    check(name, options, tmp_path / "net.onnx")


def test_a_file_states_what_it_holds_and_takes_what_it_says(tmp_path):
    out = tmp_path / "new" / "srcnn.onnx"
    card, net, done = exported("srcnn", TINY["srcnn"], out)
    session = runtime.InferenceSession(out)
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["format"] == onnx.FORMAT and facts["method"] == "srcnn" and facts["weights"] == "made for a test"
    assert "[0, 1]" in facts["value_range"] and "enlarged x4" in facts["lr_up"]
    assert [port.name for port in done.inputs] == [each.name for each in session.get_inputs()] == ["lr_up"]
    assert session.get_inputs()[0].shape == [1, 3, "4*height", "4*width"] == session.get_outputs()[0].shape
    lr, _ = example(11, 14)
    values = onnx.values(card, net, lr)
    (sr,) = session.run(None, {"lr_up": values["lr_up"]})
    with torch.no_grad():
        own = card.system.restore(net, None, torch.from_numpy(values["lr_up"]), [])
    assert np.abs(sr - own.numpy()).max() < 1e-5


def test_an_image_that_differs_is_not_written(tmp_path):
    card, net = network("srcnn", TINY["srcnn"])

    def restore(net, lr, lr_up, refs):
        grey = 0.0 if torch.compiler.is_exporting() else 0.06 / 255
        return card.system.restore(net, lr, lr_up, refs) + grey

    other = dataclasses.replace(card, system=dataclasses.replace(card.system, restore=restore))
    with pytest.raises(BenchError, match=r"not written.*differs from the method's by 0\.06"):
        onnx.export(other, net, tmp_path / "net.onnx", [example(12, 17)], {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow  # the exporter tries several ways before it gives up
def test_a_network_whose_steps_depend_on_pixels_is_refused_in_words(tmp_path):
    card, net = network("srcnn", TINY["srcnn"])

    def restore(net, lr, lr_up, refs):
        return lr_up if lr.mean() > 0.5 else 1 - lr_up

    other = dataclasses.replace(card, system=dataclasses.replace(card.system, restore=restore))
    with pytest.raises(BenchError, match=r"not written\. PyTorch cannot express srcnn as one graph .*\(\w+"):
        onnx.export(other, net, tmp_path / "net.onnx", [example(12, 17)], {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "why"), [("masa", "works on references"), ("bicubic", "is no network")])
def test_what_has_no_graph_is_told_and_what_has_one_is_named(name, why):
    with pytest.raises(Misuse, match=rf"{name} cannot .*{why}.*c2matching.*swinir"):
        onnx.check(catalogue.get("METHODS", name))


def test_every_method_of_one_image_has_a_graph():
    names = {name for name, card in catalogue.collect("METHODS").items() if onnx.can_export(card)}
    assert names == {*TINY, "c2matching-gan"}


def test_missing_packages_are_named_with_the_command(monkeypatch):
    import refsr_bench.core.extras as extras

    monkeypatch.setattr(extras, "find_spec", lambda module: None if module == "onnxruntime" else True)
    with pytest.raises(Misuse, match="Exporting weights to ONNX needs onnxruntime: pip install onnxruntime"):
        onnx.check(catalogue.get("METHODS", "edsr"))
