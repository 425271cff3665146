"""`python -m tests`: every check and test, a real browser's too, from a bare checkout. Arguments go to pytest."""

import sys

from app.bootstrap import ensure

ensure("tests", extra="test")

import pytest  # noqa: E402  (only importable once the line above has returned)

from tests.browser.chromium import provide  # noqa: E402

print(f"browser: {provide().path}", flush=True)
sys.exit(pytest.main(sys.argv[1:]))
