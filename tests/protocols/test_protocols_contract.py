"""The promises of every protocol, whatever its convention."""

import json

import numpy as np
import pytest
from made import make_pair, manga, noise

from refsr_bench.core.catalogue import collect, get
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.protocols.base import parse_label, parse_settings, value_text

PROTOCOLS = collect("PROTOCOLS")
METRICS = collect("METRICS")

# Another value for every field, one that each protocol admits.
OTHER = {
    "scale": ("2", "4"),
    "hr_fit": ("mod-crop", "pad-replicate"),
    "hr_multiple": ("16", "8"),
    "hr_multiple_for": ("wrsr=8", ""),
    "lr_resizer": ("pil-bicubic", "matlab-bicubic"),
    "border": ("7", "8"),
    "channel": ("y", "rgb"),
    "y_rounded": ("true", "false"),
    "ssim_window": ("uniform7", "gauss11"),
    "refs": ("first", "all"),
    "standard_refs": ("cufed5=all,*=lr", "*=first"),
    "lr_ref": ("lr-up", "lr"),
    "stitch": ("none", "black-500"),
    "ref_size": ("native", "resize"),
}
ONE_VALUE = {"sr_values", "ref_lists"}


def another(protocol, field):
    """A change of one field, with what it must drag along."""
    now = value_text(protocol.fields()[field])
    values = {field: next(value for value in OTHER[field] if value != now)}
    if values.get("channel") == "rgb":
        values["ssim_window"] = "gauss11"
    if values.get("ssim_window") == "uniform7":
        values["channel"] = "y"
    return values


