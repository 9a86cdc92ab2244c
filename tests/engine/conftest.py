"""The owner's tests run in the simulation's world, without its crashes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "simulation"))
