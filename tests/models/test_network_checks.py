import keras
import numpy as np
import pytest

from imgcls.backend import free_memory
from imgcls.models import build_network, checks
from imgcls.models.checks import check_network, largest_tensor_bytes, needed_bytes
from imgcls.spec import load_spec

SIZE = 32


def spec_of(**settings):
    return load_spec(
        {"data": "digits", "resolution": SIZE, "color": "rgb", "precision": "float32", **settings}
    ).spec.completed()


def told(spec, images, device="cpu"):
    network = build_network(spec, (SIZE, SIZE, 3), 4, None)
    return {each.code: each.message for each in check_network(spec, network, images, np.arange(len(images)), device)}


def pictures(scale=1.0):
    return (np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3)) * scale).astype(np.uint8)


@pytest.mark.parametrize("name", ["mobilenet", "vgg16", "efficientnetb0", "densenet121"])  # one of each mode
def test_a_backbone_with_its_own_scaling_gets_what_it_was_trained_on(name):
    spec = spec_of(architecture={"backbone": name, "weights": "some.weights.h5"})
    assert told(spec, pictures()) == {}
    assert "backbone_input_range" in told(spec, pictures(1 / 255))


def test_what_is_given_is_measured_behind_the_normalisation():
    spec = spec_of(architecture={"backbone": "efficientnetb0", "weights": "some.weights.h5"}, normalize="unit")
    assert (
        "from 0 to 1, measured on 8 images, and was trained on 0 to 255"
        in told(spec, pictures())["backbone_input_range"]
    )


def test_a_backbone_without_weights_may_get_anything():
    assert told(spec_of(architecture={"backbone": "mobilenet", "weights": "none"}), pictures(1 / 255)) == {}


def test_what_a_step_holds_is_counted():
    layers = [{"conv": {"filters": 4, "padding": "same"}}, "relu", "max_pool", "flatten", {"dense": 5}]
    spec = spec_of(architecture=layers, batch=10, precision="float32")
    network = build_network(spec, (SIZE, SIZE, 3), 4, None)
    values = SIZE * SIZE * 4 + SIZE * SIZE + 5 + 4  # convolution, pooling, dense, output
    assert needed_bytes(spec, network) == 4 * 2 * network.count_params() + 4 * 10 * values
    half = spec.model_copy(update={"precision": "bfloat16"})
    assert needed_bytes(half, network) == 4 * 2 * network.count_params() + 2 * 10 * values


def test_frozen_layers_hold_no_activations():
    backbone = {"backbone": "mobilenet", "weights": "none", "head": ["global_average_pool"]}
    needed = [
        needed_bytes(spec, build_network(spec, (SIZE, SIZE, 3), 4, None))
        for spec in (spec_of(architecture=backbone | {"trainable": part}) for part in ("none", "all"))
    ]
    assert needed[0] < needed[1] / 2


def test_too_little_memory_is_told_of_a_processor_only(monkeypatch):
    monkeypatch.setattr(checks, "free_memory", lambda: 10_000_000)
    spec = spec_of(architecture=[{"conv": 64}, "flatten"], batch=512)
    assert "and 10 MB are free" in told(spec, pictures())["memory_short"]
    assert told(spec, pictures(), device="gpu") == {}
    monkeypatch.setattr(checks, "free_memory", lambda: None)
    assert told(spec, pictures()) == {}


def test_free_memory_is_that_of_the_machine_or_of_the_container(tmp_path):
    assert free_memory(tmp_path, tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
    assert free_memory(tmp_path, tmp_path) == 5000 * 1024
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 400000\n")
    assert free_memory(tmp_path, tmp_path) == 2_400_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path, tmp_path) == 5000 * 1024


@pytest.fixture(autouse=True)
def _clean():
    yield
    keras.backend.clear_session()


def test_the_largest_tensor_of_a_network_may_be_in_a_network_within_it():
    inner_image = keras.Input((4, 4, 1))
    inside = keras.Sequential([keras.layers.UpSampling2D(100), keras.layers.MaxPooling2D(100)])
    inner = keras.Model(inner_image, inside(inner_image))
    image = keras.Input((4, 4, 1))
    network = keras.Model(image, keras.layers.Flatten()(inner(image)))
    assert largest_tensor_bytes(network, 3) == 2 * 3 * 400 * 400
