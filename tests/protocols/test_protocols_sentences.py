"""Differences between protocols in sentences, for the shipped ones and for any fields of a run file."""

import dataclasses

import pytest

from refsr_bench.core import catalogue
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import ProtocolInfo
from refsr_bench.protocols import base, effects, wording
from refsr_bench.protocols.effects import sentences

SHIPPED = catalogue.collect("PROTOCOLS")


def info(protocol, **changes):
    """A protocol as run files hold it; ``changes`` to its fields as a person's editor would make them."""
    fields = protocol.fields() | changes
    return ProtocolInfo(
        protocol.label, protocol.name, protocol.version, digest(fields), "", protocol.psnr, protocol.ssim, fields
    )


def test_every_field_of_a_protocol_has_its_wording():
    fields = {f.name for f in dataclasses.fields(base.Protocol) if f.name not in ("name", "version", "base")}
    assert set(wording.SUBJECTS) == fields and set(wording.WORDS) <= fields


def test_every_pair_of_shipped_protocols_is_explained_field_by_field():
    for a in SHIPPED.values():
        for b in SHIPPED.values():
            ours, theirs = sentences(info(a), info(b)), effects.differences(a.fields(), b.fields())
            assert [text.split(":")[0] for text in ours] == [wording.SUBJECTS[item.field] for item in theirs]
            for text, item in zip(ours, theirs, strict=True):
                assert bool(item.worth) == ("Worth" in text)


def test_c2_and_srntt():
    assert sentences(info(SHIPPED["c2"]), info(SHIPPED["srntt"])) == [
        "Pixels left out on every side before measuring: c2, 4; srntt, 0. "
        "Worth Urban100 −0.007 dB and +0.0012 SSIM, Sun80 +0.015 dB and +0.0008 SSIM to plain bicubic x4.",
        "The window of SSIM: c2, 11x11 Gaussian of sigma 1.5; srntt, 7x7 box, scikit-image's default. "
        "Worth Urban100 +0.0165 SSIM, Sun80 +0.0135 SSIM to plain bicubic x4.",
        "Which references, by data set: c2, cufed5 level 1, sample level 1; srntt, cufed5 all, sample all. "
        "Worth for CUFED5, as published: TTSR 26.99 dB with level 1, 27.09 with all five stitched; "
        "MASA 27.35 with level 1, 27.54 in its paper.",
        "References of another size than HR: c2, HR and references cut to multiples, then padded with black at the "
        "bottom and right to their common size, before degradation; srntt, references as they are. "
        "Worth about 0 dB, as the black padding ends outside the scored pixels (a border of 4).",
    ]


def test_equal_fields_leave_nothing_to_say():
    assert sentences(info(SHIPPED["c2"]), info(SHIPPED["c2"])) == []


@pytest.mark.parametrize("value", [None, [1, 2], {"a": {"b": 1}}, "<script>", 10**30, True, "x" * 999])
def test_fields_of_any_kind_are_said_and_cut_short(value):
    (text,) = sentences(info(SHIPPED["c2"]), info(SHIPPED["c2"], border=value))
    assert text.startswith("Pixels left out") and len(text) < 400
    (text,) = sentences(info(SHIPPED["c2"], strange=value), info(SHIPPED["c2"], strange="other"))
    assert text.startswith("strange: c2 v1, ") and "c2 v1, other." in text


def test_random_references():
    a, b = SHIPPED["c2"].changed({"refs": "random:7"}), SHIPPED["c2"].changed({"refs": "all"})
    assert sentences(info(a), info(b))[0].startswith(
        "Which references: c2+refs=random:7, one drawn with seed 7; c2+refs=all, all. Worth for CUFED5, as published"
    )


# -- a protocol in one sentence ------------------------------------------------------------------------------------

TITLES = {"cufed5": "CUFED5", "sample": "Sample", "urban100": "Urban100", "mine": "Mine"}


def test_a_protocol_in_a_persons_words():
    assert wording.sentence(SHIPPED["c2"].fields(), {"cufed5": "CUFED5"}) == (
        "x4 by Pillow's bicubic, PSNR on luma, 4 border pixels cut; CUFED5 with its most similar reference."
    )
    assert wording.sentence(SHIPPED["masa"].fields(), TITLES) == (
        "x4 by Pillow's bicubic, HR padded to multiples of 32, PSNR on luma, no border pixels cut; CUFED5 and Sample "
        "with all of their references, joined into one, Urban100 with the LR image as its reference, Mine with its "
        "first reference."
    )
    changed = SHIPPED["matlab"].changed({"refs": "L3", "border": "1", "ssim_window": "uniform7"})
    assert wording.sentence(changed.fields(), {"cufed5": "CUFED5"}) == (
        "x4 by MATLAB's bicubic, PSNR on rounded luma, SSIM in a 7x7 box, 1 border pixel cut; CUFED5 with its "
        "reference of similarity level 3."
    )


def test_the_sentences_of_shipped_protocols_differ():
    assert len({wording.sentence(protocol.fields(), TITLES) for protocol in SHIPPED.values()}) == len(SHIPPED)


def test_every_value_has_its_short_words():
    assert all(set(wording.SHORT[name]) == set(wording.WORDS[name]) for name in wording.SHORT)


@pytest.mark.parametrize("value", [None, [1, 2], {"a": {"b": 1}}, "<script>", 10**30, True, "x" * 9999])
def test_a_strangers_fields_make_a_short_sentence_or_none(value):
    fields = dict.fromkeys(SHIPPED["c2"].fields(), value)
    assert len(wording.sentence(fields, TITLES)) < 2000
    assert wording.sentence({}, TITLES) == ""
