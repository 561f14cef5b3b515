"""A model file of a stranger executes nothing, reads nothing else, and takes no more memory than its bytes explain.

Each file here is what an advisory on Keras describes, or a variation that only the rule of this product stops. What
they would do leaves a mark; the tests see that there is none.
"""

import base64
import io
import json
import marshal
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

import imgcls
from imgcls.backend import load_model
from imgcls.backend.inspecting import inspect_model
from imgcls.errors import DataError
from imgcls.experiment.saved import refuse_other_network
from imgcls.models.weight_files import opened
from imgcls.runs import Run, layout
from imgcls_cli.app import main

TENSOR = {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "dtype": "float32"}}
TENSOR["config"]["keras_history"] = ["image", 0, 0]
CALL = [{"args": [TENSOR], "kwargs": {}}]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A harmless model, as Keras writes it."""
    image = keras.Input((4,), name="image")
    path = tmp_path_factory.mktemp("plain") / "model.keras"
    keras.Model(image, keras.layers.Dense(3, name="dense")(image)).save(path)
    return path


@pytest.fixture
def forge(plain, tmp_path):
    """Write the harmless model with a changed config, other weights or other members; return where."""

    def write(change=None, *, weights=None, more=None, name="model.keras", compression=zipfile.ZIP_STORED):
        with zipfile.ZipFile(plain) as archive:
            members = {each: archive.read(each) for each in archive.namelist()}
        config = json.loads(members["config.json"])
        if change is not None:
            change(config)
        members["config.json"] = json.dumps(config).encode()
        if weights is not None:
            members["model.weights.h5"] = weights
        with zipfile.ZipFile(tmp_path / name, "w", compression) as archive:
            for each, content in (members | (more or {})).items():
                archive.writestr(each, content)
        return tmp_path / name

    return write


@pytest.fixture
def marker(tmp_path):
    """A file that comes into being where something is executed."""
    return tmp_path / "executed"


def refused(path, *words):
    """See that Keras never sees a file; return what was said."""
    with pytest.raises(DataError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path} ")
    assert "is refused" in message
    for word in words:
        assert word in message
    return message


def added(place, class_name, **settings):
    """Return a change that puts an object of a module into the place of the last layer."""

    def change(config):
        layer = {"module": place, "class_name": class_name, "config": {"name": "dense", **settings}}
        layer |= {"registered_name": None, "name": "dense", "inbound_nodes": CALL}
        config["config"]["layers"][-1] = layer

    return change


def settled(**settings):
    """Return a change of the settings of the last layer."""
    return lambda config: config["config"]["layers"][-1]["config"].update(settings)


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def touching(marker):
    """Return code, marshalled as Keras does a lambda's, that makes the marker."""
    code = compile(f"lambda x: open({str(marker)!r}, 'w') and x", "<lambda>", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


class Touching:
    """An object that makes the marker when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


def test_the_harmless_model_loads(plain):
    assert load_model(plain).output_shape == (None, 3)


# -- code


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("builtins", "exec"), ("subprocess", "run"), ("imgcls.files", "write_text")]
)
def test_a_function_of_any_module_is_not_called(forge, marker, module, name):
    """CVE-2025-1550: module and function of config.json are imported and called."""
    layer = added("keras.layers", "Lambda", function=function(module, name), arguments={"command": f"touch {marker}"})
    refused(forge(layer), "keras.layers.Lambda (dense)")
    refused(forge(settled(activation=function(module, name))), f"{module}.function")
    refused(forge(added(module, name)), f"{module}.{name}")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.utils", "get_file"),  # CVE-2025-8747: downloads, and unpacks
        ("keras.models", "load_model"),  # with safe_mode false
        ("keras.config", "enable_unsafe_deserialization"),  # CVE-2025-9906
        ("keras.src.backend.common.global_state", "set_global_attribute"),
        ("keras.src.utils.file_utils", "copy"),
        ("keras.saving", "register_keras_serializable"),
    ],
)
def test_functions_of_keras_that_are_no_layers_are_not_called(forge, module, name):
    refused(forge(added("keras.layers", "Lambda", function=function(module, name))), "keras.layers.Lambda")
    refused(forge(added(module, name)), f"{module}.{name} (dense)")
    refused(forge(settled(activation=function(module, name))), f"{module}.function")


def test_a_lambda_is_not_unmarshalled(forge, marker):
    """CVE-2024-3660: code in the file, which Keras' safe mode was made for."""
    code = {"class_name": "__lambda__", "config": {"code": touching(marker), "defaults": None, "closure": None}}
    refused(forge(added("keras.layers", "Lambda", function=code)), "Lambda")
    refused(forge(settled(activation=code)), "__lambda__")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("TorchModuleWrapper", {"module": "pickled"}),  # CVE-2025-49655
        ("TFSMLayer", {"filepath": "{folder}", "call_endpoint": "serve"}),
        ("JaxLayer", {"call_fn": "x"}),
        ("FlaxLayer", {"module": "x"}),
        ("StringLookup", {"vocabulary": "{secret}"}),  # CVE-2025-12058: reads files and addresses
        ("IntegerLookup", {"vocabulary": "{secret}"}),
        ("TextVectorization", {"vocabulary": "http://127.0.0.1:9/"}),
        ("TimeDistributed", {"layer": "x"}),
    ],
)
def test_layers_that_unpickle_or_read_are_not_made(forge, tmp_path, marker, name, settings):
    (tmp_path / "secret").write_text("password")
    pickled = base64.b64encode(pickle.dumps(Touching(marker))).decode()
    given = {key: str(value).format(folder=tmp_path, secret=tmp_path / "secret") for key, value in settings.items()}
    given = {key: pickled if value == "pickled" else value for key, value in given.items()}
    assert "password" not in refused(forge(added("keras.layers", name, **given)), f"keras.layers.{name} (dense)")
    assert not marker.exists()


