"""Locked virtual environments of the peers, made when they are first needed."""

import hashlib
import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).parents[1] / "peers"
CACHE = Path.home() / ".cache" / "everbake-bench"


def python_of(name: str, cache: Path) -> Path:
    """The interpreter of an environment that holds what the peer's lock file says."""
    lock = LOCKS / f"{name}.lock"
    folder = cache / name
    stamp = folder / "lock.sha256"
    python = folder / "bin" / "python"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"making an environment for {name} in {folder}", file=sys.stderr, flush=True)
        _run(sys.executable, "-m", "venv", "--clear", folder)
        quiet = ("--quiet", "--disable-pip-version-check")
        _run(python, "-m", "pip", "install", *quiet, "--require-hashes", "--no-deps", "-r", lock)
        stamp.write_text(digest)
    return python


def _run(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} ended with {done.returncode}")
