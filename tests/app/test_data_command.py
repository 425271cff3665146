"""`python -m app data`: files and packages; a download that is cut off goes on, and one that is wrong is not kept."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.datasets import command, packages
from app.datasets.packages import PACKAGES, PackageError, fetch
from engine.data import idx_folder
from tests.app import data_files as files


def wheel() -> bytes:
    """A wheel whose digits are 60 rows of 64 pixels, and a number that is the row's modulo 10."""
    pixels = (np.arange(60)[:, None] + np.arange(64)) % 17
    rows = "\n".join(",".join(map(str, [*row, k % 10])) for k, row in enumerate(pixels))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("sklearn/datasets/data/digits.csv.gz", gzip.compress(rows.encode()))
        made.writestr("filling", np.random.default_rng(0).bytes(600_000))
    return file.getvalue()


CONTENT = wheel()
PACKAGE = replace(PACKAGES["digits8x8"], sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT))


class CuttingOff(http.server.BaseHTTPRequestHandler):
    """Ends every answer after 250,000 bytes, and answers ranges."""

    asked: list[int] = []
    content = CONTENT

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.asked.append(start)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start : start + 250_000])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), CuttingOff) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/digits"
        server.shutdown()
        thread.join()


def test_a_download_that_is_cut_off_goes_on_where_it_ended(tmp_path: Path, address: str) -> None:
    CuttingOff.asked.clear()
    seen: list[tuple[int, int]] = []
    path = fetch(PACKAGE, tmp_path, lambda *counts: seen.append(counts), lambda _: address)
    assert path.read_bytes() == CONTENT and CuttingOff.asked == [0, 250_000, 500_000]
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)
    assert fetch(PACKAGE, tmp_path, lambda *_: None, lambda _: "nowhere") == path


def test_what_is_not_the_file_that_was_meant_is_not_kept(tmp_path: Path, address: str) -> None:
    with pytest.raises(PackageError, match="sha256 differs"):
        fetch(replace(PACKAGE, sha256="0" * 64), tmp_path, lambda *_: None, lambda _: address)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PackageError, match="the same command goes on"):
        fetch(PACKAGE, tmp_path, lambda *_: None, lambda _: "http://127.0.0.1:1/")


def test_sets_are_added_by_name_and_by_file_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(packages.PACKAGES, "digits8x8", PACKAGE)
    (tmp_path / "wheel").write_bytes(CONTENT)
    data = ["--data", str(tmp_path)]
    assert command.main([*data, "add", "digits8x8", "--from", str(tmp_path / "wheel")]) == 0
    digits = idx_folder(tmp_path / "datasets" / "digits8x8", "digits")
    image, label = digits.splits["train"].images[0], int(digits.splits["train"].targets[0])
    assert digits.input_shape == (1, 8, 8) and len(digits.splits["test"]) == 6 and digits.classes[9] == "9"
    assert image.ravel()[0] == pytest.approx(label % 17 / 16) and image.max() == 1
    own = tmp_path / "shapes.zip"
    own.write_bytes(files.archive(files.folders({"round": 30, "square": 30})))
    assert command.main([*data, "add", str(own)]) == 0
    assert "held out" in capsys.readouterr().out
    assert command.main([*data, "add", str(own)]) == 1
    assert "there is a data set 'shapes' already" in capsys.readouterr().err
    assert command.main([*data, "add", "nothing"]) == 1 and "known" in capsys.readouterr().err
    assert command.main([*data, "add", "digits8x8", "--name", "again", "--from", str(own)]) == 1
    assert "is not the file of scikit-learn" in capsys.readouterr().err
    command.main([*data, "list"])
    listed = capsys.readouterr().out.splitlines()
    assert any(line.startswith("shapes: shapes; 54 train, 6 test images of 1 x 6 x 6, 2 classes") for line in listed)
    assert any(line.startswith("cifar10: not here yet") for line in listed)
