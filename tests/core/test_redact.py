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
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
        ("{'password': 'hunter4hunter4'}", "hunter4hunter4"),
        ('"password": "correct-horse"', "correct-horse"),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("pushed with ghp_0123456789abcdef0123", "ghp_0123456789abcdef0123"),
        ("sk-abcdefghijklmnop", "sk-abcdefghijklmnop"),
        ("secret_key: 0123456789", "0123456789"),
        ("MYSQL_PWD=geheim99", "geheim99"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
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
