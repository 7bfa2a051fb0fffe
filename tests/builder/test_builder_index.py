"""The index over local folders: embeddings, shards that are never redone, exact and approximate search, the pool."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from album import SCENES, save, view

from refsr_bench.builder import tables
from refsr_bench.builder.engine import Workers
from refsr_bench.builder.pool import folders
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Query
from refsr_bench.builder.similarity import embed, index
from refsr_bench.builder.similarity.embed import WITHOUT_WEIGHTS, Embedding
from refsr_bench.builder.stated import Statements
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels.images import read_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two further views of each scene."""
    folder = tmp_path / "photos"
    for which in SCENES:
        for n in (1, 2):
            save(view(which, n), folder / f"scene{which}" / f"{n}.jpg")
    return folder


def test_the_descriptor_finds_other_views_of_a_scene(tmp_path: Path, photos: Path) -> None:
    found = index.build(tmp_path / "index", [photos])
    describe = index.embedder(tmp_path / "index", WITHOUT_WEIGHTS)
    for which in SCENES:
        (vector,) = describe([np.array(view(which, 0))])
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        hits = found.search(vector, 4)
        assert {hit.path.parent.name for hit in hits[:2]} == {f"scene{which}"}
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert hits[1].score > hits[2].score + 0.05


def test_the_codebook_is_the_same_for_the_same_images(photos: Path) -> None:
    images = [read_image(path) for path, _, _ in index.list_images([photos])]
    first, again = embed.learn(images), embed.learn(images)
    for name in ("words", "mean", "projection"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    with pytest.raises(BenchError, match="too little texture"):
        embed.learn([np.zeros((64, 64, 3), np.uint8)])


@pytest.mark.parametrize(
    "content",
    [
        {"words": np.zeros((64, 128)), "mean": np.zeros(8192)},
        {"words": np.zeros((64, 128)), "mean": np.zeros(8192), "projection": np.zeros((3, 2))},
        {"words": np.zeros((64, 128)), "mean": np.zeros(8192), "projection": np.zeros((8192, 1200), np.float64)},
        {"words": np.array([None]), "mean": np.zeros(8192), "projection": np.zeros((8192, 2))},
        b"PK\x03\x04 no archive",
        b"",
    ],
)
def test_a_codebook_that_is_none_is_refused(tmp_path: Path, content: dict | bytes) -> None:
    path = tmp_path / "codebook.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez_compressed(path, **content)
    with pytest.raises(BenchError, match="damaged codebook"):
        embed.Descriptor.load(path)


def test_flat_images_have_an_embedding_too(photos: Path) -> None:
    describe = embed.learn([read_image(path) for path, _, _ in index.list_images([photos])])
    vectors = describe([np.zeros((40, 40, 3), np.uint8), np.full((9, 200, 3), 200, np.uint8)])
    assert np.isfinite(vectors).all()


def test_shards_are_made_once_and_only_news_are_embedded(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "SHARD", 4)
    index.build(tmp_path / "index", [photos])
    shards = {path: path.stat().st_mtime_ns for path in (tmp_path / "index/shards").iterdir()}
    assert len(shards) == 3  # 10 images
    save(view(3, 0), photos / "new.png")
    save(view(3, 1), photos / "scene0" / "1.jpg")  # changed
    (photos / "scene1" / "2.jpg").unlink()
    found = index.build(tmp_path / "index", [photos])
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "index/shards").iterdir()}
    assert len(after) == 4 and shards.items() <= after.items()
    assert len(found.paths) == 10 and len(set(found.paths)) == 10
    (vector,) = index.embedder(tmp_path / "index", WITHOUT_WEIGHTS)([np.array(view(3, 0))])
    assert found.search(vector, 1)[0].path == (photos / "new.png").resolve()


def test_a_kill_between_shards_loses_none(tmp_path: Path, photos: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom refsr_bench.builder.similarity import index\n"
        "index.SHARD = 4\nreal, made = index.write_shard, []\n"
        "def write(target, table):\n"
        "    if made: os.kill(os.getpid(), 9)\n"
        "    made.append(real(target, table))\n"
        "index.write_shard = write\nindex.build(Path(sys.argv[1]), [Path(sys.argv[2])])\n"
    )
    folder = tmp_path / "index"
    killed = subprocess.run([sys.executable, "-c", code, str(folder), str(photos)], check=False)
    assert killed.returncode == -9
    (shard,) = (folder / "shards").glob("*.parquet")
    before = shard.stat().st_mtime_ns
    assert len(index.build(folder, [photos]).paths) == 10
    assert shard.stat().st_mtime_ns == before


def test_files_that_are_no_images_are_told_and_not_tried_again(tmp_path: Path, photos: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"<html>")
    found = index.build(tmp_path / "index", [photos])
    assert len(found.paths) == 10 and "broken.jpg" in found.errors[0]
    assert index.build(tmp_path / "index", [photos]).errors == found.errors


def test_many_vectors_are_searched_in_part_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((40, 32))
    vectors = (centres[rng.integers(0, 40, 3000)] + 0.3 * rng.standard_normal((3000, 32))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def blocks(every: int = 1):
        yield from np.array_split(vectors, 6)[::every]

    exact = index.searcher_of(blocks, len(vectors))
    monkeypatch.setattr(index, "EXACT", 1000)
    monkeypatch.setattr(index, "PROBED", 8)
    part = index.searcher_of(blocks, len(vectors))
    assert type(exact).__name__ == "IndexFlatIP" and "IVF" in type(part).__name__
    wanted, found = exact.search(vectors[:50], 10)[1], part.search(vectors[:50], 10)[1]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(wanted, found, strict=True)])
    assert recall > 0.9


