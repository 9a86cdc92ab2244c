"""Every command and every snippet of the documents is run; what they print is compared.

A fenced block is one of: a file (`title=`), Python to be run, a console session (`$ command`, then
what it prints, with `...` for anything), the same in the background, an output kept in a file
(`from=`), or make targets. A block of any other kind fails: nothing is passed over in silence.
"""

import dataclasses
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import everbake
from everbake.codes import codes
from everbake.config.settings import Settings
from everbake.core import recipe as declarations
from everbake.core.facts import FACTS
from everbake.core.spec import Events, Table
from everbake.interfaces.cli import COMMANDS, cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*/README.md"))
BLOCK = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READING = re.compile(r"everbake (why|compare) ")
EXIT = re.compile(r"#.*exit code (\d)")
BOUND = 120


def blocks(page):
    """The fenced blocks of a page: what is said of them, and their text."""
    return [(match[1].strip(), match[2]) for match in BLOCK.finditer(page.read_text())]


class Reader:
    """Somebody who does everything that a page says, in a folder."""

    def __init__(self, folder, columns=200):
        self.folder = folder
        self.printed = {}
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": str(columns),
        }
        self.servers = []

    def follow(self, about, text):
        """Do what one block says."""
        kind, *words = shlex.split(about)
        told = dict(word.split("=", 1) for word in words if "=" in word)
        if "title" in told:
            self._write(told, text)
        elif kind == "python":
            self._run([sys.executable, "-W", "error", "-c", text])
        elif kind == "console":
            for command, expected in sessions(text):
                (self._start if "background" in words else self._type)(command, expected)
        elif kind == "text":  # an output that another test writes there
            assert (ROOT / told["from"]).read_text() == text
        elif kind == "sh":
            targets = (ROOT / "Makefile").read_text()
            for name in re.findall(r"^make (\w+)", text, re.MULTILINE):
                assert re.search(rf"^{name}:", targets, re.MULTILINE), name
        else:
            raise AssertionError(f"no way to follow a block of {about!r}")

    def _write(self, told, text):
        if "from" in told:
            assert (ROOT / told["from"]).read_text() == text
        (self.folder / told["title"]).write_text(text)

    def _run(self, words):
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=BOUND, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _type(self, command, expected):
        wanted = EXIT.search(command)
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, capture_output=True,
            text=True, timeout=BOUND, check=False,
        )  # fmt: skip
        self.printed[command] = done.stdout
        code = int(wanted[1]) if wanted else None
        good = done.returncode == code if wanted else done.returncode in (0, 4, 5)
        assert good, (command, done.returncode, done.stdout, done.stderr)
        assert matches(done.stdout, expected), (command, done.stdout, expected)

    def _start(self, command, expected):
        server = subprocess.Popen(
            shlex.split(command), cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.servers.append(server)
        assert matches(server.stdout.readline(), expected)

    def close(self):
        """End what was started."""
        for server in self.servers:
            server.send_signal(signal.SIGTERM)
            server.wait(BOUND)
            server.stdout.close()


def sessions(text):
    """Commands of a console block with what they should print."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not parts[0].strip()
    return [part.partition("\n")[::2] for part in parts[1:]]


def matches(printed, expected):
    """Whether a text is what is expected, where `...` stands for anything."""
    if not expected.strip():
        return True
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def follow(page, reader):
    """Do all that a page says."""
    try:
        for about, text in blocks(page):
            reader.follow(about, text)
    finally:
        reader.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_can_be_followed(page, tmp_path):
    folder = tmp_path / "rent"
    folder.mkdir()
    follow(page, Reader(folder))


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.parent.name)
def test_an_example_can_be_followed_and_stands_in_the_docs(page, tmp_path, stands_in_the_docs):
    assert "synthetic" in page.read_text().splitlines()[0]
    name = page.parent.name
    reader = Reader(shutil.copytree(page.parent, tmp_path / name), columns=80)
    follow(page, reader)
    for command, printed in reader.printed.items():
        if match := READING.match(command):
            stands_in_the_docs(f"why/{name}-{match[1]}.txt", printed)


def test_every_kept_output_is_shown_on_a_page():
    shown = {
        shlex.split(about)[1] for page in PAGES for about, _ in blocks(page) if "from=docs" in about
    }
    kept = {f"from=docs/why/{path.name}" for path in (ROOT / "docs" / "why").iterdir()}
    assert kept == shown


def test_every_link_leads_somewhere():
    for page in [*PAGES, *EXAMPLES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)


def test_the_page_of_errors_is_the_table_of_codes():
    page = (ROOT / "docs" / "errors.md").read_text()
    for code, entry in codes().items():
        assert f"**{code}** {entry.title}\n: {entry.explanation}\n" in page


def test_the_page_of_the_command_line_names_every_command_and_option():
    page = (ROOT / "docs" / "cli.md").read_text()
    for name in COMMANDS:
        command = cli.get_command(None, name)
        found = getattr(command, "commands", {"": command})
        for verb, each in found.items():
            assert f"`everbake {name} {verb}".rstrip() in page, (name, verb)
            for parameter in each.params:
                for option in parameter.opts:
                    assert not option.startswith("--") or option in page, (name, option)


def test_the_reference_names_every_setting_field_and_fact():
    operations = (ROOT / "docs" / "operations.md").read_text()
    for field in dataclasses.fields(Settings):
        assert f"`{field.name}`" in operations
    for fact in FACTS:
        assert f"`{fact}`" in operations
    reference = (ROOT / "docs" / "recipe.md").read_text()
    for kind in (declarations.Recipe, declarations.Gate, declarations.Limits, Table):
        for field in dataclasses.fields(kind):
            assert field.name in reference, field.name
    ranking = (ROOT / "docs" / "ranking.md").read_text()
    for field in dataclasses.fields(Events):
        assert field.name in ranking, field.name


def test_every_public_name_is_documented_and_there():
    text = "".join(page.read_text() for page in PAGES)
    for name in everbake.__all__:
        assert getattr(everbake, name).__doc__, name
        assert name in text or name in {"Check", "Decision"}, name
