"""What a run runs in: Python, packages, platform, the commit and what was changed since."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import msgspec

from everbake.core.redact import kept

_INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.dist-info")
_DIFF_LIMIT = 2**20


def describe_environment(project: Path) -> bytes:
    """Deterministic JSON: equal environments give equal bytes."""
    return msgspec.json.encode(
        {
            "python": sys.version.split()[0],
            "implementation": platform.python_implementation(),
            "platform": f"{platform.system()} {platform.machine()}",
            "packages": installed(),
            **_git(project),
        },
        order="deterministic",
    )


def installed() -> dict[str, str]:
    """The installed packages and their versions, read off the folders' names (2 ms, not 200)."""
    found: dict[str, str] = {}
    for folder in sys.path:
        for info in Path(folder or ".").glob("*.dist-info"):
            match = _INFO.fullmatch(info.name)
            if match:
                found.setdefault(match["name"].lower().replace("_", "-"), match["version"])
    return found


def _git(project: Path) -> dict[str, str]:
    """The commit and the difference to it, empty where there is no repository (or no git)."""
    if not any((folder / ".git").exists() for folder in (project, *project.parents)):
        return {"commit": "", "diff": ""}
    commit = _output(project, "rev-parse", "HEAD")
    diff = _output(project, "diff", "HEAD", "--no-color", "--no-ext-diff", "--", ".")
    return {"commit": commit.strip(), "diff": kept(diff[:_DIFF_LIMIT], os.environ)}


def _output(project: Path, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            ["git", "-C", str(project), *words],  # noqa: S607 - whichever git the user has
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
