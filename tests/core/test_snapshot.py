"""What counts as the same code."""

import pytest

from everbake.core.snapshot import code_digest, imports

PLAIN = "def f(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    "same",
    [
        "def f(x):  # adds one\n\n    return (x + 1)\n",
        'def f(x):\n    """Add one."""\n    return x + 1\n',
        '"""A module."""\n\ndef f(x):\n    return x+1\n',
    ],
)
def test_layout_comments_and_docstrings_do_not_count(same):
    assert code_digest({"a.py": same}) == code_digest({"a.py": PLAIN})


@pytest.mark.parametrize(
    "other",
    [
        "def f(x):\n    return x + 2\n",
        "def f(y):\n    return y + 1\n",
        "def f(x):\n    return x + 1.0\n",
        "def f(x):\n    return x - 1\n",
        "def f(x, z=None):\n    return x + 1\n",
        'def f(x):\n    return "x + 1"\n',
    ],
)
def test_anything_else_counts(other):
    assert code_digest({"a.py": other}) != code_digest({"a.py": PLAIN})


def test_the_name_of_a_file_counts_and_the_order_does_not():
    one, two = {"a.py": "x = 1", "b.py": "y = 2"}, {"b.py": "y = 2", "a.py": "x = 1"}
    assert code_digest(one) == code_digest(two)
    assert code_digest({"a.py": PLAIN}) != code_digest({"b.py": PLAIN})


def test_imports_are_found_with_their_parents_also_inside_functions_and_relative_ones():
    source = "import a.b\nfrom c import d\nimport i as j\n"
    source += "def f():\n    from .e import g\n    from . import h\n"
    found = imports(source, "pkg.sub")
    assert {"a", "a.b", "c", "c.d", "pkg", "pkg.sub", "pkg.sub.e", "pkg.sub.h", "i"} <= found


def test_what_is_no_python_is_a_syntax_error():
    with pytest.raises(SyntaxError):
        code_digest({"a.py": "def f(:"})
