"""The value that every method of this package answers with."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Interval:
    """A difference with its two-sided interval.

    Attributes:
        difference: D; > 0 means that the candidate is better.
        lower: L.
        upper: U.
        method: `t-hall`, `t-hall+2`, `tango`, `delong`, `groups`, `bootstrap` or `constant`.
        sd: standard deviation of the row differences, or SE * sqrt(n).
        gain_barred: a reason in the data why no gain may be claimed although L > 0.
        resamples: how many resamples the bootstrap drew; 0 for all other methods.
    """

    difference: float
    lower: float
    upper: float
    method: str
    sd: float
    gain_barred: bool = False
    resamples: int = 0

    def barred(self) -> "Interval":
        """The same interval, from which no gain may be claimed."""
        return replace(self, gain_barred=True)
