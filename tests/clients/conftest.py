"""The clients are no tests: `tests/serving/test_clients.py` runs each by a Python of its own.

A lock file is made as the project's own are, by `uv pip compile --generate-hashes --python-version
3.11` with `--no-emit-package` for what the client does not import to ask a server.
"""

collect_ignore_glob = ["*_client.py"]
