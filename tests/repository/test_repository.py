"""The house holds: small files, closed locks, nothing left undone, nothing swept away."""

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
CLIENT_LOCKS = tuple(f"tests/clients/{name}.lock" for name in ("kserve", "mlflow", "triton"))
# Written so that no pattern finds itself.
UNDONE = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X])\b|\bNotImplemented[E]rror\b")
REGISTRIES = re.compile(
    r"[p]ypi\.org|[p]ythonhosted|[r]egistry\.npmjs|[d]eb\.debian|https?://\S*/simple\b"
    r"|--(extra-)?index-ur[l]|--find-link[s]"
)
SKIPS = re.compile(r"pytest\.(mark\.)?(skip|xfai[l]|importorskip)|unittest\.skip")


@cache
def our_files():
    """Every file that is, or is about to be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(sorted(path for name in listed.split("\0") if (path := ROOT / name).is_file()))


@cache
def text_of(path):
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def python_files(*folders):
    inside = [ROOT / folder for folder in folders] or [ROOT]
    return [
        path
        for path in our_files()
        if path.suffix == ".py" and any(path.is_relative_to(folder) for folder in inside)
    ]


def places(pattern, files):
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if pattern.search(line)
    ]


def docstring_lines(node):
    """The lines that the docstrings in and under a node take."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return sum(
        owner.body[0].end_lineno - owner.body[0].lineno + 1
        for owner in ast.walk(node)
        if isinstance(owner, owners) and ast.get_docstring(owner, clean=False) is not None
    )


def functions(path):
    tree = ast.parse(text_of(path))
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def is_swallowed(handler, lines):
    """An empty handler that is broad, or that does not say why nothing is to be done."""
    empty = all(
        isinstance(step, ast.Pass)
        or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
        for step in handler.body
    )
    named = ast.unparse(handler.type) if handler.type else "BaseException"
    broad = named in {"Exception", "BaseException"}
    reasoned = any("#" in line for line in lines[handler.lineno - 1 : handler.end_lineno])
    return empty and (broad or not reasoned)


@cache
def project():
    return tomllib.loads(text_of(ROOT / "pyproject.toml"))


def lock_entries(name):
    """Each locked package's lines, continuation lines joined."""
    return [line for line in text_of(ROOT / name).replace("\\\n", " ").splitlines() if line.strip()]


def locked_versions(name):
    return {
        canonicalize_name(found[1]): found[2]
        for entry in lock_entries(name)
        if (found := re.match(r"([\w.-]+)==(\S+)", entry))
    }


def declared(lock):
    """The requirements that a lock file must satisfy."""
    groups = project()["dependency-groups"]
    names = ("build",) if lock == "requirements.lock" else ("build", "dev")
    extras = project()["project"]["optional-dependencies"]["postgres"]
    grouped = [each for name in names for each in groups[name] if isinstance(each, str)]
    return [Requirement(each) for each in project()["project"]["dependencies"] + extras + grouped]


@pytest.mark.parametrize("name", [*LOCKS, *CLIENT_LOCKS])
def test_a_lock_pins_and_hashes_every_package_and_names_no_place(name):
    entries = lock_entries(name)

    assert entries
    assert [
        e for e in entries if not re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", e)
    ] == []
    assert "://" not in text_of(ROOT / name)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_satisfies_what_the_project_declares(name):
    versions = locked_versions(name)

    unmet = [
        str(wanted)
        for wanted in declared(name)
        if not wanted.specifier.contains(versions.get(canonicalize_name(wanted.name), "0"))
    ]
    assert unmet == []


def test_the_two_locks_agree():
    run_time, everything = (locked_versions(name) for name in LOCKS)

    assert run_time.items() <= everything.items()


def test_no_python_file_is_a_maze():
    too_long = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if len(text_of(path).splitlines()) > 500
    ]
    assert too_long == []


def test_source_files_hold_at_most_400_lines_of_code():
    sizes = {
        str(path.relative_to(ROOT)): len(text_of(path).splitlines())
        - docstring_lines(ast.parse(text_of(path)))
        for path in python_files("src")
    }
    assert {name: lines for name, lines in sizes.items() if lines > 400} == {}


def test_functions_hold_at_most_40_lines():
    sizes = {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno
        - node.lineno
        + 1
        - docstring_lines(node)
        for path in python_files("src")
        for node in functions(path)
    }
    assert {name: lines for name, lines in sizes.items() if lines > 40} == {}


def test_no_exception_is_swallowed_without_a_word():
    swallowed = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in python_files()
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.ExceptHandler) and is_swallowed(node, text_of(path).splitlines())
    ]
    assert swallowed == []


def test_no_test_is_skipped_or_expected_to_fail():
    assert places(SKIPS, python_files()) == []


def test_nothing_is_left_undone():
    assert places(UNDONE, [path for path in our_files() if path.suffix != ".lock"]) == []


def test_no_package_registry_is_named():
    assert places(REGISTRIES, our_files()) == []


def test_every_make_command_in_the_documents_exists():
    documents = [path for path in our_files() if path.suffix == ".md"]
    told = {
        word
        for path in documents
        for word in re.findall(r"(?m)(?:`|^\s*\$? *)make ([a-z]+)", text_of(path))
    }
    targets = set(re.findall(r"(?m)^([a-z]+):", text_of(ROOT / "Makefile")))

    assert {"demo", "test"} <= told <= targets


def test_every_error_code_is_documented():
    raised = {
        code for path in python_files("src") for code in re.findall(r"EB\d{3}", text_of(path))
    }
    pages = [path for path in our_files() if path.is_relative_to(ROOT / "docs")]
    explained = {code for path in pages for code in re.findall(r"EB\d{3}", text_of(path))}

    assert raised - explained == set()
