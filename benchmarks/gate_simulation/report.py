"""Simulated figures beside the published ones, and the verdict on each line.

A line is `ok` if each of its figures lies within three standard errors of the published one (both
simulations count, and half a unit of the last digit printed there), exact figures to the digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log10, sqrt

import numpy as np
from scipy.stats import binom

SIGMAS = 3.0
_BEYOND = 0.0027  # of normal figures, beyond three standard errors
_REPLICATED = "reference simulation"


@dataclass
class Report:
    """Prints lines and remembers how many figures were compared and missed.

    Attributes:
        compared: simulated figures that stand beside published ones.
        beyond: those of them that are beyond three standard errors.
        missed: the lines that hold them.
        broken: promises and exact figures that do not hold.
    """

    compared: int = 0
    beyond: int = 0
    missed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    _above: str = ""

    def heading(self, text, source=_REPLICATED):
        """A heading, and where the published figures are from."""
        print(f"\n{text}  [published: {source}]", flush=True)

    def note(self, text):
        """A line that compares nothing."""
        print(f"  {text}", flush=True)

    def shares(self, name, hits, published, runs, unit=0.1):
        """Percentages: one column of hits (true or false) for each published figure.

        Args:
            name: of the line.
            hits: arrays of 0 and 1, or pairs of a percentage and its number of replications.
            published: the percentages; None where nothing was published.
            runs: replications of the published figures; 0: they are exact.
            unit: of the last digit that is published.
        """
        pairs = [
            (100 * float(np.mean(h)), h.size) if isinstance(h, np.ndarray) else h for h in hits
        ]
        errors = [
            _share_error(ours, mine, wanted, runs)
            for (ours, mine), wanted in zip(pairs, published, strict=True)
        ]
        own = [100 * sqrt(max(p * (100 - p), 1.0) / 1e4 / mine) for p, mine in pairs]
        self._line(name, [p for p, _ in pairs], max(own), published, errors, [unit] * len(errors))

    def means(self, name, values, published, runs, unit=0.1):
        """Means: one array of values for each published figure, `runs` replications behind it."""
        spreads = [float(np.std(v, ddof=1)) for v in values]
        own = [spread / sqrt(len(v)) for spread, v in zip(spreads, values, strict=True)]
        errors = [
            spread * sqrt(1 / len(v) + 1 / runs) for spread, v in zip(spreads, values, strict=True)
        ]
        means = [float(np.mean(v)) for v in values]
        self._line(name, means, max(own), published, errors, [unit] * len(errors))

    def exact(self, name, values, published):
        """Figures without chance: the same to the digits that are published."""
        self._line(name, list(values), 0.0, list(published), [0.0] * len(values), _units(published))

    def statement(self, name, hits, limit):
        """A share that must not exceed a limit, both in percent."""
        share = 100 * float(np.mean(hits))
        error = 100 * float(np.std(hits)) / sqrt(hits.size)
        told = _verdict(name, share <= limit, self.broken)
        print(f"  {name:<66} {share:6.2f} ± {error:.2f}  <= {limit:g} %  {told}", flush=True)

    def within(self, name, hits, wanted, slack):
        """A percentage that must be within `slack` of the one wanted."""
        share = 100 * float(np.mean(hits))
        error = 100 * float(np.std(hits)) / sqrt(hits.size)
        told = _verdict(name, abs(share - wanted) <= slack, self.broken)
        print(
            f"  {name:<66} {share:6.2f} ± {error:.2f}  {wanted:g} ± {slack:g}  {told}", flush=True
        )

    def holds(self, name, good, told):
        """Anything else that must be so."""
        print(f"  {name:<66} {told}  {_verdict(name, good, self.broken)}", flush=True)

    def summary(self):
        """Print the last lines; 1 if a promise is broken, or more figures missed than by chance."""
        chance = _BEYOND * self.compared
        print(
            f"\n{self.compared} simulated figures beside published ones, {self.beyond} beyond "
            f"three standard errors (by chance alone {chance:.1f}); {len(self.broken)} promises or "
            "exact figures broken"
        )
        for name in (*self.missed, *self.broken):
            print(f"  MISSED: {name}")
        return int(bool(self.broken) or self.beyond > binom.ppf(0.999, self.compared, _BEYOND))

    def _line(self, name, values, error, published, errors, units):
        self._above = self._above if name.startswith(" ") else name
        full = name if name == self._above else f"{self._above}:{name}"
        pairs = zip(values, published, errors, units, strict=True)
        far = [
            wanted is not None and abs(value - wanted) > SIGMAS * spread + 0.5001 * unit
            for value, wanted, spread, unit in pairs
        ]
        if error:
            self.compared += sum(wanted is not None for wanted in published)
            self.beyond += sum(far)
        told = _verdict(full, not any(far), self.missed if error else self.broken)
        told = "" if all(wanted is None for wanted in published) else told
        spread = f" ± {error:.2g}" if error else ""
        theirs = f"| {_told(published, units)}" if told else ""
        print(f"  {name:<48} {_told(values, units)}{spread} {theirs} {told}".rstrip(), flush=True)


def _verdict(name, good, where):
    if not good:
        where.append(name)
    return "ok" if good else "MISSED"


def _told(values: Sequence[float | None], units):
    digits = [max(0, round(-log10(unit))) for unit in units]
    pairs = zip(values, digits, strict=True)
    return " ".join("-" if value is None else f"{value:.{d}f}" for value, d in pairs)


def _units(published):
    """Of the last digit of each figure; round figures are as exact as the others of their line."""
    digits = [len(f"{figure:.10g}".partition(".")[2]) for figure in published]
    return [10.0 ** -(d or max(digits)) for d in digits]


def _share_error(ours, mine, published, theirs):
    """Of the difference of two simulated percentages, from what both of them saw."""
    if published is None:
        return 0.0
    if not theirs:
        p = published / 100
        return 100 * sqrt(max(p * (1 - p), 1 / mine) / mine)
    p = (ours * mine + published * theirs) / (mine + theirs) / 100
    floor = 1 / (mine + theirs)
    return 100 * sqrt(max(p * (1 - p), floor) * (1 / mine + 1 / theirs))