def test_what_is_hidden_in_settings_is_found(forge):
    """Keras makes an object of each mapping with a class_name, wherever it stands."""
    hidden = {"deep": [{"er": {"module": "os", "class_name": "system", "config": {}}}]}
    refused(forge(settled(name=hidden)), "os.system")
    refused(forge(lambda config: config["config"].update(hidden)), "setting deep")
    call = {"args": [TENSOR], "kwargs": {"inputs": {"module": "os", "class_name": "system", "config": {}}}}
    refused(forge(lambda config: config["config"]["layers"][-1].update(inbound_nodes=[call])), "is called with")


def test_another_registered_name_does_not_lead_elsewhere(forge):
    @keras.saving.register_keras_serializable(package="stranger")
    class Evil(keras.layers.Layer):
        pass

    refused(forge(lambda config: config["config"]["layers"][-1].update(registered_name="stranger>Evil")), "stranger")


def test_a_layer_without_module_does_not_take_the_old_way(forge):
    """Keras hands such a record to the reader of its old format, which knows no safe mode."""
    refused(forge(lambda config: config["config"]["layers"][-1].pop("module")), "asks for Dense")
    refused(forge(lambda config: config["config"]["layers"][-1].update(inbound_nodes=[[["image", 0, 0, {}]]])))


def test_what_is_compiled_within_is_not_made(forge):
    loss = {"loss": {"module": "os", "class_name": "system", "config": {}}}
    refused(forge(lambda config: config["config"]["layers"][-1].update(compile_config=loss)), "it would compile")
    assert load_model(forge(lambda config: config.update(compile_config=loss)))  # which Keras is told to leave out


def test_a_legacy_file_is_not_opened_as_a_model(tmp_path, marker):
    """CVE-2025-9905: for .h5 files Keras' safe mode did nothing."""
    image = keras.Input((4,))
    network = keras.Model(image, keras.layers.Lambda(lambda tensor: tensor)(image))
    network.save(tmp_path / "old.h5")
    refused(tmp_path / "old.h5", "only .keras files")
    (tmp_path / "old.h5").rename(tmp_path / "model.keras")
    with pytest.raises(DataError, match="never a Keras model"):
        load_model(tmp_path / "model.keras")
    assert not marker.exists()


def test_nothing_of_tensorflow_is_imported_to_refuse_a_file(forge):
    program = "import sys; from imgcls.backend.inspecting import inspect_model; from pathlib import Path\n"
    program += "try: inspect_model(Path(sys.argv[1]))\nexcept Exception as error: print(error, *sys.modules)"
    path = forge(added("keras.layers", "Lambda"))
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert "Lambda" in done.stdout
    assert not {"keras", "tensorflow", "torch", "jax"} & set(done.stdout.split())


