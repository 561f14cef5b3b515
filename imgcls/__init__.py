"""imgcls: image-classification experiments from a YAML file, for notebooks and scripts.

    import imgcls

    run = imgcls.train("configs/quickstart.yaml", {"lr": 1e-3})
    run.metrics["accuracy"], run.history, run.predictions, run.model()
    imgcls.predict(run, "new_photos").table

Importing it loads neither TensorFlow nor Keras: they come with the first call that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgcls.catalog import find_run, list_runs
    from imgcls.comparison import Comparison, compare
    from imgcls.errors import ConsistencyError, DataError, DegenerateError, ImgclsError, RunError, SpecError
    from imgcls.experiment import Evaluation, Export, evaluate, export, resume, train
    from imgcls.inference import Answers, predict
    from imgcls.observer import Observer
    from imgcls.runs import Run
    from imgcls.spec import LoadedSpec, Spec, load_spec

__all__ = [
    "Answers",
    "Comparison",
    "ConsistencyError",
    "DataError",
    "DegenerateError",
    "Evaluation",
    "Export",
    "ImgclsError",
    "LoadedSpec",
    "Observer",
    "Run",
    "RunError",
    "Spec",
    "SpecError",
    "compare",
    "evaluate",
    "export",
    "find_run",
    "list_runs",
    "load_spec",
    "predict",
    "resume",
    "train",
]

_HOMES = {
    "Answers": "inference",
    "Comparison": "comparison",
    "ConsistencyError": "errors",
    "DataError": "errors",
    "DegenerateError": "errors",
    "Evaluation": "experiment",
    "Export": "experiment",
    "ImgclsError": "errors",
    "LoadedSpec": "spec",
    "Observer": "observer",
    "Run": "runs",
    "RunError": "errors",
    "Spec": "spec",
    "SpecError": "errors",
    "compare": "comparison",
    "evaluate": "experiment",
    "export": "experiment",
    "find_run": "catalog",
    "list_runs": "catalog",
    "load_spec": "spec",
    "predict": "inference",
    "resume": "experiment",
    "train": "experiment",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
