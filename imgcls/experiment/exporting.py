"""A finished run's network in other formats, each of them checked before it is there."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls import backend
from imgcls.catalog import full_name, refuse_groups
from imgcls.data import Cache, Dataset
from imgcls.deployment.formats import EXPORT_JSON, FORMATS, LABELS, kinds_of, require_packages
from imgcls.deployment.source import Opened, Source, in_float32
from imgcls.environment import installed_version
from imgcls.errors import ImgclsError, RunError
from imgcls.evaluations import record_evaluation
from imgcls.experiment.measuring import measure, predict_part
from imgcls.experiment.preparing import load_images_of
from imgcls.experiment.saved import load_network, resolved_spec
from imgcls.files import whole_folder, write_json, write_text
from imgcls.observer import Observer
from imgcls.recording import refuse_changed
from imgcls.runs import Run, layout
from imgcls.spec import Spec
from imgcls.wording import first_line, shown, some

if TYPE_CHECKING:
    import keras

    from imgcls.backend import Device
    from imgcls.deployment.checking import Check
    from imgcls.evaluation.prediction import Predictions

__all__ = ["Export", "export"]

_OURS = {EXPORT_JSON, LABELS, *(each.file for each in FORMATS.values())}
_PACKAGES = ("imgcls", "keras", "tensorflow")


@dataclass(frozen=True)
class Export:
    """Where a network was exported to, and what the checks found.

    Attributes:
        folder: has a file or folder for each format, ``labels.txt`` and ``export.json``.
        record: what ``export.json`` holds: how to feed each format, accuracy, same classes, latency.
    """

    folder: Path
    record: dict[str, Any]


def export(
    run: Run,
    formats: Sequence[str] | str,
    *,
    quantize: Sequence[str] | str = (),
    out: Path | str | None = None,
    cache_dir: Path | str | None = None,
    observer: Observer | None = None,
) -> Export:
    """Write a run's network in other formats, and hold the answers of each against the network's.

    The images are those that the run was evaluated on. The folder is there when all formats are written and checked,
    or not at all; an earlier export in its place is replaced.

    Args:
        formats: of ``keras``, ``savedmodel``, ``tflite``, ``onnx``.
        quantize: of ``float16``, ``int8``: smaller files for ``tflite``, beside that in float32.
        out: the folder; by default ``export`` in the run's.

    Raises:
        SpecError: no such format.
        DataError: a folder of repeats, a file that changed since, or a model that cannot be loaded.
        RunError: a package is missing, the folder holds something else, a format cannot hold this network, or gives
            other answers than the network does.
    """
    observer = observer or Observer()
    refuse_groups(run)
    kinds = kinds_of(_listed(formats), _listed(quantize))
    require_packages(kinds)
    folder = Path(out) if out is not None else run.path(layout.EXPORT)
    folder = folder if folder.name.strip(".") else folder.resolve()
    _require_replaceable(folder)
    split, spec = run.metrics["split"], resolved_spec(run)
    dataset = load_images_of(spec, Path.cwd(), Cache(Path(cache_dir) if cache_dir else None), observer)
    refuse_changed(run, dataset)
    on_tensorflow = spec.model_copy(update={"backend": "tensorflow"})  # whose formats they are, or which makes them
    network, device = load_network(run, on_tensorflow, dataset.images.shape[1:], len(dataset.classes))
    exported = in_float32(network)
    expected = predict_part(spec, exported, dataset, split)
    observer.remarked(record_evaluation(run, measure(spec, dataset, expected, split)))
    notes = [] if exported is network else [_precision_note(spec, network, dataset, split, expected)]
    with whole_folder(folder) as temporary, tempfile.TemporaryDirectory(prefix="imgcls-export-") as scratch:
        labels = temporary / LABELS
        write_text(labels, "".join(f"{shown(name)}\n" for name in dataset.classes))
        source = Source(exported, dataset.classes, labels, dataset.images, dataset.splits["train"], Path(scratch))
        written = {
            kind: _write_checked(kind, source, temporary, dataset, split, expected, device, observer) for kind in kinds
        }
        record = _record(run, spec, dataset, device, expected, split, written, notes)
        write_json(temporary / EXPORT_JSON, record)
    return Export(folder, record)


def _listed(names: Sequence[str] | str) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _require_replaceable(folder: Path) -> None:
    """Raise unless there is nothing yet, an empty folder, or an export with nothing of the user's in it."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder} is a file: name another folder with --out")
    found = {each.name for each in folder.iterdir()}
    if found and not _is_export(folder):
        raise RunError(f"{folder} has other things in it than an export: name another folder with --out")
    if others := sorted(found - _OURS):
        raise RunError(f"{folder} has {some(others, 5)} beside an export, which would be replaced: name another folder")


