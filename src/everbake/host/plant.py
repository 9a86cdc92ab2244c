"""Plants a fitted pipeline that ends in trees into the file of the trees runtime.

It knows nothing of the user's functions, and proves nothing: `parity` does.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from everbake.host.families import Family, family_of
from everbake.host.features import Features, Followed, Level, Number, Product, columns_of
from everbake.host.heads import Asked, Fitted, Unfoldable, class_name, labels_of
from everbake.runtimes.columns import Category, Floats, Levels, pack
from everbake.runtimes.ending import Ending, Link, Output
from everbake.runtimes.trees import Looked, Operation, Refusals, Step, TreesFile

if TYPE_CHECKING:
    from treelite import Model

_LINKS: dict[str, Link] = {
    "identity": "identity",
    "identity_multiclass": "identity",
    "sigmoid": "logistic",
    "softmax": "softmax",
    "exponential": "exponential",
}


@dataclass(frozen=True)
class Planted:
    """A data file.

    Attributes:
        data: its bytes.
        edges: for each column, values at which the trees jump.
    """

    data: bytes
    edges: dict[str, Floats]


def plant(followed: Followed, asked: Asked) -> Planted:
    """The data file that answers as the last estimator does from its features.

    Raises:
        Unfoldable: there is none.
    """
    model = followed.last
    family = family_of(model)
    if family is None:
        raise Unfoldable(f"{class_name(model)} is not compiled")
    ensemble = _read(family, model)
    features = family.features(model, followed.features)
    if ensemble.num_feature != len(features):
        raise Unfoldable("the pipeline's features could not be followed")
    if any(isinstance(feature, Product) for feature in features):
        raise Unfoldable("trees behind PolynomialFeatures are not compiled")
    numbers = [(at, f) for at, f in enumerate(features) if isinstance(f, Number)]
    file = TreesFile(
        columns=columns_of(features),
        numbers=tuple(feature.column for _, feature in numbers),
        features=tuple(at for at, _ in numbers),
        steps=_steps([_flushed(feature, family.tiny) for _, feature in numbers]),
        looked=_looked(features),
        single=family.single,
        refusals=Refusals(
            missing=followed.sparse or not family.missing(model),
            infinite=not family.infinite,
            inputs=tuple(place for place, (_, f) in enumerate(numbers) if f.steps),
        ),
        ensemble=ensemble.serialize_bytes(),
        ending=_ending(family, model, ensemble, asked),
    )
    return Planted(msgspec.msgpack.encode(file), _edges(ensemble, dict(numbers)))


def _read(family: Family, model: Fitted) -> "Model":
    try:
        return family.ensemble(model)
    except Unfoldable:
        raise
    except Exception as error:  # another version of a library may keep its trees otherwise
        raise Unfoldable(f"{class_name(model)} is not read by treelite: {error}") from error


def _flushed(number: Number, tiny: float | None) -> Number:
    return number if tiny is None else replace(number, steps=(*number.steps, ("flush", tiny)))


def _steps(numbers: list[Number]) -> tuple[Step, ...]:
    """The steps of all numbers, side by side where they do the same."""
    made: list[Step] = []
    left = [list(number.steps) for number in numbers]
    while any(left):
        operation: Operation = next(steps[0][0] for steps in left if steps)
        places = [
            place for place, steps in enumerate(left) if steps[:1] and steps[0][0] == operation
        ]
        values = [left[place].pop(0)[1] for place in places]
        made.append(Step(operation, tuple(places), pack(values)))
    return tuple(made)


def _looked(features: Features) -> tuple[Looked, ...]:
    names = dict.fromkeys(f.column for f in features if isinstance(f, Level))
    return tuple(_looked_up(name, features) for name in names)


def _looked_up(column: str, features: Features) -> Looked:
    """All features of one categorical column."""
    mine = [(at, f) for at, f in enumerate(features) if isinstance(f, Level) and f.column == column]
    levels = [level for _, level in mine]
    rows: dict[Category, list[float]] = {}
    for category in dict.fromkeys(c for level in levels for c in level.values):
        codes = _codes([level.values.get(category, level.unseen) for level in levels])
        if codes is not None:
            rows[category] = codes
    unseen = _codes([level.unseen for level in levels])
    missing = _codes([level.missing for level in levels])
    return Looked(
        Levels(
            column=column,
            categories=tuple(rows),
            weights=pack([code for codes in rows.values() for code in codes]),
            unseen=None if unseen is None else pack(unseen),
            missing=None if missing is None else pack(missing),
        ),
        tuple(at for at, _ in mine),
    )


def _codes(values: list[float | None]) -> list[float] | None:
    """The numbers, or None where one refuses the row."""
    codes = [value for value in values if value is not None]
    return codes if len(codes) == len(values) else None


def _ending(family: Family, model: Fitted, ensemble: "Model", asked: Asked) -> Ending:
    header = ensemble.get_header_accessor()
    name = str(header.get_field("postprocessor"))
    if name not in _LINKS or float(np.ravel(header.get_field("sigmoid_alpha"))[0]) != 1.0:
        raise Unfoldable(f"trees whose scores go through {name} are not compiled")
    link = _LINKS[name]
    outputs = len(np.ravel(header.get_field("base_scores")))
    output, column = _output(model, asked, link, outputs)
    if asked.method == "decision_function":
        link = "identity"
    if asked.output_column is not None:
        if output != "matrix":
            raise Unfoldable("one column of an answer that has none is not compiled")
        output, column = "column", asked.output_column
    classes = labels_of(model) if output == "label" else ()
    return Ending(link, output, column, classes, family.zero)


def _output(model: Fitted, asked: Asked, link: Link, outputs: int) -> tuple[Output, int]:
    """The form of the answer, and which column it is."""
    if asked.method == "predict_proba":
        return "matrix", 0
    if asked.method == "predict" and hasattr(model, "classes_"):
        return "label", 0
    if outputs > 1:
        return "matrix", 0
    # One chance: the second column of two.
    chance = link == "logistic" and asked.method == "predict"
    return ("column", 1) if chance else ("scalar", 0)


def _edges(ensemble: "Model", numbers: dict[int, Number]) -> dict[str, Floats]:
    """The values of each column at which the trees jump, before any step."""
    found: dict[str, list[Floats]] = {}
    for tree in map(ensemble.get_tree_accessor, range(ensemble.num_tree)):
        split = np.asarray(tree.get_field("split_index"))
        thresholds = np.asarray(tree.get_field("threshold"), np.float64)
        inner = (np.asarray(tree.get_field("cleft")) >= 0) & np.isfinite(thresholds)
        for feature in np.unique(split[inner]).tolist():
            if number := numbers.get(feature):
                values = thresholds[inner & (split == feature)]
                found.setdefault(number.column, []).append(values / number.scale + number.center)
    return {column: np.unique(np.concatenate(values)) for column, values in found.items()}
