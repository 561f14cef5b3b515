"""The specs that are shipped: each loads, says its command, and holds what was published."""

import functools
import re
import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcls.evaluation.plausibility import impossible
from imgcls.spec import LoadedSpec, load_spec, parse_overrides
from imgcls.spec.editors import SCHEMA_FILES, modeline, schema_text
from imgcls.spec.sweeping import is_sweep, load_sweep

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "configs"
FILES = sorted(str(path.relative_to(FOLDER).as_posix()) for path in FOLDER.rglob("*.yaml"))
SWEEPS = [name for name in FILES if is_sweep(FOLDER / name)]
CONFIGS = [name for name in FILES if name not in SWEEPS]
REPORTS = [name for name in CONFIGS if name.startswith("report-")]
README = (FOLDER / "README.md").read_text(encoding="utf-8")

PUBLISHED = [  # config, classes of the report, all parameters, trainable ones; None where nothing is published
    ("report-000/1-base.yaml", 5, 1_625_797, None),
    ("report-000/2-resolution-96.yaml", 5, 3_985_093, 3_985_093),
    ("report-001/network-1.yaml", 10, 535_658, None),
    ("report-001/network-2.yaml", 10, 2_267_338, None),
    pytest.param("report-002/resnet50.yaml", 10, 23_608_202, 23_555_082, marks=pytest.mark.slow),
    pytest.param("report-002/vgg16.yaml", 10, 14_719_818, 14_719_818, marks=pytest.mark.slow),
    ("report-004/a-frozen.yaml", 8, 4_807_368, 1_578_504),
    ("report-004/b2-10-epochs.yaml", 8, None, 2_927_052),
]


@functools.cache
def load(name: str, *settings: str) -> LoadedSpec:
    return load_spec(FOLDER / name, parse_overrides(settings))


