"""Secrets do not stay in what a run printed."""

import pytest

from everbake.core.redact import HIDDEN, redacted, secrets_in


def test_values_of_telling_variables_are_taken_out():
    environment = {"DB_PASSWORD": "correct horse", "API_TOKEN": "abc", "HOME": "/home/me"}
    secrets = secrets_in(environment)
    assert secrets == ["correct horse"]  # "abc" would take harmless words out
    assert redacted("it is correct horse!", secrets) == f"it is {HIDDEN}!"


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("api_key = sk-12345678", "sk-12345678"),
        ("password: hunter2", "hunter2"),
        ("AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"),
        ("postgresql://me:geheim@db/x", "geheim"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "MIIE"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text, gone):
    assert gone not in redacted(text)
    assert HIDDEN in redacted(text)


def test_other_text_stays_as_it_is():
    text = "epoch 3: loss 0.25, tokens 4000, pass 2 of 5\n"
    assert redacted(text) == text
