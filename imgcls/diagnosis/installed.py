"""Which packages there are, whether they are those that are needed, and which settings they obey."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

from imgcls.diagnosis.line import Line
from imgcls.environment import installed_version

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["extras", "requirements", "settings", "versions"]

SHOWN = ("imgcls", "keras", "tensorflow", "jax", "torch", "numpy", "pillow", "pandas", "scikit-learn", "optuna")
FOR_DEVELOPERS = "dev"
# Packages that bring the same module as another one: which of the two is imported is a matter of luck.
TWINS = (
    ("tensorflow", "tensorflow-cpu"), ("tensorflow", "tensorflow-gpu"), ("tensorflow", "tf-nightly"),
    ("tensorflow", "intel-tensorflow"), ("tensorflow", "tensorflow-macos"), ("keras", "keras-nightly"),
    ("pillow", "pillow-simd"),
)  # fmt: skip


def versions(_runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Tell the versions of what a result depends on."""
    yield Line("ok", "python", f"{platform.python_version()} in {sys.prefix}, on {platform.platform()}")
    found = [f"{name} {there}" for name in SHOWN if (there := installed_version(name)) is not None]
    yield Line("ok", "versions", ", ".join(found) or "none of the packages that imgcls is made of")


def requirements(_runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Hold what is installed against what imgcls says that it needs."""
    wrong = [text for need in _requirements("imgcls", "") for text in _wrong(need)]
    if wrong:
        yield Line("problem", "requirements", "; ".join(wrong), "pip install --upgrade imgcls brings what it needs")
    else:
        yield Line("ok", "requirements", "all there")
    for first, second in TWINS:
        if installed_version(first) and installed_version(second):
            advice = f"pip uninstall {first} {second}, then pip install {first}"
            yield Line("problem", "requirements", f"{first} and {second} are both installed, as one module", advice)


def extras(_runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Tell which optional parts are there, and how the others are installed."""
    names = [name for name in distribution("imgcls").metadata.get_all("Provides-Extra") or () if name != FOR_DEVELOPERS]
    missing = {name: [text for need in _requirements("imgcls", name) for text in _wrong(need)] for name in names}
    if there := [name for name, wrong in missing.items() if not wrong]:
        yield Line("ok", "extras", f"installed: {', '.join(there)}")
    if away := [name for name, wrong in missing.items() if wrong]:
        lines = ", ".join(f"pip install 'imgcls[{name}]'" for name in away)
        yield Line("ok", "extras", f"not installed, needed where a spec asks for them: {', '.join(away)}", lines)


def settings(_runs_dir: Path, _cache_dir: Path | None) -> Iterator[Line]:
    """Tell settings outside the spec that are overruled, or that hide something."""
    if wanted := os.environ.get("KERAS_BACKEND", "tensorflow").replace("tensorflow", ""):
        yield Line("note", "settings", f"KERAS_BACKEND={wanted} does not count", "a spec says it: backend: " + wanted)
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        yield Line("note", "settings", "CUDA_VISIBLE_DEVICES hides all GPUs", "unset CUDA_VISIBLE_DEVICES shows them")
    file = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    if not file.is_file():
        return
    try:
        chosen = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        yield Line("note", "settings", f"{file} is no JSON; Keras passes over it", "remove it")
        return
    usual = {"floatx": "float32", "image_data_format": "channels_last", "backend": "tensorflow"}
    other = [f"{key}: {chosen[key]}" for key, value in usual.items() if chosen.get(key, value) != value]
    if other:
        yield Line("note", "settings", f"{file} says {', '.join(other)}, which a spec overrules")


def _requirements(package: str, extra: str) -> Iterator[Requirement]:
    """Return what a package needs: always, or for one of its extras."""
    from packaging.requirements import Requirement

    for text in distribution(package).requires or ():
        need = Requirement(text)
        always = _applies(need, {"extra": ""})
        if _applies(need, {"extra": extra}) and not always if extra else always:
            yield need


def _applies(need: Requirement, environment: Mapping[str, str]) -> bool:
    return need.marker is None or need.marker.evaluate(dict(environment))


def _wrong(need: Requirement) -> Iterator[str]:
    """Tell what of a requirement is missing or of another version; of its own extras one level."""
    there = installed_version(need.name)
    if there is None:
        yield f"{need.name} is missing"
    elif not need.specifier.contains(there, prereleases=True):
        yield f"{need.name} is {there}, {need.specifier} is needed"
    else:
        yield from (f"{inner.name} is missing" for extra in need.extras for inner in _requirements(need.name, extra)
                    if installed_version(inner.name) is None)  # fmt: skip
