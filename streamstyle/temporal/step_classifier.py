"""Flicker or a pop: the kind of a step, by how long ago the last one was."""

from __future__ import annotations

from dataclasses import dataclass

from streamstyle.types import Kind


@dataclass
class StepClassifier:
    """Tells flicker from pops."""

    age: int = 1 << 30
    """Frames since the last onset of a step."""
    sign: int = 0
    """Sign of the step in progress, 0 if the last frame had none."""
    kind: Kind = Kind.POP

    def classify(self, sign: int, window: int) -> Kind:
        """Kind of a step of this sign in the next frame."""
        if sign == self.sign:
            return self.kind
        return Kind.FLICKER if self.age <= window else Kind.POP

    def learn(self, sign: int, kind: Kind | None) -> None:
        """Take the frame in; sign 0 and kind None if nothing was flagged."""
        onset = sign not in (0, self.sign)
        self.age = 1 if onset else self.age + 1
        self.sign = sign
        self.kind = kind or self.kind