def test_the_seven_published_conventions_are_there():
    assert set(PROTOCOLS) >= {"c2", "srntt", "ttsr", "masa", "amsa", "mmagic-rgb", "matlab"}
    assert len({protocol.digest for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("dataset", ["cufed5", "wrsr", "urban100", "sample", "anything"])
def test_prepared_samples_fit(name, dataset):
    protocol, pair = PROTOCOLS[name], make_pair(hr=(70, 99), refs=((70, 91), (45, 100), (64, 64)))
    sample = protocol.prepare(pair, dataset)
    top, left, height, width = sample.crop
    assert sample.hr.shape == (height, width, 3)
    out_height, out_width = (n * sample.scale for n in sample.lr.shape[:2])
    assert top >= 0 and left >= 0 and top + height <= out_height and left + width <= out_width
    assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image in (sample.hr, sample.lr, *sample.refs))
    assert sample.refs and sample.ref_names
    assert tuple(ref.name for ref in protocol.references(pair, dataset)) in (sample.ref_names, ())
    # The LR shows the HR where crop says: bicubic back up is closer to it than to a shifted frame.
    up = np.asarray(sample.lr.repeat(sample.scale, 0).repeat(sample.scale, 1), float)
    assert np.corrcoef(up[top : top + height, left : left + width].ravel(), sample.hr.ravel())[0, 1] > 0.1
    again = protocol.prepare(pair, dataset)
    assert np.array_equal(again.lr, sample.lr) and again.ref_names == sample.ref_names


@pytest.mark.parametrize("name", PROTOCOLS)
def test_prepare_serves_the_sets_with_lists(name):
    page, names = manga(3)
    chosen = PROTOCOLS[name].prepare(page, "manga109").ref_names
    assert len(chosen) == 1 and chosen[0] != page.hr.name and chosen[0] in [*names, "lr"]
    scene = make_pair("lake", refs=[(40, 40)] * 20, position=17)
    assert PROTOCOLS[name].prepare(scene, "sun80").ref_names[0] in [ref.name for ref in scene.refs]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_field_is_in_the_digest_and_the_label_round_trips(name):
    protocol = PROTOCOLS[name]
    changeable = set(protocol.fields()) - {"name", "version"}
    assert changeable == set(OTHER) | ONE_VALUE
    digests = {protocol.digest}
    for field in OTHER:
        values = another(protocol, field)
        if field == "scale":
            values["hr_multiple_for"] = ""
        changed = protocol.changed(values)
        assert changed.digest not in digests, field
        digests.add(changed.digest)
        assert changed.label.startswith(f"{name}+") and f"{field}=" in changed.label
        again = parse_label(changed.label, lambda wanted: get("PROTOCOLS", wanted))
        assert (again.digest, again.label) == (changed.digest, changed.label)
    assert protocol.label == name and parse_label(name, PROTOCOLS.__getitem__) == protocol


@pytest.mark.parametrize("name", PROTOCOLS)
def test_changing_back_is_no_change(name):
    protocol = PROTOCOLS[name]
    there = protocol.changed({"border": "9"})
    back = there.changed({"border": str(protocol.border)})
    assert there.label == f"{name}+border=9"
    assert (back.label, back.digest) == (name, protocol.digest) and back == protocol


@pytest.mark.parametrize("name", PROTOCOLS)
def test_cards_are_complete(name):
    protocol = PROTOCOLS[name]
    assert protocol.metrics[:2] == (protocol.psnr, protocol.ssim)
    assert set(protocol.metrics) <= set(METRICS) and len(set(protocol.metrics)) == len(protocol.metrics)
    assert {"psnr_y", "ssim_y", "ssim_y_uniform7", "psnr_rgb", "lpips"} <= set(protocol.metrics)
    assert json.loads(json.dumps(protocol.fields())) == protocol.fields()  # a run file holds them unchanged
    assert protocol.summary.endswith(".") and str(protocol.scale) in protocol.summary


@pytest.mark.parametrize("name", PROTOCOLS)
def test_images_that_are_too_small_are_named(name):
    for size in ((1, 1), (3, 200)):
        with pytest.raises(BenchError, match=r"pair 'tiny' of wrsr \(tiny_0\.png\) is too small"):
            PROTOCOLS[name].prepare(make_pair("tiny", hr=size), "wrsr")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_pair_without_references_is_named_unless_none_are_wanted(name):
    alone = make_pair("x", refs=())
    with pytest.raises(BenchError, match=r"'x' of wrsr has no reference images.*--refs lr"):
        PROTOCOLS[name].prepare(alone, "wrsr")
    assert PROTOCOLS[name].changed({"refs": "none"}).prepare(alone, "wrsr").refs == ()
    assert len(PROTOCOLS[name].changed({"refs": "lr"}).prepare(alone, "wrsr").refs) == 1


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_other_scales(scale):
    protocol = PROTOCOLS["c2"].changed({"scale": str(scale), "hr_multiple": str(scale * 2)})
    sample = protocol.prepare(make_pair(), "wrsr")
    assert sample.hr.shape[0] == 50 - 50 % (2 * scale)
    assert sample.lr.shape[0] * scale == sample.refs[0].shape[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"boarder": "0"}, "no field 'boarder'. Did you mean border"),
        ({"lr-resizer": "x"}, "no field 'lr-resizer'. Did you mean lr_resizer"),
        ({"zzz": "0"}, "Known: scale, hr_fit"),
        ({"name": "x"}, "no field 'name'"),
        ({"border": "-1"}, "border=-1: it takes a whole number from 0 to 1024"),
        ({"border": "four"}, "border=four: it takes a whole number"),
        ({"y_rounded": "yes"}, "it takes true or false"),
        ({"lr_resizer": "matlab"}, "did you mean matlab-bicubic"),
        ({"refs": "level:0"}, "a rule is one of all, first"),
        ({"refs": "random:x"}, "random:SEED, or standard"),
        ({"standard_refs": "cufed5"}, "it takes NAME=VALUE"),
        ({"scale": "3"}, "hr_multiple=4 is no multiple of scale=3.*--set hr_multiple=6"),
        ({"channel": "rgb", "ssim_window": "uniform7"}, "no SSIM with the uniform7 window on channel rgb"),
        ({"refs": "standard", "standard_refs": "cufed5=all"}, "states no reference rule for 'wrsr'"),
    ],
)
def test_wrong_settings_are_misuse(values, message):
    with pytest.raises(Misuse, match=message):
        PROTOCOLS["c2"].changed(values).prepare(make_pair(), "wrsr")


def test_settings_are_read_from_the_command_line():
    assert parse_settings(["border=0", "standard_refs=cufed5=all"]) == {"border": "0", "standard_refs": "cufed5=all"}
    with pytest.raises(Misuse, match="'border' is no setting"):
        parse_settings(["border"])
    with pytest.raises(Misuse, match="set twice"):
        parse_settings(["border=0", "border=1"])


def test_inputs_are_not_modified():
    image = noise(52, 60)
    pair = make_pair(hr=(52, 60), refs=((52, 60),))
    for protocol in PROTOCOLS.values():
        sample = protocol.prepare(pair, "wrsr")
        assert np.array_equal(pair.hr.load(), image)
        assert not np.shares_memory(sample.lr, sample.hr)