def opening(name: str) -> str:
    """Return the comment that a file opens with, below the line for editors."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()[1:]
    return "\n".join(lines[: next(index for index, line in enumerate(lines) if not line.startswith("#"))])


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_loads_and_opens_with_its_command(name):
    assert load(name).spec.data
    assert re.search(rf"^#   imgcls train configs/{re.escape(name)}( |$)", opening(name), re.MULTILINE)


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_loads_and_opens_with_its_command(name):
    settings = parse_overrides(re.findall(r"-s ([\w.]+=[\w./-]*[\w])", opening(name)))
    assert load_sweep(FOLDER / name, settings).sweep.trial_count > 1
    assert re.search(rf"^#   imgcls sweep configs/{re.escape(name)}( |$)", opening(name), re.MULTILINE)
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", FILES)
def test_the_first_line_names_the_schema_to_editors(name):
    path = FOLDER / name
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    command = "sweep" if name in SWEEPS else "train"
    assert first == modeline(command, "../" * name.count("/"))
    assert (path.parent / first.partition("$schema=")[2]).resolve() == FOLDER / SCHEMA_FILES[command]
    assert rest[0].startswith("# "), "what it is stands below"


@pytest.mark.parametrize("command", SCHEMA_FILES)
def test_the_schemas_beside_the_configs_are_those_of_this_version(command):
    """To mend it: imgcls schema --out configs/.imgcls-schema.json, and likewise --sweep."""
    text = (FOLDER / SCHEMA_FILES[command]).read_text(encoding="utf-8")
    assert text == schema_text(sweep=command == "sweep")


@pytest.mark.parametrize("name", REPORTS)
def test_what_an_opening_sets_with_s_can_be_set(name):
    found = re.findall(r"-s ([\w.]+=[\w./-]*[\w])", opening(name))
    assert all(load(name, setting).overrides for setting in found)


@pytest.mark.parametrize("name", REPORTS)
def test_an_opening_says_the_time_and_the_report(name):
    assert "# Time on 2 cores: " in opening(name)
    assert opening(name).startswith(f"# Report {name[7:10]}")
    assert load(name).spec.tags == (name[:10],)


@pytest.mark.parametrize(("name", "classes", "total", "trainable"), PUBLISHED)
def test_a_network_has_the_published_parameters(name, classes, total, trainable):
    from imgcls.experiment import describe_network

    network = describe_network(load(name), classes=classes)
    assert network.total_params == (total or network.total_params)
    assert network.trainable_params == (trainable or network.trainable_params)


def test_each_published_figure_is_of_its_own_config():
    sources = [reported.source for name in REPORTS if (reported := load(name).spec.reported)]
    assert len(set(sources)) == len(sources), "a file that extends another replaces what was published of that"


def test_two_published_figures_cannot_be_true():
    reports = {name: load(name).spec.reported for name in REPORTS}
    found = {name: [finding.message for finding in impossible(each)] for name, each in reports.items() if each}
    wrong = {name: messages for name, messages in found.items() if messages}
    assert wrong.keys() == {"report-001/network-2.yaml", "report-002/network-3-augmentation-1.yaml"}
    assert all(len(messages) == 1 for messages in wrong.values())


def test_the_table_has_every_config_of_the_reports_once():
    assert Counter(re.findall(r"^\| `(report-.*?\.yaml)`", README, re.MULTILINE)) == Counter(
        name for name in FILES if name.startswith("report-")
    )


@pytest.mark.parametrize("name", [name for name in REPORTS if load(name).spec.data.source == "cifar10"])
def test_a_folder_serves_in_place_of_the_built_in_images(name):
    spec = load(name, "data.source=folder", "data.path=/photos").spec
    assert spec.data.path == "/photos"
    assert (spec.data.validation, spec.completed().resolution) == (0.1, (32, 32))


@pytest.mark.parametrize("network", ["network-1", "network-2", "network-3"])
def test_the_learning_rate_scan_has_the_report_s_rates(network):
    loaded = load_sweep(FOLDER / f"report-002/rates-{network}.yaml")
    assert [point["lr.initial"] for point in loaded.sweep.planned()] == [1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
    assert loaded.base.spec.lr.schedule == "inverse_time"


def test_the_sweep_of_report_001_has_its_144_points():
    loaded = load_sweep(FOLDER / "report-001/sweep.yaml")
    points = list(loaded.sweep.planned())
    assert len(points) == 144
    conv, pool, dropout, _, dense = loaded.base.changed(loaded.sweep.overrides(points[-1])).spec.architecture.layers
    assert (conv.filters, conv.l1, pool.size, dropout.rate, dense.units) == (64, 0.01, (4, 4), 0.5, 512)


def test_photos_are_divided_as_unequally_as_the_report_s(tmp_path, monkeypatch):
    from imgcls.data import Cache, load_dataset

    for label in range(6):
        folder = tmp_path / "photos" / f"class {label}"
        folder.mkdir(parents=True)
        for index in range(100):
            Image.fromarray(np.full((4, 4, 3), (label, index, 0), np.uint8)).save(folder / f"{index}.png")
    table = tmp_path / "tables" / "imbalanced.csv"
    table.parent.mkdir()
    monkeypatch.setattr("sys.argv", ["imbalanced_photos.py", str(tmp_path / "photos"), str(table)])
    texts = set()
    for _ in range(2):
        runpy.run_path(str(ROOT / "benchmarks" / "imbalanced_photos.py"), run_name="__main__")
        texts.add(table.read_bytes())
    assert len(texts) == 1, "the same photos give the same file"
    spec = load("report-000/1-base.yaml", f"data={table.as_posix()}").spec
    data = load_dataset(
        spec.data, base=tmp_path, resolution=(4, 4), color="rgb", resize="stretch", cache=Cache(tmp_path / "cache")
    )
    test = np.bincount(data.labels[data.splits["test"]])
    train = np.bincount(data.labels[np.concatenate([data.splits["train"], data.splits["validation"]])])
    assert test.tolist() == [3, 7, 10, 49, 1]
    assert train.argmax() == 3
    assert train.max() / train.min() < 3 < test.max() / test.min()
