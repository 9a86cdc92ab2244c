"""Answers files of any size in the host: in bounded memory, and resumed where it ended."""

from everbake.host.batch.files import answer_files

__all__ = ["answer_files"]
