"""Lists of pairs, TOML files of trainings, and words of the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hostile import good
from hostile.case import Case

LISTS: dict[str, bytes] = {
    "no pairs": b"# nothing\n",
    "one name": b"a.png\n",
    "no UTF-8": b"\xff\xfe\x80 b.png\n",
    "a name that climbs": b"../canary.txt ../canary.txt\n",
    "an absolute name": b"/etc/passwd /etc/passwd\n",
    "a control character": b"a\x01.png b.png\n",
    "a zero byte": b"a\0.png b.png\n",
    "backslashes": b"..\\a.png b.png\n",
    "a line of 10 MB": b"a" * (10 << 20) + b"\n",
    "a million pairs": b"a b\n" * 1_000_000,
    "a line of a million names": b"a " * 1_000_000,
    "21 MB": b"a b\n" * (21 << 18),
    "a line separator": "a\u2028b.png c.png\n".encode(),
    "absent files": b"a.png b.png\n",
    "a name of 5,000 characters": b"a" * 5000 + b" b\n",
    "carriage returns alone": b"a b\rc d\r" * 1000,
}
TOMLS: dict[str, bytes] = {
    "no TOML": b"= = =",
    "nested lists": b"a = " + good.nested(100_000).encode(),
    "nested tables": b"[" + b".".join([b"a"] * 20_000) + b"]\n",
    "dotted keys": b".".join([b"a"] * 5_000) + b" = 1\n",
    "a seed over 64 bits": b"[run]\nseed = 99999999999999999999999\n",
    "a seed over 63 bits": b"[run]\nseed = 18446744073709551616\n",
    "NaN": b"[restoration]\nrate = nan\n",
    "infinity": b"[restoration]\nrate = inf\n",
    "an unknown table": b"[magic]\na = 1\n",
    "no UTF-8": b"a = '\xff'\n",
    "a negative crop": b"[restoration]\ncrop = -64\n",
    "a digit string of 10,000": b"[run]\nseed = " + b"9" * 10_000 + b"\n",
    "a name twice": b"[run]\nseed = 1\nseed = 2\n",
    "21 MB": b"#" * (21 << 20),
}
COMMANDS: dict[str, list[str]] = {
    "--set without a value": ["--set", "border"],
    "--set of an unknown field": ["--set", "magic=1"],
    "--set of a huge number": ["--set", f"border={'9' * 6000}"],
    "--set of another script's digits": ["--set", "border=٣"],
    "--set with control characters": ["--set", "border=\x1b[2J"],
    "--set with half a character": ["--set", "border=\udcff"],
    "--set of a table": ["--set", "standard_refs=a=b"],
    "--refs random:10**30": ["--refs", "random:10**30"],
    "--refs of a huge seed": ["--refs", f"random:{10**30}"],
    "--refs of 6,000 digits": ["--refs", f"random:{'9' * 6000}"],
    "--refs of a negative seed": ["--refs", "random:-1"],
    "--refs of level 10**30": ["--refs", f"level:{10**30}"],
    "--refs with half a character": ["--refs", "L\udcff"],
    "--limit 0": ["--limit", "0"],
    "--limit -1": ["--limit", "-1"],
    "--limit 1e9": ["--limit", "1e9"],
    "--limit of 6,000 digits": ["--limit", "9" * 6000],
    "--device cuda:10**9": ["--device", "cuda:1000000000"],
    "--device of 6,000 digits": ["--device", "cuda:" + "9" * 6000],
    "--device with a newline": ["--device", "cpu\n"],
    "--device of another script's digits": ["--device", "cuda:٣"],
    "--method with slashes": ["--method", "../../canary"],
    "--method with a zero byte": ["--method", "a\x01"],
    "--draws 1": ["--draws", "1"],
    "--draws 10**30": ["--draws", str(10**30)],
    "--weights of nobody": ["--weights", "ghost=x"],
    "--matching of nobody": ["--matching", "magic"],
    "--protocol with a huge label": ["--protocol", "c2+" + "a" * 100_000],
    "--protocol twice": ["--protocol", "c2+border=1+border=2"],
    "--data-root that is a file": ["--dataset", "folder", "--data-root", "/dev/null"],
    "--data-root of 5,000 characters": ["--dataset", "folder", "--data-root", "a" * 5000],
    "--out of 5,000 characters": ["--out", "a" * 5000],
    "--dataset with a path": ["--dataset", "../x"],
}
ROBUSTNESS = ("", ",,", "nan", "inf", "1e400", "-1e300", "9" * 5000, "0,0,0", "\x1b", "small,,magic", "1e-400")


def _listed(folder: Path, data: bytes) -> list[str]:
    (folder / "set").mkdir()
    (folder / "set/pairs.txt").write_bytes(data)
    return ["data", "verify", "folder", "--data-root", "set"]


def _trained(folder: Path, data: bytes) -> list[str]:
    good.png(folder / "photos/a.png", 160)
    (folder / "mine.toml").write_bytes(data)
    words = ["train", "srcnn", "--data", "photos", "--out", "training", "--device", "cpu", "--budget", "1"]
    return [*words, "--recipe", "mine.toml"]


def _on_pairs(words: list[str], more: Sequence[str] = ()) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        data = ["--dataset", "folder", "--data-root", str(good.pairs(folder / "set"))]
        return [*words, "--device", "cpu", *data, *more]

    return make


def _no_file(kind: str, path: Path) -> None:
    if kind == "a FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to({"/dev/zero": "/dev/zero", "a link to itself": path.name}[kind])


def _bytes(meet: Callable[[Path, bytes], list[str]], data: bytes) -> Callable[[Path], list[str]]:
    return lambda folder: meet(folder, data)


def _instead(meet: Callable[[Path, bytes], list[str]], name: str, kind: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        words = meet(folder, b"")
        (folder / name).unlink()
        _no_file(kind, folder / name)
        return words

    return make


def cases() -> Iterator[Case]:
    for kind, data in LISTS.items():
        yield Case(f"pairs: {kind}", _bytes(_listed, data), "pairs.txt" if "climbs" not in kind else "")
    for kind, data in TOMLS.items():
        yield Case(f"toml: {kind}", _bytes(_trained, data), "mine.toml")
    for kind in ("a FIFO", "/dev/zero", "a link to itself"):
        yield Case(f"pairs: {kind}", _instead(_listed, "set/pairs.txt", kind))
        yield Case(f"toml: {kind}", _instead(_trained, "mine.toml", kind), "mine.toml")
    for kind, words in COMMANDS.items():
        yield Case(f"command line: run {kind}", _on_pairs(["run", "--method", "bicubic"], words))
    for levels in ROBUSTNESS:
        words = ["robustness", "--transform", "rotation", "--matchers-only", "--matcher", "sift", "--levels", levels]
        made = _on_pairs(words)
        yield Case(f"command line: robustness --levels {levels[:20]!a}", made, exits=(0, 1, 2))
