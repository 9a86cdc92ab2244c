"""Calibration: coverage of the line's intervals, and what the calibration error finds."""

import numpy as np
from scipy.special import expit

from everbake.statistics.calibration import calibration_error, calibration_line

RUNS, SPREAD = 600, 1.5  # of the logits
# coverage % of slope and intercept of a perfect model
LINES = {200: (94.8, 94.7), 1000: (95.5, 96.0), 10_000: (94.2, 95.8)}
# plug-in error of a perfect model, its expectation, root of the mean debiased square
ERRORS = {200: (0.091, 0.090, 0.003), 1000: (0.040, 0.040, -0.006), 10_000: (0.0127, 0.0127, 0.001)}
SLOPE, ROOTS = 0.7, {200: 0.055, 1000: 0.057, 10_000: 0.058}  # of a true slope


def report(out, size):
    """Print both tables."""
    out.heading("Calibration line of a perfect model, coverage %: slope, intercept")
    for n, published in LINES.items():
        rng = np.random.default_rng([9, n])
        lines = [calibration_line(*_drawn(rng, n, 1.0)) for _ in range(size.runs(1500))]
        slopes = [_held(line.slope_interval(), 1.0) for line in lines]
        intercepts = [_held(line.intercept_interval(), 0.0) for line in lines]
        out.shares(f"n = {n}", [np.array(slopes), np.array(intercepts)], published, RUNS)
    out.heading("Calibration error, 15 bins: plug-in, expected; square beyond chance")
    for n, (plug_in, expected, root) in ERRORS.items():
        perfect = _errors(n, size, 1.0)
        unit = 0.0001 if n > 1000 else 0.001
        values = [np.array([each.plug_in for each in perfect])]
        values.append(np.array([each.expected for each in perfect]))
        out.means(f"perfect, n = {n}", values, (plug_in, expected), RUNS, unit)
        _squares(out, "  square", perfect, root)
        _squares(out, f"  square, slope {SLOPE:g}", _errors(n, size, SLOPE), ROOTS[n])


def _drawn(rng, n, slope):
    """Outcomes and probabilities; their logits times `slope` are true."""
    logits = SPREAD * rng.normal(size=n)
    return rng.random(n) < expit(slope * logits), expit(logits)


def _errors(n, size, slope):
    rng = np.random.default_rng([10, n, round(10 * slope)])
    return [calibration_error(*_drawn(rng, n, slope)) for _ in range(size.runs(1500))]


def _squares(out, name, errors, root):
    """The mean debiased square; published is its root, with its sign and three digits."""
    digit = 2 * max(abs(root), 0.001) * 0.001
    unit = 10.0 ** np.floor(np.log10(digit))
    squares = np.array([each.square for each in errors])
    out.means(name, [squares], [root * abs(root)], RUNS, unit)


def _held(pair, truth):
    return pair[0] <= truth <= pair[1]
