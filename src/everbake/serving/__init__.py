"""Answers requests over HTTP: decode, ask the version that serves, log, answer."""
