"""`python -m app`: Convscope in the browser, from a bare checkout too."""

from app.bootstrap import ensure

ensure("app")

from app.main import main  # noqa: E402  (only importable once the line above has returned)

main()
