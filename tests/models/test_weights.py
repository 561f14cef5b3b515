"""Pretrained weights come from any file that Keras writes, are matched tensor by tensor, and checked."""

import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from imgcls.errors import DataError, RunError
from imgcls.models import build_network, load_pretrained
from imgcls.spec import load_spec

SHAPE = (16, 16, 3)
STDDEV = np.array([0.229, 0.224, 0.225], np.float32)
MOBILENET = Path(__file__).parents[2].parent / "shared" / "data" / "mobilenet_1_0_224_notop.weights.h5"
FORMATS = ["weights.h5", "unnamed.weights.h5", "h5", "notop.h5", "keras"]


def build(weights, shape=SHAPE, **architecture):
    architecture = {"backbone": "efficientnetb0", "weights": str(weights), **architecture}
    spec = load_spec({"data": "digits", "architecture": architecture, "precision": "float32"}).spec.completed()
    return spec, build_network(spec, shape, 4, None)


def outputs(network, images):
    return keras.ops.convert_to_numpy(network(images, training=False))


def features(network, images):
    return outputs(keras.Model(network.input, network.get_layer("global_average_pool_head_0").input), images)


def pixels(count=4, shape=SHAPE):
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype("float32")


def pretrained(tiny_network, **arguments):
    """A network with weights that are none of the initial ones."""
    keras.layers.Conv2D(1, 1), keras.layers.Conv2D(1, 1), keras.layers.BatchNormalization()  # its names count on
    network, random = tiny_network(input_shape=SHAPE, **arguments), np.random.default_rng(1)
    for weight in network.weights:
        if "seed_generator" not in weight.path and weight.dtype == "float32":
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return network


def save(network, path):
    if path.name.endswith(".weights.h5"):
        network.save_weights(path)
    else:
        network.save(path)
    if "unnamed" in path.name:  # as the first versions of Keras 3 wrote it
        with h5py.File(path, "r+") as file:
            paths = []
            file.visit(paths.append)
            for each in paths:
                file[each].attrs.pop("name", None)
    if "notop" in path.name:  # as the files of keras.applications are
        with h5py.File(path, "r+") as file:
            for name in [*file["model_weights"]]:
                file.move(f"model_weights/{name}", name)
            file.attrs.update(dict(file["model_weights"].attrs))
            del file["model_weights"]
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_of_keras_gives_the_network_that_was_saved(tiny_backbone, tmp_path, suffix):
    network = pretrained(tiny_backbone)
    spec, built = build(save(network, tmp_path / f"tiny.{suffix}"))
    report = load_pretrained(spec, built)

    assert (report.matched, report.total) == (18, 18)
    assert report.message == f"all 18 tensors of efficientnetb0 from {tmp_path}/tiny.{suffix}"
    np.testing.assert_allclose(features(built, pixels()), outputs(network, pixels()), rtol=1e-5)


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_lies_behind_the_cut_is_not_asked_for(tiny_backbone, tmp_path, suffix):
    network = pretrained(tiny_backbone)
    spec, built = build(save(network, tmp_path / f"tiny.{suffix}"), cut="stem_relu")
    report = load_pretrained(spec, built)
    assert report.message == f"8 of 18 tensors of efficientnetb0 up to its cut from {tmp_path}/tiny.{suffix}"
    np.testing.assert_array_equal(
        built.get_layer("stem_conv").get_weights()[0], network.get_layer("stem_conv").get_weights()[0]
    )


def test_a_trained_network_of_the_tool_is_a_weights_file(tiny_backbone, tmp_path):
    _, first = build("none", cut="down", trainable="all", head=["global_average_pool", {"dense": 5}])
    first.save(tmp_path / "model.keras")
    spec, second = build(tmp_path / "model.keras", cut="down")
    message = load_pretrained(spec, second).message
    assert message == (
        f"12 of 18 tensors of efficientnetb0 up to its cut from {tmp_path}/model.keras, "
        "which holds 4 more (dense_head_1, output)"
    )
    np.testing.assert_allclose(features(second, pixels()), features(first, pixels()), rtol=1e-5)


