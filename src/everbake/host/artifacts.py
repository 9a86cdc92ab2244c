"""Models as bytes: `skops` where it can, otherwise cloudpickle."""

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from everbake.core.work import Model
from everbake.errors import HealthError, UserCodeError

if TYPE_CHECKING:
    from collections.abc import Callable

# What skops may build beyond its own defaults. Anything else makes the model a native one.
TRUSTED = (
    "numpy.dtype",
    "numpy.random._pickle.__randomstate_ctor",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfSquaredError",
)


def save(model: object) -> tuple[str, bytes]:
    """The name of the format and the bytes.

    Raises:
        UserCodeError: the model cannot be saved at all.
    """
    if type(model).__module__.split(".", 1)[0] == "sklearn":
        data = _skops(model)
        if data is not None:
            return "skops", data
    return "cloudpickle", _pickled(model)


def _skops(model: object) -> bytes | None:
    import skops.io

    try:
        data: bytes = skops.io.dumps(model)
        unknown = set(skops.io.get_untrusted_types(data=data))
    except Exception:  # noqa: BLE001 - whatever skops cannot do, cloudpickle may
        return None
    return data if unknown <= set(TRUSTED) else None


def _pickled(model: object) -> bytes:
    import cloudpickle

    try:
        data: bytes = cloudpickle.dumps(model)
    except Exception as error:
        raise UserCodeError(
            "EB312",
            f"the model ({type(model).__name__}) cannot be saved",
            why=f"{type(error).__name__}: {error}",
            mend="keep open files, locks and generators out of the model",
        ) from error
    return data


def load(form: str, data: bytes) -> object:
    """The model behind the bytes that `save` made. Check their digest first."""
    loaders: dict[str, Callable[[bytes], object]] = {"skops": _unskops, "cloudpickle": _unpickled}
    return loaders[form](data)


def saved_bytes(saved: Model) -> bytes:
    """The bytes of a saved model, after they have been compared with their digest.

    Raises:
        HealthError: the file is not what it was.
    """
    data = Path(saved.path).read_bytes()
    if hashlib.sha256(data).hexdigest() != saved.digest:
        raise HealthError(
            "EB604",
            "a stored file is damaged",
            where=saved.path,
            why="its bytes are not what they were",
            mend="restore it from a backup, or `everbake retrain` and let a new version serve",
        )
    return data


def load_saved(saved: Model) -> object:
    """A saved model, as its own copy: whatever becomes of it, the file stays as it is."""
    return load(saved.form, saved_bytes(saved))


def _unskops(data: bytes) -> object:
    import skops.io

    model: object = skops.io.loads(data, trusted=list(TRUSTED))
    return model


def _unpickled(data: bytes) -> object:
    import cloudpickle

    model: object = cloudpickle.loads(data)
    return model


def python_version() -> str:
    """The version of Python that a model is saved under."""
    return sys.version.split()[0]
