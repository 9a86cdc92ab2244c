"""Reads CSV, Parquet and JSON lines in the host: types, contract, row hashes, staged Parquet."""

from everbake.core.contract import Parsed, ParseOrder, StagedFile
from everbake.host.parsing.batch import parse
from everbake.host.parsing.rowhash import row_hashes

__all__ = ["ParseOrder", "Parsed", "StagedFile", "parse", "row_hashes"]
