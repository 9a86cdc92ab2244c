"""The long tests: whole processes, killed and loaded. Their harnesses are packages beside them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def told(capsys):
    """Prints a line at once, whatever pytest does with output."""

    def tell(text):
        with capsys.disabled():
            sys.stdout.write(f"\n{text}")
            sys.stdout.flush()

    return tell
