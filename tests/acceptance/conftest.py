"""The long tests: whole processes, killed and loaded. Their harnesses are packages beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