def _is_export(folder: Path) -> bool:
    try:
        return "formats" in json.loads((folder / EXPORT_JSON).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _write_checked(
    kind: str,
    source: Source,
    folder: Path,
    dataset: Dataset,
    split: str,
    expected: Predictions,
    device: Device,
    observer: Observer,
) -> tuple[Opened, Check]:
    """Write one format, open it, and have it predict the evaluated images."""
    from imgcls.deployment.checking import check_export

    chosen, rows = FORMATS[kind], dataset.splits[split]
    path = folder / chosen.file
    observer.exporting(kind, 0, len(rows))
    try:
        with backend.silent():
            chosen.write(source, path)
            opened = chosen.open(path, device.threads)
            opened.predict(dataset.images[rows[:1]])  # the runtimes that say something do so at first
    except (ImgclsError, MemoryError, OSError):
        raise
    except Exception as error:  # converters raise nearly anything
        raise RunError(f"{kind}: the network cannot be converted: {first_line(error)[:300]}") from error
    return opened, check_export(kind, path, opened, dataset.images, rows, expected, partial(observer.exporting, kind))


def _precision_note(spec: Spec, network: keras.Model, dataset: Dataset, split: str, expected: Predictions) -> str:
    """Say what computing in float32 changes of a network that was trained and measured in fewer digits."""
    measured = predict_part(spec, network, dataset, split)
    other = int((measured.predicted != expected.predicted).sum())
    return (
        f"trained and measured in {spec.precision} (accuracy {measured.accuracy:.4f}), exported in float32 "
        f"({expected.accuracy:.4f}): {other} of {len(expected.labels):,} images get another class"
    )


def _record(
    run: Run,
    spec: Spec,
    dataset: Dataset,
    device: Device,
    expected: Predictions,
    split: str,
    written: dict[str, tuple[Opened, Check]],
    notes: Iterable[str],
) -> dict[str, Any]:
    """Return what ``export.json`` holds."""
    from imgcls.deployment.checking import loss_in_words

    height, width, channels = dataset.images.shape[1:]
    packages = (*_PACKAGES, *dict.fromkeys(name for kind in written for name in FORMATS[kind].packages))
    losses = filter(None, (loss_in_words(check) for _, check in written.values()))
    return {
        "schema_version": 1,
        "run": full_name(run),
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "classes": list(dataset.classes),
        "images": {
            "height": height,
            "width": width,
            "channels": channels,
            "color": spec.color,
            "values": "0..255, as they are: scaling and normalisation are in the network",
            "resize": spec.resize,
            "resampling": "bilinear, with antialiasing where it reduces: Pillow's BILINEAR",
        },
        "network": {"accuracy": expected.accuracy, "split": split, "n": len(expected.labels)},
        "formats": {kind: _described(opened, check) for kind, (opened, check) in written.items()},
        "device": {"kind": device.kind, "name": device.name, "threads": device.threads},
        "versions": {name: installed_version(name) for name in packages},
        "notes": [*notes, *losses],
    }


def _described(opened: Opened, check: Check) -> dict[str, Any]:
    """Return what is said of one format."""
    described = {
        "file": FORMATS[check.kind].file,
        "size_bytes": check.size,
        "input": opened.input,
        "output": opened.output,
        "accuracy": check.accuracy,
        "same_class": check.same,
        "largest_difference": check.largest,
        "latency_ms": check.latency_ms,
    }
    if check.loss is None:
        return described
    loss = {key: value for key, value in asdict(check.loss).items() if key in ("test", "value", "low", "high", "p")}
    return described | {"loss": loss}
