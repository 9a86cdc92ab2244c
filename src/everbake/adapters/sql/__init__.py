"""Ledgers in SQL databases: SQLite by default, PostgreSQL by URL."""
