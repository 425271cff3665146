"""The README's example, run against a real server: it prints what its comments say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

from tests.server import Server
from tests.tools import ROOT

TEXT = (ROOT / "README.md").read_text("utf-8")


def test_the_example_prints_what_its_comments_say(server: Server) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    assert "http://127.0.0.1:8000" in example
    server.wait_ready()
    code = example.replace("http://127.0.0.1:8000", server.url)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    said, products = re.findall(r"^print.*# (.*)$", example, re.M)
    assert ast.literal_eval(first) == ast.literal_eval(said)
    factors, value = second.split(" -> ")
    assert (
        " + ".join("*".join(f"{factor:g}" for factor in term) for term in ast.literal_eval(factors))
        + (f" = {float(value):g}")
        == products
    )


def test_every_file_it_links_to_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert links
    assert not [link for link in links if not (ROOT / link).is_file()]