@pytest.mark.parametrize("suffix", ["weights.h5", "h5", "keras"])
def test_a_backbone_inside_a_sequential_is_found(tiny_backbone, tmp_path, suffix):
    network = pretrained(tiny_backbone)
    layers = [keras.Input(SHAPE), network, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    spec, built = build(save(keras.Sequential(layers), tmp_path / f"transfer.{suffix}"))
    report = load_pretrained(spec, built)
    assert (report.matched, report.unused) == (18, 2)
    np.testing.assert_allclose(features(built, pixels()), outputs(network, pixels()), rtol=1e-5)


def flat(network, *layers):
    """A network that goes on with these layers, all side by side."""
    tensor = network.output
    for layer in layers:
        tensor = layer(tensor)
    return keras.Model(network.input, tensor)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_top_with_a_convolution_is_told_and_left_out(tiny_backbone, tmp_path, suffix):
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True)
    network = flat(pretrained(tiny_backbone), pooled, keras.layers.Conv2D(5, 1, name="conv_preds"))
    spec, built = build(save(network, tmp_path / f"tiny.{suffix}"))
    told = "which holds 2 more" + ("" if "unnamed" in suffix else " (conv_preds)")
    assert load_pretrained(spec, built).message.endswith(told)


def deeper(*, input_shape, **_):
    """The tiny network with two convolutions more before its last layers, as VGG19 is to VGG16."""
    tiny = keras.layers
    image = keras.Input(input_shape)
    tensor = tiny.Normalization()(image)
    tensor = tiny.BatchNormalization()(tiny.Conv2D(4, 3, strides=2, use_bias=False, name="stem_conv")(tensor))
    inside = [tiny.LayerNormalization(name="down_norm"), tiny.Conv2D(6, 2, strides=2, name="down_conv")]
    tensor = keras.Sequential(inside, name="down")(tensor)
    for name in ("more_conv", "most_conv"):
        tensor = tiny.Conv2D(6, 3, padding="same", name=name)(tensor)
    return keras.Model(image, tiny.BatchNormalization(name="last_norm")(tiny.Conv2D(6, 1)(tensor)))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("cut", [None, "stem_relu"])
def test_weights_of_a_deeper_network_are_refused_also_where_all_that_is_used_fits(tiny_backbone, tmp_path, suffix, cut):
    spec, built = build(save(pretrained(deeper), tmp_path / f"deeper.{suffix}"), cut=cut)
    before = built.get_weights()
    with pytest.raises(DataError) as caught:
        load_pretrained(spec, built)
    names = "one of 3x3x6x6, one of 3x3x6x6" if "unnamed" in suffix else "more_conv, most_conv"
    assert str(caught.value).endswith(
        f"does not fit efficientnetb0: the file holds 4 more tensors than efficientnetb0 has ({names}): "
        "is it another network's?"
    )
    assert all(map(np.array_equal, before, built.get_weights()))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["weights.h5", "h5"])
def test_vgg19_is_not_vgg16(tmp_path, suffix):
    network = keras.applications.VGG19(include_top=False, weights=None, input_shape=(32, 32, 3))
    path = save(network, tmp_path / f"vgg19.{suffix}")
    with pytest.raises(
        DataError, match=r"holds 6 more tensors than vgg16 has \(block3_conv4, block4_conv4, block5_conv4\)"
    ):
        load_pretrained(*build(path, (32, 32, 3), backbone="vgg16"))


@pytest.mark.parametrize("suffix", ["unnamed.weights.h5", "h5"])
@pytest.mark.parametrize(("ours", "theirs", "color"), [(1, 3, "rgb"), (3, 1, "grayscale")])
def test_weights_for_images_of_the_other_color_say_what_to_set(tiny_backbone, tmp_path, suffix, ours, theirs, color):
    network = tiny_backbone(input_shape=(16, 16, theirs))
    spec, built = build(save(network, tmp_path / f"tiny.{suffix}"), (16, 16, ours))
    with pytest.raises(DataError, match=f"; the file is of {color} images: set color: {color}$"):
        load_pretrained(spec, built)


def test_efficientnets_standard_deviations_become_variances(tiny_backbone, tmp_path):
    network = pretrained(tiny_backbone, weights="imagenet")
    normalization = next(layer for layer in network.layers if isinstance(layer, keras.layers.Normalization))
    mean, _, count = normalization.get_weights()
    normalization.set_weights([mean, STDDEV, count])
    normalization.finalize_state()
    spec, built = build(save(network, tmp_path / "tiny.h5"))
    load_pretrained(spec, built)

    np.testing.assert_allclose(built.get_layer("normalization").get_weights()[1], STDDEV**2, rtol=1e-6)
    np.testing.assert_allclose(features(built, pixels()), outputs(network, pixels()), rtol=1e-4)


def test_imagenet_weights_are_those_of_keras(tiny_backbone, monkeypatch):
    from imgcls.models import backbones

    reference = pretrained(tiny_backbone, weights="imagenet")
    stock = {"efficientnetb0": lambda **given: reference if given["weights"] else tiny_backbone(**given)}
    monkeypatch.setattr(backbones, "_functions", lambda: stock)
    spec, built = build("imagenet")
    assert load_pretrained(spec, built).message == "all 18 tensors of efficientnetb0 from ImageNet"
    np.testing.assert_array_equal(
        built.get_layer("stem_conv").get_weights()[0], reference.get_layer("stem_conv").get_weights()[0]
    )


