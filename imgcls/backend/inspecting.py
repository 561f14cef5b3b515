"""What a ``.keras`` file would make Keras do, found out before Keras opens it; what imgcls never asks for is refused.

A model file of a stranger is a program: its ``config.json`` names what is to be called, and with what. Keras' safe mode
refuses what is known to run code. Here the rule is the other way round: what is not known to be needed is refused. So
is what asks for more memory than the file has bytes. docs/security.md says what is trusted and what is not.

Nothing here imports Keras.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from imgcls.errors import DataError
from imgcls.wording import first_line, shown

if TYPE_CHECKING:
    import h5py

__all__ = ["inspect_model", "read_archive", "tensors_of"]

_CONFIG, _METADATA, _WEIGHTS = _MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
_MAX_CONFIG_BYTES = 16 << 20  # the largest of keras.applications, NASNetLarge, has about 1 MB
_MAX_DEPTH = 100  # of what is nested in the config; 14 levels are a backbone in a network in an average
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError, ValueError, EOFError)
_HDF5_ERRORS = (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError)

_OWN = "only weights that lie in the file itself are read"
_OPERATIONS = "keras.src.ops.numpy"
# Module → what is built of it: by imgcls (models/), or by a network of keras.applications. A test builds them all.
_ALLOWED = {
    "keras": {"DTypePolicy", "Sequential"},
    "keras.initializers": {
        "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Ones", "Orthogonal",
        "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros",
    },
    "keras.layers": {
        "Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv2D",
        "Conv2DTranspose", "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout", "ELU", "Flatten", "GaussianDropout",
        "GaussianNoise", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "GroupNormalization", "InputLayer",
        "LayerNormalization", "LeakyReLU", "MaxPooling2D", "Multiply", "Normalization", "PReLU", "ReLU", "Rescaling",
        "Reshape", "SeparableConv2D", "SpatialDropout2D", "UpSampling2D", "ZeroPadding2D",
    },
    "keras.regularizers": {"L1L2"},
    "keras.src.applications.convnext": {"LayerScale"},
    "keras.src.applications.inception_resnet_v2": {"CustomScaleLayer"},
    "keras.src.models.functional": {"Functional"},
    _OPERATIONS: {"Add", "Flip", "Multiply"},
    None: {"__keras_tensor__"},  # what a layer is called with: the output of another
}  # fmt: skip
_RECORD_KEYS = {
    "build_config", "class_name", "compile_config", "config", "inbound_nodes", "module", "name", "registered_name",
    "shared_object_id",
}  # fmt: skip
# What of these has a value. What else Keras knows, such as ``lora_rank``, makes weights of its own.
_SETTINGS = {
    "alpha", "alpha_initializer", "alpha_regularizer", "activation", "axis", "batch_shape", "beta_initializer",
    "beta_regularizer", "bias_initializer", "bias_regularizer", "build_input_shape", "center", "cropping",
    "data_format", "depth_multiplier", "depthwise_initializer", "depthwise_regularizer", "dilation_rate",
    "distribution", "dtype", "epsilon", "filters", "gamma_initializer", "gamma_regularizer", "groups", "init_values",
    "input_axes", "input_layers", "interpolation", "invert", "keepdims", "keras_history", "kernel_initializer",
    "kernel_regularizer", "kernel_size", "l1", "l2", "layers", "max_value", "maxval", "mean", "minval", "mode",
    "momentum", "moving_mean_initializer", "moving_variance_initializer", "name", "negative_slope", "noise_shape",
    "offset", "optional", "output_axes", "output_layers", "output_padding", "padding", "gain", "pointwise_initializer",
    "pointwise_regularizer", "pool_size", "projection_dim", "ragged", "rate", "renorm", "renorm_clipping",
    "renorm_momentum", "rms_scaling", "scale", "seed", "shape", "shared_axes", "size", "sparse", "stddev", "strides",
    "synchronized", "target_shape", "threshold", "trainable", "units", "use_bias", "variance",
}  # fmt: skip
_POLICIES = {"float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16", "uint8"}  # others quantize

_Record = dict[str, Any]
_Shape = tuple[Any, ...]


def inspect_model(path: Path) -> None:
    """Refuse a ``.keras`` file that asks for anything but a network as imgcls builds them, with the weights it has.

    Raises:
        DataError: names the file and what was refused.
    """
    import h5py

    if path.suffix != ".keras":
        _refuse(path, "only .keras files are loaded as models")  # of another one Keras takes its old way
    config, weights = read_archive(path)
    _refuse_unknown(config, path)
    try:
        with h5py.File(io.BytesIO(weights), "r") as file:
            stored = Counter(tuple(tensor.shape) for tensor in tensors_of(file, path, len(weights)).values())
    except _HDF5_ERRORS as error:
        raise DataError(f"{path} is refused: its weights cannot be read: {first_line(error)[:200]}") from error
    _refuse_large(config, stored, path)


def read_archive(path: Path) -> tuple[_Record, bytes]:
    """Return the config and the HDF5 file of weights of a ``.keras`` file; their checksums are compared.

    Raises:
        DataError: it is truncated, or not as Keras writes it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_members(archive, path)
            config, weights = archive.read(_CONFIG), archive.read(_WEIGHTS)
    except _ZIP_ERRORS as error:
        raise DataError(f"{path} is truncated, or was never a Keras model: {first_line(error)[:200]}") from error
    try:
        record = json.loads(config)  # as Keras does: what it would read is what is inspected
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is refused: its {_CONFIG} cannot be read: {first_line(error)[:200]}") from error
    if not isinstance(record, dict):
        _refuse(path, f"its {_CONFIG} describes no network")
    return record, weights


