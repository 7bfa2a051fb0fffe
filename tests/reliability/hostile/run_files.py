"""Run files of strangers, and journals of runs that go on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from hostile import good
from hostile.case import Case

HUGE = "9" * 5000
TEXTS: dict[str, str | bytes] = {
    "0 bytes": b"",
    "no JSON": "{",
    "null": "null",
    "a list": "[]",
    "nested 100,000 deep": good.nested(100_000),
    "objects nested 50,000 deep": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "NaN": '{"run": NaN}',
    "infinity": '{"run": -Infinity}',
    "1e999": '{"run": 1e999}',
    "an integer of 5,000 digits": f'{{"run": {HUGE}}}',
    "a name twice": '{"run": 1, "run": 2}',
    "no UTF-8": b'{"run": "\xff\xfe"}',
    "UTF-16": '{"run": {}}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "half a character": '{"run": "\\ud800"}',
    "a million brackets": "[" * 1_000_000,
    "a text of 19 MB": json.dumps({"run": "a" * (19 << 20)}),
    "21 MB": " " * (21 << 20),
    "two values": "{} {}",
    "a comment": "{} // no",
}
PLACES: dict[str, object] = {
    "run": None,
    "run.method": [],
    "run.method.name": "../../canary.txt",
    "run.method.title": "\x1b[2J\u202e",
    "run.method.year": 10**19,
    "run.method.parameters": -1,
    "run.method.weights": {"kind": "magic", "name": "x", "sha256": None},
    "run.dataset.n_pairs": 10**9 + 1,
    "run.dataset.name": "/etc/passwd",
    "run.dataset.manifest_sha256": "0" * 63 + "\n",
    "run.protocol.fields": {"scale": 4},
    "run.protocol.digest": "f" * 64,
    "run.protocol.label": "c2+border=" + "9" * 400,
    "run.pair_ids": ["p0", "p0", "p0"],
    "run.metrics": [],
    "run.schema_version": 10**18,
    "run.machine.versions": {"torch": 3},
    "images": [],
    "images.0.id": "\u2028",
    "images.0.metrics": {"psnr_y": "NaN"},
    "images.0.hr_size": [0, 0],
    "images.0.cost": {"seconds": -1},
    "images.0.sr_sha256": "x",
    "means": {"psnr_y": 99.0},
    "finished": 5,
}
ABLATION: dict[str, object] = {
    "kind": "benchmark",
    "schema_version": 2,
    "dataset": {"name": "x"},
    "protocol.digest": "f" * 64,
    "metric": None,
    "variants": [],
    "variants.0.name": "fine",
    "variants.0.title": "\x1b[2J\u202e",
    "variants.0.weights_sha256": "x",
    "variants.0.result": "../../canary.txt",
    "variants.0.scores": {"q": 1.0},
    "variants.0.scores.p": 10**30,
    "texture_subset": ["z"],
    "texture_rule": "<script>alert(1)</script>",
    "budget": {"teacher": 10**400},
    "config": {"run": "a" * (1 << 20)},
    "versions": [],
}
Meet = Callable[[Path, bytes], list[str]]


def _checked(folder: Path, data: bytes) -> list[str]:
    (folder / "result.json").write_bytes(data)
    return ["submit", "check", "result.json"]


def _in_results(folder: Path, data: bytes) -> Path:
    (folder / "results/mine").mkdir(parents=True)
    (folder / "results/mine/result.json").write_bytes(data)
    return folder / "results"


def _built(folder: Path, data: bytes) -> list[str]:
    _in_results(folder, data)
    return ["leaderboard", "build", "--pictures", "none"]


def _exported(folder: Path, data: bytes) -> list[str]:
    _in_results(folder, data)
    return ["leaderboard", "export"]


def _compared(folder: Path, data: bytes) -> list[str]:
    _in_results(folder, data)
    return ["compare", "results/mine/result.json", "results/mine"]


def _resumed(name: str) -> Meet:
    def make(folder: Path, data: bytes) -> list[str]:
        good.pairs(folder / "set")
        place = folder / "results/c2/folder/bicubic"
        place.mkdir(parents=True)
        if name != "run.json":
            (place / "run.json").write_text(good.begun(folder / "set"), encoding="utf-8")
        (place / name).write_bytes(data)
        return [*good.BICUBIC, "--dataset", "folder", "--data-root", "set"]

    return make


def _no_file(folder: Path, write: Callable[[Path], object]) -> list[str]:
    (folder / "results/mine").mkdir(parents=True)
    write(folder / "results/mine/result.json")
    return ["leaderboard", "export"]


def _ablation(data: Callable[[], bytes]) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "results/ablation").mkdir(parents=True)
        (folder / "results/ablation/ablation.json").write_bytes(data())
        return ["leaderboard", "figures", "--format", "svg"]

    return make


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a sparse file of 1 TB": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
}


def _made(meet: Meet, data: Callable[[], bytes]) -> Callable[[Path], list[str]]:
    return lambda folder: meet(folder, data())


def _of(meet: Meet, text: str | bytes) -> Callable[[Path], list[str]]:
    return lambda folder: meet(folder, _bytes(text))


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _spoiled_ablation(place: str, value: object) -> bytes:
    run = good.result()["run"]
    scores = {"p": 24.0, "q": 25.0}
    variants = [
        {"name": name, "title": name, "weights_sha256": None, "result": "", "scores": dict(scores)}
        for name in ("plain", "fine")
    ]
    values = {
        "kind": "ablation", "schema_version": 1, "dataset": run["dataset"], "protocol": run["protocol"],
        "metric": run["metrics"][0], "variants": variants, "texture_subset": ["q"], "texture_rule": "the half",
        "budget": {"student": 5}, "config": {}, "device": "cpu", "command": "", "versions": {},
    }  # fmt: skip
    return json.dumps(good.put(values, place, value)).encode()


def cases() -> Iterator[Case]:
    for kind, text in TEXTS.items():
        for said, meet in {"submit check": _checked, "leaderboard export": _exported, "compare": _compared}.items():
            yield Case(f"run files: {said}: {kind}", _of(meet, text), "result.json")
        yield Case(f"run files: run: run.json: {kind}", _of(_resumed("run.json"), text), "run.json")
    for kind in ("nested 100,000 deep", "no UTF-8", "half a character", "a million brackets", "NaN"):
        line = _bytes(TEXTS[kind]) + b"\n"
        meet = _resumed("images.jsonl")
        yield Case(f"journals: images.jsonl: {kind}", _of(meet, line), "images.jsonl")
        yield Case(f"run files: leaderboard build: {kind}", _of(_built, TEXTS[kind]), "result.json")
    for line in (b"5\n", b'{"id": 1}\n', b'{"id": "0", "extra": 1}\n', b"\n\n", b"\0\n", b'{"id": "0"}\r{}\n'):
        yield Case(f"journals: images.jsonl: {line!r}", _of(_resumed("images.jsonl"), line), "images.jsonl")
    separated = json.dumps({**good.record(), "id": "a\u2028b\x85c"}, ensure_ascii=False).encode() + b"\n"
    for kind, data in {"a line separator in an id": separated, "a line cut short": b'{"id": "0", "met'}.items():
        yield Case(f"journals: images.jsonl: {kind}", _of(_resumed("images.jsonl"), data), exits=(0,))
    for place, value in PLACES.items():
        yield Case(f"run files: submit check: {place}", _made(_checked, good.spoiled(place, value)), "result.json")
        told = (0, 1, 2)  # a page shows what a stranger called himself, cleaned; the rest is left out
        yield Case(f"run files: leaderboard build: {place}", _made(_built, good.spoiled(place, value)), exits=told)
    for kind, text in TEXTS.items():
        yield Case(f"ablations: {kind}", _ablation(lambda text=text: _bytes(text)), "ablation.json")
    for place, value in ABLATION.items():
        told = place in ("variants.0.title", "variants.0.result", "texture_rule", "config")  # texts, shown cleaned
        made = _ablation(lambda place=place, value=value: _spoiled_ablation(place, value))
        yield Case(f"ablations: {place}", made, "" if told else "ablation.json", (0,) if told else (1, 2))
    for kind, write in NO_FILES.items():
        yield Case(f"run files: leaderboard export: {kind}", lambda folder, w=write: _no_file(folder, w))