# -- the archive


@pytest.mark.parametrize(
    "member", ["../escaped", "/tmp/escaped", "assets/vocabulary.txt", "model.weights.npz", "x.pkl"]
)
def test_other_members_are_refused(forge, member):
    """Keras would unpack them all: CVE-2025-12060 is such a member outside of the folder."""
    refused(forge(more={member: b"escaped"}), member, "Keras writes config.json, metadata.json, model.weights.h5")


def test_two_members_of_one_name_are_refused(forge):
    path = forge()
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    refused(path, "a member twice")


def test_a_compressed_member_is_refused(forge):
    bomb = forge(weights=bytes(50_000_000), compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 200_000
    refused(bomb, "is compressed")


def test_a_config_without_end_is_refused(forge):
    refused(forge(lambda config: config.update(padding=" " * (17 << 20))), "larger than 16 MB")


@pytest.mark.parametrize("depth", [200, 100_000])
def test_a_config_without_bottom_is_refused(forge, depth):
    content = json.dumps(
        {"module": "keras.src.models.functional", "class_name": "Functional", "config": {"layers": "deep"}}
    )
    nested = content.replace('"deep"', "[" * depth + "]" * depth)
    refused(forge(more={"config.json": nested}), "config.json")


@pytest.mark.parametrize("content", ["[]", "3", "{}", "nonsense", '{"class_name": "Functional"}', '{"class_name": []}'])
def test_a_config_of_something_else_is_refused(forge, content):
    refused(forge(more={"config.json": content}))


def test_every_cut_of_a_file_is_an_error_of_data(plain, tmp_path):
    content = plain.read_bytes()
    for share in range(1, 20):
        (tmp_path / "model.keras").write_bytes(content[: len(content) * share // 20])
        with pytest.raises(DataError):
            load_model(tmp_path / "model.keras")


def test_a_flipped_bit_of_the_weights_is_seen(plain, tmp_path):
    content = bytearray(plain.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(DataError):
        load_model(tmp_path / "model.keras")


# -- memory


@pytest.mark.parametrize("units", [1_000_000_000, 10**18, 1e9, "1000000000", -3, None, True, [3]])
def test_a_layer_of_a_billion_units_is_not_built(forge, units):
    refused(forge(settled(units=units)), "keras.layers.Dense (dense)")


@pytest.mark.parametrize(
    "build",
    [None, {}, {"input_shape": [None, 10**9]}, {"input_shape": 7}, {"shapes_dict": {"input_shape": [1, 10**9]}}],
)
def test_a_layer_is_not_built_for_another_input_than_its_weights(forge, build):
    refused(forge(lambda config: config["config"]["layers"][-1].update(build_config=build)), "Dense (dense)")


def test_the_weights_of_one_layer_do_not_serve_many(forge):
    def change(config):
        layers = config["config"]["layers"]
        layers += [layers[-1] | {"name": f"dense{number}"} for number in range(3)]

    refused(forge(change), "asks for weights of 4x3")


@pytest.mark.parametrize(
    "settings",
    [
        {"lora_rank": 10**9},
        {"quantization_config": {"a": 1}},
        {"dtype": "int8_from_float32"},
        {"kernel_constraint": "x"},
    ],
)
def test_settings_that_make_other_weights_are_refused(forge, settings):
    refused(forge(settled(**settings)), "Dense (dense)")


def test_a_mean_is_not_spread_over_a_billion_channels(forge):
    def change(config):
        added("keras.layers", "Normalization", axis=[-1], mean=0.0, variance=1.0)(config)
        config["config"]["layers"][-1]["build_config"] = {"input_shape": [None, 10**9]}

    refused(forge(change), "Normalization")


def test_what_is_given_numbers_alone_would_be_computed_at_once(forge):
    def change(config):
        added("keras.layers", "UpSampling2D", size=[10**6, 10**6], data_format="channels_last")(config)
        config["config"]["layers"][-1]["inbound_nodes"] = [{"args": [[[[[1.0]]]]], "kwargs": {}}]

    refused(forge(change), "is called with something else")


def test_images_of_any_size_are_refused(forge):
    def change(config):
        config["config"]["layers"][0]["config"]["batch_shape"] = [None, None, 4]

    refused(forge(change), "takes images of any size")


def test_a_network_whose_tensors_are_larger_than_the_memory_is_refused(tmp_path):
    image = keras.Input((8, 8, 1))
    tensor = keras.layers.UpSampling2D(100_000)(image)
    network = keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(tensor)))
    with pytest.raises(DataError, match=r"model\.keras is refused: one of its layers gives 655,360 GB for a batch"):
        refuse_other_network(Run(tmp_path), network, (8, 8, 1), 3)


@pytest.mark.parametrize("kind", ["__tensor__", "__numpy__", "__typespec__", "__bytes__", "__slice__", "__ellipsis__"])
def test_values_that_keras_would_make_are_refused(forge, kind):
    refused(forge(settled(name={"class_name": kind, "config": {"value": 0, "dtype": "float32"}})), kind)


# -- the weights


def hdf5(fill):
    """Return an HDF5 file: what Keras wrote for the harmless model, and changed."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        dense = file.create_group("layers/dense/vars")
        dense.attrs["name"] = "dense"
        dense["0"], dense["1"] = np.ones((4, 3), np.float32), np.ones(3, np.float32)
        fill(file)
    return content.getvalue()


def replaced(make):
    """Return a change of the file that puts something into the place of the kernel."""

    def fill(file):
        del file["layers/dense/vars/0"]
        make(file, "layers/dense/vars/0")

    return fill


def virtual(secret):
    layout = h5py.VirtualLayout((4, 3), np.float32)
    layout[:] = h5py.VirtualSource(str(secret), "data", (4, 3))
    return layout


def elsewhere(secret):
    """Return name → what leads out of the file (CVE-2026-1669), or to another place in it."""
    return {
        "external storage": lambda file, name: file.create_dataset(
            name, (4, 3), np.float32, external=[(str(secret), 0, 48)]
        ),
        "virtual": lambda file, name: file.create_virtual_dataset(name, virtual(secret)),
        "external link": lambda file, name: file.update({name: h5py.ExternalLink(str(secret), "data")}),
        "soft link": lambda file, name: file.update({name: h5py.SoftLink("/layers/dense/vars/1")}),
    }


def bombs():
    """Return name → what is small in the file and large in memory (CVE-2026-0897)."""
    return {
        "never written": lambda file, name: file.create_dataset(name, (10**6, 10**6), np.float32),
        "compressed": lambda file, name: file.create_dataset(
            name, (10**7,), np.float32, compression="gzip", fillvalue=0
        ),
        "chunked": lambda file, name: file.create_dataset(name, (10**6, 10**6), np.float32, chunks=(10, 10)),
        "texts": lambda file, name: file.create_dataset(name, (10**6,), h5py.string_dtype()),
        "nothing": lambda file, name: file.create_dataset(name, dtype=np.float32, shape=None, data=h5py.Empty("f")),
    }


@pytest.fixture
def secret(tmp_path):
    """A file of the user's, which is an HDF5 file too."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = np.full((4, 3), 42, np.float32)
    return tmp_path / "secret.h5"


@pytest.mark.parametrize("way", elsewhere(""))
def test_weights_do_not_come_from_other_files(forge, tmp_path, secret, way):
    content = hdf5(replaced(elsewhere(secret)[way]))
    refused(forge(weights=content), "only weights that lie in the file itself are read")
    for name in ("foreign.weights.h5", "foreign.h5"):
        (tmp_path / name).write_bytes(content)
        with (
            pytest.raises(DataError, match=r"foreign.*only weights that lie in the file itself"),
            opened(tmp_path / name),
        ):
            pass
    with pytest.raises(DataError, match="only weights that lie"), opened(forge(weights=content)):
        pass


@pytest.mark.parametrize("way", bombs())
def test_weights_are_not_larger_than_the_file(forge, tmp_path, way):
    content = hdf5(replaced(bombs()[way]))
    assert len(content) < 100_000
    refused(forge(weights=content))
    (tmp_path / "foreign.weights.h5").write_bytes(content)
    with pytest.raises(DataError, match=r"foreign\.weights\.h5 is refused"), opened(tmp_path / "foreign.weights.h5"):
        pass


@pytest.mark.parametrize("place", ["model_weights", "model_weights/dense"])
def test_links_of_an_old_weights_file_are_not_followed(tmp_path, secret, place):
    """keras-team/keras#22900: links at the group of all weights."""
    with h5py.File(tmp_path / "old.h5", "w") as file:
        group, _, name = place.rpartition("/")
        file.require_group(group or "/")[name] = h5py.ExternalLink(str(secret), "/")
        file[group or "/"].attrs["layer_names"] = np.array([b"dense"])
    with pytest.raises(DataError, match="is a link to another place"), opened(tmp_path / "old.h5"):
        pass


def test_an_archive_that_is_an_hdf5_file_too_is_not_built(forge, tmp_path, marker):
    """A zip file may begin with anything; named .h5, Keras would take it for a model of its old format."""
    with h5py.File(tmp_path / "both.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Lambda", "config": {"function": touching(marker)}})
    (tmp_path / "both.h5").write_bytes((tmp_path / "both.h5").read_bytes() + forge().read_bytes())
    with opened(tmp_path / "both.h5") as layers:
        assert [layer.name for layer in layers] == ["dense"]
    assert not marker.exists()


def test_weights_of_an_archive_are_read_without_building_its_network(forge, marker):
    layer = added("keras.layers", "Lambda", function=function("os", "system"), arguments={"command": f"touch {marker}"})
    with opened(forge(layer)) as layers:
        assert [layer.shapes for layer in layers] == [[(4, 3), (3,)]]
    assert not marker.exists()


def test_an_npz_file_is_not_unpickled(tmp_path, marker):
    np.savez(tmp_path / "model.weights.npz", np.array([Touching(marker)], dtype=object))
    marker.unlink(missing_ok=True)
    with pytest.raises(DataError, match="is a zip archive, but no Keras model"), opened(tmp_path / "model.weights.npz"):
        pass
    assert not marker.exists()


# -- the messages, and the commands


def test_a_message_has_nothing_that_a_terminal_obeys(forge):
    message = refused(forge(added("keras.layers", "\x1b[2J[red]\n\u202e" * 1000)), r"\x1b[2J[red]\n")
    assert "\x1b" not in message
    assert len(message) < 1000


def test_surrogates_do_not_break_the_message(forge):
    refused(forge(added("keras.layers", "\ud800")), r"\ud800").encode()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run, trained for no time."""
    spec = {"data": {"source": "digits", "limit": {"train": 30}}, "architecture": ["flatten"], "epochs": 1}
    return imgcls.train(spec, runs_dir=tmp_path_factory.mktemp("finished"))


@pytest.mark.parametrize("command", ["evaluate", "predict", "export", "report", "serve"])
def test_every_command_that_loads_a_model_refuses_it(command, forge, finished, tmp_path, marker, capsys):
    run = Run(tmp_path / "foreign")
    shutil.copytree(finished.folder, run.folder)
    layer = added("keras.layers", "Lambda", function=function("os", "system"), arguments={"command": f"touch {marker}"})
    forge(layer).replace(run.path(layout.MODEL))
    run.path(layout.CHECKSUMS).unlink()  # a stranger writes what fits
    Image.new("L", (8, 8)).save(tmp_path / "image.png")
    more = {
        "predict": [str(tmp_path / "image.png")],
        "export": ["--format", "keras"],
        "report": ["--explain"],
        "serve": ["--port", "0"],
    }
    assert main([command, str(run.folder), *more.get(command, ())]) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert f"{run.path(layout.MODEL)} is refused: it asks for keras.layers.Lambda (dense)" in said
    assert not marker.exists()


def test_every_advisory_that_the_documentation_has_is_tested():
    told = set(re.findall(r"CVE-[0-9]+-[0-9]+", (Path(__file__).parents[1] / "docs" / "security.md").read_text()))
    assert told == set(re.findall(r"CVE-[0-9]+-[0-9]+", Path(__file__).read_text()))


def test_inspecting_says_nothing_of_a_good_file(plain):
    assert inspect_model(Path(plain)) is None