def tensors_of(file: h5py.File, path: Path, size_bytes: int) -> dict[str, h5py.Dataset]:
    """Return path in the file → tensor of an HDF5 file; none is read.

    Args:
        path: the file's, for messages.
        size_bytes: of the file.

    Raises:
        DataError: something in it points elsewhere, is no number, is compressed, or is larger than the file.
    """
    import h5py

    tensors: dict[str, h5py.Dataset] = {}

    def link_elsewhere(name: str, link: Any) -> str | None:
        return None if isinstance(link, h5py.HardLink) else name

    def listed(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            tensors[name] = item

    # h5py takes no exception out of these calls; what is not None ends the first
    if (name := file.visititems_links(link_elsewhere)) is not None:
        _refuse(path, f"{_said(name)} is a link to another place: {_OWN}")
    file.visititems(listed)
    for name, tensor in tensors.items():
        if tensor.is_virtual or tensor.external:
            _refuse(path, f"{_said(name)} points to other files: {_OWN}")
        if tensor.shape is None or tensor.dtype.hasobject or tensor.dtype.kind not in "biufV":
            _refuse(path, f"{_said(name)} is no tensor of numbers")
        if tensor.id.get_create_plist().get_nfilters():
            _refuse(path, f"{_said(name)} is compressed: only weights that are stored as they are are read")
    held = sum(math.prod(tensor.shape) * tensor.dtype.itemsize for tensor in tensors.values())
    if held > size_bytes:
        _refuse(path, f"its weights claim to be {held:,} bytes, in {size_bytes:,} bytes of file")
    return tensors


def _refuse_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive with anything but the three files that Keras writes, as they are."""
    members = archive.infolist()
    names = [each.filename for each in members]
    if missing := [each for each in _MEMBERS if each not in names]:
        raise DataError(f"{path} is a zip archive, but no Keras model (it has no {missing[0]})")
    if len(names) > len(_MEMBERS):
        more = next((name for name in names if name not in _MEMBERS), "a member twice")
        _refuse(path, f"it holds {_said(more)}; Keras writes {', '.join(_MEMBERS)}")
    size = path.stat().st_size
    for each in members:
        if each.compress_type != zipfile.ZIP_STORED or each.file_size > size:
            _refuse(path, f"{each.filename} in it is compressed, which Keras never does: it may be a bomb")
    if archive.getinfo(_CONFIG).file_size > _MAX_CONFIG_BYTES:
        _refuse(path, f"its {_CONFIG} is larger than {_MAX_CONFIG_BYTES >> 20} MB")


def _refuse_unknown(config: _Record, path: Path) -> None:
    """Refuse a config that names anything but the layers, and the settings, of a network as imgcls builds them."""
    if config.get("class_name") not in ("Functional", "Sequential"):
        _refuse(path, f"it is no network, but {_named(config)}")
    for record in _records(config | {"compile_config": None}, path):  # which is not loaded
        _refuse_object(record, path)
        _refuse_settings(record, path)


def _refuse_object(record: _Record, path: Path) -> None:
    """Refuse a class that is not allowed, a name that leads elsewhere, and a call with anything but tensors."""
    known = _ALLOWED.get(_text(record.get("module")))
    if known is None or _text(record["class_name"]) not in known:
        _refuse(path, f"it asks for {_named(record)}, which no network of imgcls has")
    if record.get("registered_name") not in (None, record["class_name"]):
        _refuse(path, f"it asks for {_named(record)} by another name, {_said(record['registered_name'])}")
    if record.get("compile_config"):
        _refuse(path, f"it would compile {_named(record)}")
    for node in record.get("inbound_nodes") or ():
        if not _is_plain_call(node, is_layer=record["module"] != _OPERATIONS):
            _refuse(path, f"{_named(record)} in it is called with something else than the output of a layer")


def _refuse_settings(record: _Record, path: Path) -> None:
    """Refuse a setting that is not known, and arithmetic that quantizes."""
    settings = record.get("config")
    if not isinstance(settings, dict):
        _refuse(path, f"{_named(record)} in it has no settings")
    others = [key for key in record if key not in _RECORD_KEYS]
    others += [key for key, value in settings.items() if value is not None and key not in _SETTINGS]
    if others:
        _refuse(path, f"{_named(record)} in it has a setting {_said(others[0])}, which no network of imgcls has")
    inputs = [settings.get("batch_shape")] if record["class_name"] == "InputLayer" else []
    inputs += [settings["build_input_shape"]] if "build_input_shape" in settings else []
    if not all(map(_is_input, inputs)):
        _refuse(path, f"{_named(record)} in it takes images of any size, which no network of imgcls does")
    policy = settings.get("name" if record["class_name"] == "DTypePolicy" else "dtype")
    if isinstance(policy, str) and policy not in _POLICIES:
        _refuse(path, f"{_named(record)} in it computes in {_said(policy)}, which no network of imgcls does")


def _records(value: Any, path: Path) -> Iterator[_Record]:
    """Yield all that Keras would make an object of, wherever it stands in a value."""
    waiting = [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            _refuse(path, f"its {_CONFIG} is nested too deeply")
        if isinstance(each, dict):
            if "class_name" in each:
                yield each
            waiting += [(inner, depth + 1) for inner in each.values()]
        elif isinstance(each, list):
            waiting += [(inner, depth + 1) for inner in each]


def _refuse_large(config: _Record, stored: Counter[_Shape], path: Path) -> None:
    """Refuse a config whose layers have weights that the file does not hold; each is there for one layer.

    Keras makes the weights of a layer from its settings and ``build_config``, before it looks for their values.
    """
    left = stored.copy()
    for record in _records(config | {"compile_config": None}, path):
        if record["class_name"] not in _WEIGHTS_OF:
            continue
        try:
            settings, shape = record["config"], record["build_config"]["input_shape"]
            wanted = [tuple(each) for each in _WEIGHTS_OF[record["class_name"]](settings, shape)]
            left.subtract(wanted)
            lacking = next((each for each in wanted if left[each] < 0), None)
        except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
            raise DataError(
                f"{path} is refused: the shape of {_named(record)} in it cannot be told: {first_line(error)[:200]}"
            ) from error
        if lacking is not None:
            sides = _said("x".join(map(str, lacking))) or "a number"
            _refuse(path, f"{_named(record)} in it asks for weights of {sides}, which the file does not hold")


def _channels(settings: _Record, shape: _Shape) -> Any:
    return shape[1 if settings["data_format"] == "channels_first" else -1]


def _conv(settings: _Record, shape: _Shape) -> list[_Shape]:
    filters = settings["filters"]
    kernel = (*settings["kernel_size"], _channels(settings, shape) // settings["groups"], filters)
    return [kernel, *_vector(filters, settings["use_bias"])]


def _conv_transpose(settings: _Record, shape: _Shape) -> list[_Shape]:
    filters = settings["filters"]
    return [(*settings["kernel_size"], filters, _channels(settings, shape)), *_vector(filters, settings["use_bias"])]


def _depthwise_conv(settings: _Record, shape: _Shape) -> list[_Shape]:
    channels, times = _channels(settings, shape), settings["depth_multiplier"]
    return [(*settings["kernel_size"], channels, times), *_vector(channels * times, settings["use_bias"])]


def _separable_conv(settings: _Record, shape: _Shape) -> list[_Shape]:
    [depthwise] = _depthwise_conv(settings | {"use_bias": False}, shape)
    pointwise = (1, 1, depthwise[-1] * depthwise[-2], settings["filters"])
    return [depthwise, pointwise, *_vector(settings["filters"], settings["use_bias"])]


def _dense(settings: _Record, shape: _Shape) -> list[_Shape]:
    return [(shape[-1], settings["units"]), *_vector(settings["units"], settings["use_bias"])]


def _batch_norm(settings: _Record, shape: _Shape) -> list[_Shape]:
    return _vector(shape[settings["axis"]], True, True, settings["center"], settings["scale"])


def _group_norm(settings: _Record, shape: _Shape) -> list[_Shape]:
    return _vector(shape[settings["axis"]], settings["center"], settings["scale"])


def _layer_norm(settings: _Record, shape: _Shape) -> list[_Shape]:
    axes = settings["axis"] if isinstance(settings["axis"], list) else [settings["axis"]]
    is_there = (settings["scale"] or settings["rms_scaling"], settings["center"] and not settings["rms_scaling"])
    return [tuple(shape[axis] for axis in axes)] * sum(map(bool, is_there))


def _normalization(settings: _Record, shape: _Shape) -> list[_Shape]:
    """Return mean, variance and count where they were measured; those that were given are spread over the channels."""
    axes = settings["axis"] if isinstance(settings["axis"], list) else [settings["axis"]]
    kept = tuple(shape[axis] for axis in axes)
    if settings["mean"] is None:
        return [kept, kept, ()]
    given = settings["mean"] if isinstance(settings["mean"], list) else [settings["mean"]]
    return [] if kept == (len(given),) else [kept]


def _prelu(settings: _Record, shape: _Shape) -> list[_Shape]:
    shared = settings["shared_axes"] or ()
    return [tuple(1 if axis in shared else side for axis, side in enumerate(shape[1:], start=1))]


def _layer_scale(settings: _Record, shape: _Shape) -> list[_Shape]:  # noqa: ARG001 - one signature for all layers
    return [(settings["projection_dim"],)]


def _vector(length: Any, *is_there: bool) -> list[_Shape]:
    """Return the shapes of as many vectors as there are."""
    return [(length,)] * sum(map(bool, is_there))


# Class → the shapes of its weights, from its settings and the shape of its input, as Keras builds it.
_WEIGHTS_OF: Mapping[str, Callable[[_Record, _Shape], list[_Shape]]] = {
    "BatchNormalization": _batch_norm,
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise_conv,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "LayerScale": _layer_scale,
    "Normalization": _normalization,
    "PReLU": _prelu,
    "SeparableConv2D": _separable_conv,
}


def _is_plain_call(node: Any, *, is_layer: bool) -> bool:
    """Return whether a layer is given the output of one or of several, an operation a number too, and nothing else.

    What is given numbers alone is computed at once, whatever that takes; ``training`` makes a layer do other things.
    """
    args, kwargs = (node.get(key) if isinstance(node, dict) else None for key in ("args", "kwargs"))
    if not isinstance(args, list) or not isinstance(kwargs, dict) or any(kwargs.values()):  # no mask, not training
        return False
    given = args[0] if is_layer and len(args) == 1 and isinstance(args[0], list) else args
    tensors = [each for each in given if isinstance(each, dict) and each.get("class_name") == "__keras_tensor__"]
    numbers = [each for each in given if isinstance(each, int | float)]
    return bool(tensors) and len(given) == len(tensors) + (0 if is_layer else len(numbers))


def _is_input(shape: Any) -> bool:
    """Return whether a shape is that of any number of images of one size: what follows is of known size then."""
    return isinstance(shape, list) and shape[:1] == [None] and all(isinstance(side, int) for side in shape[1:])


def _text(value: Any) -> str | None:
    """Return what may be looked up; what is neither text nor nothing is found nowhere."""
    return value if isinstance(value, str | None) else ""


def _named(record: _Record) -> str:
    """Say what a record asks for, and under which name."""
    module, kind, name = (record.get(key) for key in ("module", "class_name", "name"))
    asked = ".".join(str(each) for each in (module, kind) if each is not None)
    return _said(f"{asked} ({name})" if isinstance(name, str) else asked)


def _said(value: Any) -> str:
    """Return what a stranger wrote as it can stand in a message: of bounded length, on its line."""
    return shown(str(value)[:200].encode("utf-8", "backslashreplace").decode())


def _refuse(path: Path, reason: str) -> NoReturn:
    raise DataError(f"{path} is refused: {reason}")