def test_weights_that_cannot_be_downloaded_say_which_file_goes_where(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError("no network here")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(sys.modules[keras.utils.get_file.__module__], "urlretrieve", refuse)
    monkeypatch.setattr(sys.modules[keras.utils.get_file.__module__].config, "keras_home", lambda: str(tmp_path))
    spec, built = build("imagenet", (128, 128, 3), backbone="mobilenet", cut="conv1_relu")
    with pytest.raises(RunError) as caught:
        load_pretrained(spec, built)
    assert str(caught.value) == (
        "the ImageNet weights of mobilenet cannot be downloaded (no network here): put mobilenet_1_0_128_tf_no_top.h5 "
        f"into {tmp_path}/models, or say weights: PATH"
    )
    assert capsys.readouterr().out == ""


def test_memory_that_runs_out_is_not_taken_for_a_failed_download(tiny_backbone, monkeypatch):
    from imgcls.models import weights

    def exhaust(*_):
        raise MemoryError

    spec, built = build("imagenet")
    monkeypatch.setattr(weights, "stock_network", exhaust)
    with pytest.raises(RunError, match="out of memory"):
        load_pretrained(spec, built)


def test_without_pretrained_weights_nothing_is_loaded(tiny_backbone):
    assert load_pretrained(*build("none")) is None


def lacking(file):
    del file["layers/conv2d/vars/0"]


def reshaped(file):
    del file["layers/conv2d/vars/0"]
    file["layers/conv2d/vars/0"] = np.zeros((3, 3, 1, 4))


def outward(file):
    del file["layers/conv2d/vars/0"]
    file.create_dataset("layers/conv2d/vars/0", (3, 3, 3, 4), external="/etc/hostname")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lacking, "1 of 18 tensors are missing or of another shape: stem_conv/kernel is 3x3x3x4, the file has none"),
        (reshaped, "stem_conv/kernel is 3x3x3x4, the file has 3x3x1x4"),
        (outward, "points to other files"),
        (lambda file: [file.pop(name) for name in [*file]], "holds no weights"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(tiny_backbone, tmp_path, damage, message):
    path = save(pretrained(tiny_backbone), tmp_path / "tiny.weights.h5")
    with h5py.File(path, "r+") as file:
        damage(file)
    spec, built = build(path)
    before = built.get_weights()
    with pytest.raises(DataError, match=message):
        load_pretrained(spec, built)
    assert all(map(np.array_equal, before, built.get_weights()))


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "truncated"])
def test_what_is_no_weights_file_is_a_data_error(tiny_backbone, tmp_path, kind):
    path = tmp_path / "tiny.weights.h5"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("no weights")
    elif kind == "truncated":
        save(pretrained(tiny_backbone), path)
        path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(DataError, match=r"tiny\.weights\.h5"):
        load_pretrained(*build(path))


def test_an_archive_of_something_else_is_no_model(tiny_backbone, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.keras", "w") as archive:
        archive.writestr("photo.jpg", b"photo")
    with pytest.raises(
        DataError, match=r"photos\.keras is a zip archive, but no Keras model \(it has no config\.json\)"
    ):
        load_pretrained(*build(tmp_path / "photos.keras"))


def test_the_folder_of_a_run_is_answered_with_its_network(tiny_backbone, tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path} is a folder, no weights file"):
        load_pretrained(*build(tmp_path))
    (tmp_path / "model.keras").touch()
    with pytest.raises(DataError, match=f"{tmp_path} is a folder: the network of a run is {tmp_path}/model.keras"):
        load_pretrained(*build(tmp_path))


@pytest.mark.skipif(not MOBILENET.exists(), reason="MobileNet's ImageNet weights are not here")
def test_mobilenet_sees_what_keras_own_mobilenet_sees():
    shape = (64, 64, 3)
    spec, built = build(MOBILENET, shape, backbone="mobilenet")
    report = load_pretrained(spec, built)
    stock = keras.applications.MobileNet(include_top=False, weights=None, input_shape=shape)
    stock.load_weights(MOBILENET)
    expected = outputs(stock, keras.applications.mobilenet.preprocess_input(pixels(2, shape)))

    assert (report.matched, report.total) == (135, 135)
    np.testing.assert_allclose(features(built, pixels(2, shape)), expected, atol=1e-4)
