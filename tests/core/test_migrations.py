"""Run files of older versions state facts by their wording, which become fields."""

import pytest

from refsr_bench.core.migrations import current_run


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sample.rotation+scale.small", ("sample", "rotation+scale", "small")),
        ("my.own.scale.0.5", ("my.own", "scale", "0.5")),
        ("sample.rotation.-20", ("sample", "rotation", "-20")),
        ("my.own.unrelated", ("my.own", "unrelated", "unrelated")),
        ("transform.small", ("transform", "given", "small")),
        ("transform.small.unrelated", ("transform", "unrelated", "unrelated")),
        ("hpatches", None),
        ("my.own", None),
    ],
)
def test_the_name_of_a_changed_data_set_was_its_variation(name, expected):
    run = {"schema_version": 2, "kind": "robustness", "dataset": {"name": name}}
    found = current_run(run, "x")["dataset"]["variation"]
    assert found == (expected and dict(zip(("base", "kind", "level"), expected, strict=True)))
    assert current_run(run | {"kind": "benchmark"}, "x")["dataset"]["variation"] is None


def test_labels_and_titles_of_older_files_become_fields():
    protocol = {"name": "c2", "label": "c2+border=0+refs=level:3"}
    change = {"base": "sample", "kind": "rotation", "level": "20"}
    dataset = {"name": "sample.rotation.20", "title": "Sample, rotation, 20", "variation": change}
    run = current_run({"schema_version": 3, "protocol": protocol, "dataset": dataset}, "x")
    assert run["protocol"]["overrides"] == ["border", "refs"]
    assert run["dataset"]["variation"] == {**change, "title": "Sample"}
    stated = {"protocol": {**protocol, "overrides": []}, "dataset": {**dataset, "variation": {**change, "title": "S"}}}
    assert current_run({"schema_version": 3, **stated}, "x") == {"schema_version": 3, **stated}
