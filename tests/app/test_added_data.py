"""Data sets from files: POST /api/datasets, what is done to them, what is refused, and DELETE."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.limits import Limits
from app.server import create_app
from app.settings import Settings
from tests.app import data_files as files
from tests.app.conftest import wait_until_rests
from tests.app.services.hostile_files import pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def own(folder: Path, warmed: Path) -> Iterator[TestClient]:
    settings = Settings(folder, warm=False, welcome_steps=0)
    with TestClient(create_app(settings), "http://localhost", raise_server_exceptions=False) as client:
        yield client


def add(client: TestClient, content: bytes, name: str, **query: Any) -> dict[str, Any]:
    answer = client.post("/api/datasets", params={"name": name, **query}, content=content)
    assert answer.status_code == 201, answer.text
    return answer.json()


def images(client: TestClient, name: str, split: str) -> tuple[np.ndarray, list[int]]:
    answer = client.get(f"/api/datasets/{name}/{split}?limit=1000", headers={"Accept": "application/x-npz"})
    with np.load(io.BytesIO(answer.content)) as arrays:
        return arrays["x"], arrays["target"].tolist()


def test_a_folder_of_pictures_for_each_class_is_a_data_set_to_train_on(own: TestClient) -> None:
    letters = {chr(65 + k): 4 for k in range(26)}
    made = add(
        own, files.archive({f"letters/{name}": each for name, each in files.folders(letters).items()}), "letters"
    )
    assert made["classes"] == list(letters) and made["shape"] == [1, 6, 6]
    assert made["splits"] == {"train": 94, "test": 10} and "10 of 104 images, drawn by the seed" in made["notes"][-1]
    x, labels = images(own, "letters", "train")
    assert x.shape == (94, 1, 6, 6) and set(np.unique(np.rint(x * 255))) == {0, 5, 10, 15} and len(set(labels)) == 26
    network = {
        "input": [1, 6, 6],
        "layers": [{"name": "row", "op": "flatten"}, {"name": "fc", "op": "linear", "settings": {"out": 26}}],
    }
    run = own.post("/api/runs", json={"network": network, "dataset": "letters", "steps": 2, "batch_size": 8}).json()
    assert wait_until_rests(own, run["id"])["classes"] == list(letters)
    refused = own.delete("/api/datasets/letters")
    assert refused.status_code == 409 and run["id"] in refused.json()["detail"]
    own.delete(f"/api/runs/{run['id']}")
    assert own.delete("/api/datasets/letters").status_code == 204
    assert own.delete("/api/datasets/letters").status_code == 404
    assert own.delete("/api/datasets/mnist").status_code == 409


def test_pictures_of_other_sizes_are_scaled_and_broken_ones_left_out(own: TestClient) -> None:
    members = files.folders({"2": 3, "10": 3}, 40, 20, colour=True) | {"2/torn.png": b"hello", ".DS_Store": b"x"}
    members["10/red.png"] = files.picture(np.full((30, 60, 3), (255, 0, 0)))
    made = add(own, files.archive(members), "mixed")
    assert made["classes"] == ["2", "10"] and made["shape"] == [3, 32, 32]
    notes = " ".join(made["notes"])
    assert (
        "1 of 8 pictures could not be read and were left out: 2/torn.png" in notes and "scaled to fit 32 x 32" in notes
    )
    x, labels = images(own, "mixed", "train")
    red = x[labels.index(1) + 3] if x[labels.index(1) + 3][0].min() == 1 else x[-1]
    assert red[0].min() == 1 and red[1:].max() == 0 and "too few" in notes
    assert add(own, files.archive(members), "small", size=8)["shape"] == [3, 8, 8]


def test_grey_pictures_saved_in_colour_are_grey_and_transparent_ones_lie_on_white(own: TestClient) -> None:
    clear = np.zeros((5, 5, 4), np.uint8)
    clear[2, 2] = 0, 0, 0, 255
    made = add(
        own, files.archive({"a/1.png": files.picture(clear), "b/1.jpg": files.picture(clear[..., :3], "JPEG")}), "ink"
    )
    x, _ = images(own, "ink", "train")
    assert made["shape"] == [1, 5, 5] and x[0, 0, 2, 2] == 0 and x[0, 0, 0, 0] == 1
    assert "laid on white" in " ".join(made["notes"])


def test_folders_of_train_and_test_are_the_splits(own: TestClient) -> None:
    members = {f"set/{split}/{name}": each for split, count in (("train", 5), ("test", 2), ("val", 1))
               for name, each in files.folders({"cat": count, "dog": count}).items()}  # fmt: skip
    made = add(own, files.archive(members), "split")
    assert made["splits"] == {"train": 10, "test": 4} and "validation split is left out" in made["notes"][0]


def test_json_is_a_data_set_as_what_was_drawn_by_hand_comes(own: TestClient) -> None:
    drawn = {"x": [[[0, 1], [0, 1]], [[1, 1], [0, 0.5]]], "target": [1, 0], "classes": ["level", "upright"]}
    answer = own.post("/api/datasets", json=drawn)
    assert (
        answer.status_code == 201 and answer.json()["name"] == "data1" and answer.json()["classes"] == drawn["classes"]
    )
    assert own.get("/api/datasets/data1/train/1").json() == {"label": 0, "image": [[[1, 1], [0, 0.5]]]}
    assert own.post("/api/datasets", json=drawn).json()["name"] == "data2"
    for wrong in ({"x": [[[0]]]}, {**drawn, "classes": ["one"]}, {**drawn, "target": [0]}, {**drawn, "x": "hello"}):
        assert own.post("/api/datasets", json=wrong).status_code == 422
    for name in ("data1", "data2"):
        own.delete(f"/api/datasets/{name}")


PIXELS = (np.arange(6 * 9).reshape(6, 9) * 4).tolist()


@pytest.mark.parametrize(
    ("content", "classes", "note"),
    [
        (files.table(PIXELS, [0, 1, 2, 0, 1, 2]), ["0", "1", "2"], "9 columns"),
        (files.table(PIXELS, list("babaab"), header=False), ["a", "b"], "the first column was taken for the class"),
        (files.table(PIXELS, list("babaab"), header=False, last=True), ["a", "b"], "the last column"),
        (gzip.compress(files.table(PIXELS, [3, 7, 3, 7, 3, 7])), ["3", "7"], "9 columns"),
        (files.archive({"x.csv": files.table(PIXELS, [0, 1, 2, 0, 1, 2]).replace(b",", b";")}), ["0", "1", "2"], ""),
        (files.npz(x=np.reshape(PIXELS, (6, 3, 3)).astype(np.uint8), y=np.arange(6) % 3), ["0", "1", "2"], ""),
        (files.npz(x_train=np.reshape(PIXELS, (6, 3, 3)) / 255, y_train=np.eye(3)[np.arange(6) % 3]), list("012"),
         "one column a class"),
        (files.archive({"train-images-idx3-ubyte": files.idx(np.reshape(PIXELS, (6, 3, 3))),
                        "train-labels-idx1-ubyte.gz": gzip.compress(files.idx(np.arange(6) % 3)),
                        "classes.txt": b"x\ny\nz\n"}), ["x", "y", "z"], ""),
    ],
)  # fmt: skip
def test_tables_and_arrays_are_data_sets(own: TestClient, content: bytes, classes: list[str], note: str) -> None:
    made = add(own, content, "table")
    x, labels = images(own, "table", "train")
    assert made["classes"] == classes and made["shape"] == [1, 3, 3] and note in " ".join(made["notes"])
    assert np.allclose(x.reshape(6, 9), np.array(PIXELS) / 255) and len(labels) == 6
    assert own.delete("/api/datasets/table").status_code == 204


def test_16_greys_and_targets_that_are_no_classes(own: TestClient) -> None:
    x = np.arange(60 * 4).reshape(60, 4) % 17
    made = add(own, files.table(x.tolist(), (np.arange(60) / 7).tolist()), "slope")
    assert made["classes"] == [] and "to be predicted" in made["notes"][1] and "divided by 16" in made["notes"][0]
    held = own.get("/api/datasets/slope/train?limit=1000").json()["labels"]
    row = round(held[1][0] * 7)
    first = own.get("/api/datasets/slope/train/1").json()
    assert first["label"] == pytest.approx([row / 7]) and np.allclose(first["image"], (x[row] / 16).reshape(1, 2, 2))
    assert own.get("/api/datasets/slope/train?label=0").status_code == 422


def test_cifar_binary_alone_and_in_its_archive(own: TestClient) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (20, 3073), np.uint8)
    rows[:, 0] = np.arange(20) % 10
    made = add(own, rows.tobytes(), "bin")
    assert made["shape"] == [3, 32, 32] and made["classes"][3] == "cat" and made["splits"]["train"] == 20
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for name, part in (("data_batch_1.bin", rows[:12]), ("test_batch.bin", rows[12:])):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = part.nbytes
            packed.addfile(info, io.BytesIO(part.tobytes()))
    made = add(own, file.getvalue(), "tar")
    assert made["splits"] == {"train": 12, "test": 8}
    x, labels = images(own, "tar", "test")
    assert labels == [2, 3, 4, 5, 6, 7, 8, 9] and np.array_equal(np.rint(x.reshape(8, -1) * 255), rows[12:, 1:])
    seen = own.get("/api/datasets/tar/test/0", headers={"Accept": "image/png"}).content
    from PIL import Image

    assert np.array_equal(np.asarray(Image.open(io.BytesIO(seen))).transpose(2, 0, 1).ravel(), rows[12, 1:])


def test_every_hostile_file_is_refused_with_a_sentence_and_leaves_nothing(own: TestClient, folder: Path) -> None:
    before = sorted((folder / "datasets").iterdir())
    for what, content, words in files.hostile():
        answer = own.post("/api/datasets?name=hostile", content=content)
        assert answer.status_code in (413, 422), (what, answer.status_code, answer.text)
        detail = answer.json()["detail"]
        assert words in detail and len(detail) > 15, (what, detail)
    for what, content in pictures():
        answer = own.post("/api/datasets?name=hostile", content=content)
        assert answer.status_code in (413, 422) and len(answer.json()["detail"]) > 15, (what, answer.text)
    assert sorted((folder / "datasets").iterdir()) == before


@pytest.mark.parametrize("name", ["../x", ".hidden", "a/b", "x" * 61, "\x00"])
def test_a_name_that_is_no_folders_is_refused(own: TestClient, name: str) -> None:
    answer = own.post("/api/datasets", params={"name": name}, content=b"")
    assert answer.status_code == 422 and "expected a name" in answer.json()["detail"]


def test_taken_names_and_full_servers_are_refused_before_anything_is_read(tmp_path: Path, warmed: Path) -> None:
    limits = Limits().adjusted(["datasets=1", "dataset_bytes=4000", "uploads=1"])
    settings = Settings(tmp_path, warm=False, welcome_steps=0, limits=limits, shared=True, admin_token="boss")
    with TestClient(create_app(settings), "http://localhost", raise_server_exceptions=False) as client:
        assert client.post("/api/datasets?name=mnist", content=b"x").status_code == 409
        large = client.post("/api/datasets?name=large", content=b"x" * 4001)
        assert large.status_code == 413 and large.json()["limit"] == {"name": "dataset_bytes", "value": 4000}
        content, mine = files.archive(folders := files.folders({"a": 2, "b": 2})), {"Authorization": "Bearer mine"}
        assert len(folders) == 4
        made = client.post("/api/datasets?name=first", content=content, headers=mine)
        assert made.status_code == 201 and made.headers["Location"].endswith("/api/datasets/first")
        assert client.post("/api/datasets?name=First", content=content).status_code == 409
        full = client.post("/api/datasets?name=second", content=content)
        assert full.status_code == 413 and full.json()["limit"]["name"] == "datasets"
        assert client.delete("/api/datasets/first").status_code == 403
        assert client.delete("/api/datasets/first", headers={"Authorization": "Bearer other"}).status_code == 403
        assert client.delete("/api/datasets/first", headers=mine).status_code == 204