def test_a_large_index_is_kept_and_opened_again(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "EXACT", 5)
    monkeypatch.setattr(index, "TRAINED_ON", 1)
    first = index.build(tmp_path / "index", [photos])
    (stored,) = (tmp_path / "index").glob("faiss-*.index")
    monkeypatch.setattr(index, "searcher_of", None)  # must not be made again
    again = index.build(tmp_path / "index", [photos])
    (vector,) = index.embedder(tmp_path / "index", WITHOUT_WEIGHTS)([np.array(view(0, 0))])
    assert again.search(vector, 3) == first.search(vector, 3) and stored.is_file()


def test_an_index_keeps_to_its_embedding(tmp_path: Path, photos: Path) -> None:
    index.build(tmp_path / "index", [photos])
    with pytest.raises(Misuse, match="needs a local file of weights"):
        index.build(tmp_path / "index", [photos], Embedding("torchvision:resnet18"))
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"x")
    with pytest.raises(BenchError, match="made with descriptor"):
        index.build(tmp_path / "index", [photos], Embedding("torchvision:resnet18", str(weights)))
    (tmp_path / "index/embedding.txt").write_text("")
    with pytest.raises(BenchError, match="made with nothing known"):
        index.build(tmp_path / "index", [photos])
    with pytest.raises(Misuse, match="no images"):
        (tmp_path / "empty").mkdir()
        index.build(tmp_path / "index2", [tmp_path / "empty"])


def test_a_backbone_embeds_with_a_local_weights_file(tmp_path: Path, photos: Path) -> None:
    import torchvision
    from safetensors.torch import save_file

    net = torchvision.models.squeezenet1_1(weights=None)
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    given = Embedding("torchvision:squeezenet1_1", str(tmp_path / "w.safetensors"))
    found = index.build(tmp_path / "i", [photos / "scene0"], given)
    (vector,) = index.embedder(None, given)([read_image(photos / "scene0" / "1.jpg")])
    assert vector.shape == (512,) and np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
    assert found.search(vector, 1)[0].score == pytest.approx(1, abs=1e-3)
    with pytest.raises(Misuse, match="no model of that name"):
        embed.backbone(Embedding("torchvision:none", given.weights))
    with pytest.raises(BenchError, match="does not hold the weights"):
        embed.backbone(Embedding("torchvision:squeezenet1_0", given.weights))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "p", top=3)
    for n, which in enumerate(SCENES[:2], 1):
        save(view(which, 0), made.path / f"queries/{n:03d}.png")
        tables.append(made.table("queries"), [Query(f"{n:03d}", f"queries/{n:03d}.png")])
    return made


def test_the_pool_holds_the_most_similar_files_once(project: Project, photos: Path, tmp_path: Path) -> None:
    facts = tmp_path / "facts.csv"
    facts.write_text(f"file,creator\nphotos/scene{SCENES[0]}/1.jpg,Ada\n")
    assert folders.gather(project, [photos], Statements.read({"license": "by"}, facts)).added == {"local": 6}
    rows = project.pool
    assert [row.rank for row in rows] == [1, 2, 3] * 2
    assert all(row.license == "by" and project.file(row.file).is_file() and row.width == 240 for row in rows)
    near = [row.source_url for row in rows if row.query == "001"][:2]
    assert {name.partition("/")[0] for name in near} == {f"scene{SCENES[0]}"}
    assert {row.creator for row in rows if row.source_url == f"scene{SCENES[0]}/1.jpg"} == {"Ada"}
    assert len(list((project.path / "pool/files").iterdir())) == len({row.file for row in rows})


def test_gathering_goes_on_where_it_was_killed(project: Project, photos: Path) -> None:
    folders.gather(project, [photos])
    whole = project.table("pool").read_bytes()
    lines = whole.splitlines(keepends=True)
    project.table("pool").write_bytes(b"".join(lines[:5]) + lines[5][:30])  # the middle of the second query
    assert folders.gather(project, [photos]).added == {"local": 2}
    assert project.table("pool").read_bytes() == whole
    (photos / "broken.jpg").write_bytes(b"<html>")
    again = folders.gather(project, [photos])
    assert again.added == {"local": 0} and "1 files cannot be used" in again.notes[0]


def test_gathering_without_queries_is_said(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(Misuse, match="no queries yet"):
        folders.gather(Project.create(tmp_path / "p"), [photos])


@pytest.mark.slow
def test_ray_makes_the_same_shards_and_none_twice(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    try:
        monkeypatch.setattr(index, "SHARD", 3)
        here = index.build(tmp_path / "here", [photos])
        first = index.build(tmp_path / "ray", [photos], workers=Workers("ray", 2))
        assert first.paths == here.paths or sorted(first.paths) == sorted(here.paths)
        removed = sorted((tmp_path / "ray/shards").iterdir())[0]
        removed.unlink()
        stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "ray/shards").iterdir()}
        index.build(tmp_path / "ray", [photos], workers=Workers("ray", 2))
        after = {path: path.stat().st_mtime_ns for path in (tmp_path / "ray/shards").iterdir()}
        assert removed in after and stamps.items() <= after.items()
    finally:
        ray.shutdown()
