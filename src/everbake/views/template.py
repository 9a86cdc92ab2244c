"""Puts the parts of a recipe together as the text of `recipe.py`."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from everbake.views.layout import import_lines, laid_out
from everbake.views.script import Import

_LONGEST = 64


@dataclass(frozen=True)
class Parts:
    """What a recipe is made of.

    Attributes:
        name: the model.
        imports: what the code needs, everbake apart.
        data: the arguments of `Table`.
        gate: the arguments of `Gate`.
        train: the body of `train`.
        predict: the body of `predict`.
        model: the annotation of the model.
        features: the body of `features`; empty for none.
        carried: constants, functions and classes of the script.
        split: the split, as source, or nothing.
        comments: lines above the recipe.
        stars: modules of which everything is imported.
    """

    name: str
    imports: frozenset[Import]
    data: str
    gate: str
    train: Sequence[ast.stmt]
    predict: Sequence[ast.stmt]
    model: str
    features: Sequence[ast.stmt] = ()
    carried: Sequence[str] = ()
    split: str = ""
    comments: Sequence[str] = ()
    stars: Sequence[str] = field(default=())


def model_name(filename: str) -> str:
    """A name for a model after a file.

    >>> model_name("scripts/House Prices v2.py")
    'house_prices_v2'
    """
    stem = re.split(r"[/\\]", filename)[-1]
    stem = re.sub(r"\.(py|csv|parquet|jsonl?|ipynb)$", "", stem, flags=re.IGNORECASE).lower()
    plain = re.sub(r"[^a-z0-9_-]+", "_", stem).strip("_-")
    plain = plain[:_LONGEST].rstrip("_-")
    return plain or "model"


def rendered(parts: Parts) -> str:
    """The text of `recipe.py`."""
    ours = {Import("everbake", "Gate"), Import("everbake", "Recipe"), Import("everbake", "Table")}
    if parts.split:
        ours.add(Import("everbake", parts.split.partition("(")[0]))
    imports = {*parts.imports, *ours, Import("pandas", "", "pd")}
    if parts.model == "Any":
        imports.add(Import("typing", "Any"))
    stars = "".join(f"from {module} import *  # noqa: F403\n" for module in parts.stars)
    blocks = [stars + import_lines(imports)]
    blocks += _carried(parts.carried)
    if parts.features:
        body = "\n".join(laid_out(node, 1) for node in parts.features)
        blocks.append(
            f"\ndef features(rows: pd.DataFrame) -> pd.DataFrame:\n    rows = rows.copy()\n{body}\n"
            "    return rows\n"
        )
    train = "\n".join(laid_out(node, 1) for node in parts.train)
    blocks.append(f"\ndef train(rows: pd.DataFrame) -> {parts.model}:\n{train}\n")
    answer = "\n".join(laid_out(node, 1) for node in parts.predict)
    blocks.append(f"\ndef predict(model: {parts.model}, rows: pd.DataFrame):\n{answer}\n")
    return "\n".join(block.rstrip("\n") + "\n" for block in [*blocks, _recipe(parts)])


def _carried(texts: Sequence[str]) -> list[str]:
    """Constants stand together; functions and classes have two empty lines around them."""
    blocks: list[str] = []
    plain: list[str] = []
    for text in texts:
        if re.match(r"(@|def |async def |class )", text):
            blocks += ["\n".join(plain) + "\n"] * bool(plain) + [f"\n{text}\n"]
            plain = []
        else:
            plain.append(text)
    return blocks + ["\n".join(plain) + "\n"] * bool(plain)


def _recipe(parts: Parts) -> str:
    fields = [f'name="{parts.name}"', f"data=Table({parts.data})"]
    if parts.features:
        fields.append("features=features")
    fields += ["train=train", "predict=predict"]
    if parts.split:
        fields.append(f"split={parts.split}")
    fields.append(f"gate=Gate({parts.gate})")
    comments = "".join(f"# {line}\n" for line in parts.comments)
    return f"\n{comments}recipe = Recipe(\n" + "".join(f"    {one},\n" for one in fields) + ")\n"
