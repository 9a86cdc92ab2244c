"""The recipe files of a project: their digests without importing, their contents by a host."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from everbake.adapters.hosting.hosts import Hosts
from everbake.adapters.hosting.work import Work, report_of
from everbake.core.snapshot import code_digest, imports
from everbake.core.work import DescribeReport
from everbake.errors import RecipeError
from everbake.ports import Blobs, Described
from everbake.wire import JobLimits

_LIMITS = JobLimits(memory_bytes=4 * 2**30, seconds=300.0, threads=1)


class ProjectRecipes:
    """`recipe.py`, or `recipes/*.py`, and the modules beside them that they import."""

    def __init__(self, project: Path, blobs: Blobs, hosts: Hosts, work: Work) -> None:
        """Look in `project`; describe with `hosts`."""
        self._project = project
        self._blobs = blobs
        self._hosts = hosts
        self._work = work

    def sources(self) -> list[str]:
        """The names of the recipe files that are there."""
        files = recipe_files(self._project)
        return [path.relative_to(self._project).as_posix() for path in files]

    def changed(self, sources: Sequence[str], known: Mapping[str, str]) -> list[Described]:
        """The recipes of those files whose digest is not the known one."""
        found: list[Described] = []
        for source in sources:
            files = closure(self._project, self._project / source)
            digest = code_digest(files)
            if known.get(source) != digest:
                found += self._described(source, digest, files)
        return found

    def _described(self, source: str, digest: str, files: dict[str, str]) -> list[Described]:
        snapshot = self._blobs.put(msgspec.json.encode(files, order="deterministic"))
        host = self._hosts.get(snapshot, source)
        with self._work.passing(f"describe-{uuid.uuid4().hex}") as folder:
            outcome = host.run("describe", b"{}", work=folder, limits=_LIMITS, seed=0)
            if outcome.state != "done":
                raise RecipeError(
                    "EB202",
                    "the recipe cannot be imported",
                    where=source,
                    why=outcome.error,
                    mend=f"python {source} shows the same error; mend it and repeat the command",
                )
            report = report_of(outcome, DescribeReport, where=source)
        return [Described(digest, snapshot, replace(spec, source=source)) for spec in report.specs]


def recipe_files(project: Path) -> list[Path]:
    """The recipe files of a project, in order."""
    single = project / "recipe.py"
    folder = project / "recipes"
    several = sorted(p for p in folder.glob("*.py") if not p.name.startswith("_"))
    return ([single] if single.is_file() else []) + several


def closure(project: Path, path: Path) -> dict[str, str]:
    """The texts of a recipe file and of all first-party modules that it imports, by path.

    Raises:
        RecipeError: one of them is not Python, or not text.
    """
    files: dict[str, str] = {}
    todo = [path]
    while todo:
        place = todo.pop()
        name = place.relative_to(project).as_posix()
        if name in files:
            continue
        files[name] = _text(place)
        package = ".".join(Path(name).parent.parts)
        try:
            wanted = imports(files[name], package)
        except SyntaxError as error:
            raise _not_python(name, error) from error
        todo += [place for module in sorted(wanted) for place in _places(project, module)]
    return files


def _places(project: Path, module: str) -> list[Path]:
    stem = project.joinpath(*module.split("."))
    choices = [stem.with_name(f"{stem.name}.py"), stem / "__init__.py"]
    return [place for place in choices if place.is_file()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            "EB202", "the recipe cannot be read", where=str(path), why=str(error), mend="mend it"
        ) from error


def _not_python(name: str, error: SyntaxError) -> RecipeError:
    return RecipeError(
        "EB202",
        "the recipe is not Python",
        where=f"{name}, line {error.lineno}",
        why=str(error.msg),
        mend="mend the line and repeat the command",
    )
