"""Where a life ends: at which port call, and on which side of its effect."""

import random
from dataclasses import dataclass, field

from simulation_world import MUTATING

from everbake.errors import Retry


class Crash(BaseException):
    """The process is gone: nothing of it is left but what is durable."""


@dataclass
class At:
    """Crash once, at the nth call.

    Attributes:
        call: number of the port call, from 1, over all lives.
        side: `before` its effect, `after` it, or `lost`: it took effect, and says try again.
    """

    call: int
    side: str

    def strike(self, number, name, side):
        """What happens at this side of this call."""
        if number != self.call or side != ("after" if self.side == "lost" else self.side):
            return
        if self.side == "lost":
            if name in MUTATING:
                raise Retry("EB602", "the answer was lost")
            return
        raise Crash(f"{side} {name}, call {number}")


@dataclass
class Dice:
    """Crash at random, a few times."""

    random: random.Random
    chance: float = 0.02
    left: int = 6

    def strike(self, number, name, side):
        """What happens at this side of this call."""
        if not self.left or self.random.random() >= self.chance:
            return
        self.left -= 1
        if side == "after" and name in MUTATING and self.random.random() < 0.3:
            raise Retry("EB602", "the answer was lost")
        raise Crash(f"{side} {name}, call {number}")


class Never:
    """No crash."""

    def strike(self, number, name, side):
        """Nothing happens."""


@dataclass
class Wire:
    """Counts all port calls, over all lives, and lets the plan strike."""

    plan: object
    calls: int = 0
    names: list = field(default_factory=list)

    def wrap(self, name, port):
        """A port whose every method is counted."""
        return _Port(self, name, port)

    def call(self, name, method, args, kwargs):
        self.calls += 1
        number = self.calls
        self.names.append(name)
        self.plan.strike(number, name, "before")
        result = method(*args, **kwargs)
        self.plan.strike(number, name, "after")
        return result


class _Port:
    def __init__(self, wire, name, port):
        self._wire = wire
        self._name = name
        self._port = port

    def __getattr__(self, method):
        found = getattr(self._port, method)
        if not callable(found):
            return found
        name = f"{self._name}.{method}"
        return lambda *args, **kwargs: self._wire.call(name, found, args, kwargs)
