"""Each broken spec is refused with a message that says where, what was got and what is accepted."""

import os

import pytest

from imgcls.errors import SpecError
from imgcls.spec import load_spec
from imgcls.spec.document import read_text

BROKEN = {
    "an unknown key": ("data: digits\nepoch: 3", "2:1", "unknown key; did you mean epochs?"),
    "an unknown key without a neighbour": ("data: digits\nxyzzy: 3", "2:1", "known are architecture, augmentation"),
    "Keras' word for a key": ("data: digits\nlearning_rate: 3", "2:1", "unknown key; did you mean lr?"),
    "another tool's word for a key": ("data: digits\nimage_size: 3", "2:1", "did you mean resolution?"),
    "a word that is not meant there": ("data: {source: digits, model: 3}", "1:24", "unknown key; known are"),
    "a part of a backbone where there is none": (
        "data: digits\nstages: [{epochs: 1}, {epochs: 1, trainable: all}]",
        "2:46",
        "stages.1.trainable  trainable says which part of a backbone learns: there is none; stages: none drops them",
    ),
    "an unknown nested key": ("data: {source: digits, tst: none}", "1:24", "did you mean test?"),
    "an unknown optimizer argument": (
        "data: digits\noptimizer: {name: sgd, momentun: 0.9}",
        "2:24",
        "optimizer.momentun  unknown key; did you mean momentum?",
    ),
    "a rule of Keras that only counts without a schedule": (
        "data: digits\noptimizer: {name: adafactor, relative_step: false}",
        "2:30",
        "optimizer.relative_step  unknown key",
    ),
    "no weight decay where there is always one": (
        "data: digits\noptimizer: {name: adamw, weight_decay: null}",
        "2:40",
        "optimizer.weight_decay  got nothing; a number of at least 0 is accepted",
    ),
    "an unknown optimizer": ("data: digits\noptimizer: adm", "2:12", "unknown name 'adm'; did you mean adam?"),
    "an unknown schedule": ("data: digits\nlr: {schedule: cosin}", "2:5", "did you mean cosine?"),
    "an unknown layer": ("data: digits\narchitecture: [cnv: 3]", "2:16", "unknown layer 'cnv'; did you mean conv?"),
    "an unknown layer setting": (
        "data: digits\narchitecture:\n- conv: {filters: 3, kernl: 3}",
        "3:22",
        "architecture.0.conv.kernl  unknown key; did you mean kernel?",
    ),
    "a layer without what it needs": ("data: digits\narchitecture: [conv]", "2:16", "filters  is required"),
    "two layers in one": ("data: digits\narchitecture: [{conv: 3, dense: 3}]", "2:16", "a mapping with one key"),
    "a value for a layer that takes none": ("data: digits\narchitecture: [flatten: 3]", "2:16", "flatten without"),
    "a fault inside a residual block": (
        "data: digits\narchitecture:\n- residual: [conv: 3, conv: {filters: -1}]",
        "3:39",
        "architecture.0.residual.1.conv.filters  got -1; a whole number of at least 1 is accepted",
    ),
    "an unknown preset": ("data: digits\narchitecture: resnt", "2:15", "'resnt'; did you mean resnet?"),
    "an unknown preset setting": ("data: digits\narchitecture: {preset: vgg, filtrs: [3]}", "2:29", "mean filters?"),
    "a number out of range": (
        "data: digits\naugmentation: {zoom: 1.5}",
        "2:22",
        "augmentation.zoom  got 1.5; a number from 0 to below 1 is accepted",
    ),
    "text for a number": ("data: digits\nbatch: many", "2:8", "got 'many'; a whole number of at least 1 is accepted"),
    "a fraction for a count": ("data: digits\nepochs: 1.5", "2:9", "got 1.5; a whole number of at least 1"),
    "true for a number": ("data: digits\nepochs: true", "2:9", "got True; a whole number of at least 1"),
    "a number for a flag": (
        "data: digits\naugmentation: {horizontal_flip: 3}",
        "2:33",
        "got 3; true, false or alternating is accepted",
    ),
    "a word out of a list": ("data: digits\nresize: strech", "2:9", "got 'strech'; did you mean stretch?"),
    "a resolution of three": ("data: digits\nresolution: [1, 2, 3]", "2:13", "or two of them: [height, width]"),
    "a rate of zero": ("data: digits\nlr: 0", "2:5", "got 0; a number above 0 is accepted"),
    "a rate that is no number": ("data: digits\nlr: .nan", "2:5", "got nan"),
    "an infinite rate": ("data: digits\nlr: .inf", "2:5", "got inf"),
    "no data": ("epochs: 3", "1:1", "data  is required"),
    "a folder without a path": ("data: {source: folder}", "1:16", "source folder needs a path"),
    "a path for built-in data": ("data: {source: digits, path: x}", "1:30", "built in and takes no path"),
    "a group without a CSV": ("data: {source: digits, group: patient}", "1:31", "only the source csv has"),
    "an unknown source": ("data: {source: foldr, path: x}", "1:16", "did you mean folder?"),
    "a fraction of two": ("data: {source: digits, test: 2.0}", "1:30", "got 2.0; a fraction between 0 and 1"),
    "a class twice": ("data: {source: digits, classes: [a, a]}", "1:33", "classes has a name twice"),
    "one class": ("data: {source: digits, classes: [a]}", "1:33", "got ['a']; a list of at least 2 items is accepted"),
    "a class that is a float": ("data: {source: digits, classes: [1.0, b]}", "1:34", "quote numbers with a point"),
    "a name that is a path": ("data: digits\nname: ../x", "2:7", "up to 80 letters, digits"),
    "smoothing with a loss that has none": (
        "data: digits\nlabel_smoothing: 0.1\nloss: mean_squared_error",
        "2:18",
        "label_smoothing does not go with the loss mean_squared_error",
    ),
    "grey images for weights of colour images": (
        "data: digits\narchitecture: mobilenet\ncolor: grayscale",
        "3:8",
        "ImageNet weights are of colour images",
    ),
    "no word for the weights": (
        "data: digits\narchitecture: {backbone: mobilenet, weights: null}",
        "2:46",
        "got nothing; imagenet, none, or the path of a weights file is accepted",
    ),
    "early stopping that a stage has": (
        "data: {source: digits, validation: none}\nearly_stopping: none\nstages: [{early_stopping: 3}]",
        "3:9",
        "stages  early stopping and plateau watch",
    ),
    "mixup with class numbers as labels": (
        "data: digits\naugmentation: {mixup: 0.2}\nloss: sparse_categorical_crossentropy",
        "3:7",
        "mixup and cutmix need one-hot labels",
    ),
    "early stopping without validation": (
        "data: {source: digits, validation: none}\nearly_stopping: 3",
        "2:17",
        "watch the validation part",
    ),
    "plateau without validation": (
        "data: {source: digits, validation: none}\nlr: {schedule: plateau}",
        "2:5",
        "lr  early stopping and plateau watch the validation part",
    ),
    "patches for a backbone": (
        "data: digits\narchitecture: resnet50\nnormalize: patch_whitening",
        "3:12",
        "a backbone wants images",
    ),
    "the scaling of a backbone without one": ("data: digits\nnormalize: backbone", "2:12", "needs a backbone"),
    "parts that leave nothing to train on": (
        "data: {source: digits, validation: 0.9, test: 0.1}",
        "1:36",
        "data.validation  validation and test together leave nothing to train on",
    ),
    "a mapping for a text": ("data: digits\nnotes: {a: b}", "2:8", "got {'a': 'b'}; text (quote it) is accepted"),
    "a number for the data": ("data: 123", "1:7", "got 123; a path, a built-in name or a mapping is accepted"),
    "nothing for the rate": ("data: digits\nlr:", "2:4", "got nothing; a number above 0, or"),
    "a resolution of zero": ("data: digits\nresolution: 0", "2:13", "got 0; a whole number of at least 1, or"),
    "a flag for early stopping": (
        "data: digits\nearly_stopping: true",
        "2:17",
        "a patience (a whole number), a mapping",
    ),
    "a word for a limit": (
        "data: {source: digits, limit: none}",
        "1:31",
        "a mapping such as {train: 1000} is accepted",
    ),
    "a preset that is a form": (
        "data: digits\narchitecture: {preset: layers}",
        "2:15",
        "unknown architecture 'layers'",
    ),
    "a name that is a list": ("data: digits\noptimizer: {name: [sgd]}", "2:12", "or a mapping with `name` is accepted"),
    "a layer's main setting": ("data: digits\narchitecture: [conv: 0]", "2:22", "architecture.0.conv  got 0; a whole"),
    "two ways to clip": ("data: digits\noptimizer: {name: sgd, clipnorm: 1, clipvalue: 1}", "2:48", "only one of"),
    "a duplicate key": ("data: digits\nepochs: 3\nepochs: 4", "3:1", "epochs  the key stands twice"),
    "a list as a key": ("data: digits\n? [a]\n: 3", "2:3", "a key is a plain word"),
    "a tag that makes objects": ("data: !!python/object:os.system x", "1:7", "plain values only"),
    "an alias inside itself": ("data: &a {b: *a}", "1:7", "an alias that contains itself"),
    "a number of 5,000 digits": ("data: digits\nepochs: " + "1" * 5000, "2:9", "a number of 5000 digits"),
    "too deep a nesting": ("data: " + "[" * 100 + "]" * 100, "1:", "nested more than 40 deep"),
    "an open bracket": ("data: [digits", "1:", "not YAML"),
    "a tab as indentation": ("data:\n\tsource: digits", "2:1", "not YAML"),
    "a list": ("- data: digits", "", "a spec is a mapping"),
    "nothing": ("", "", "is empty; a spec is a mapping"),
    "an escape beyond Unicode": ('data: "\\UFFFFFFFF"', "1:10", "a number beyond what there is"),
    "half of a character": ('data: "\\ud800"', "1:7", "is no text"),
    "a tag that makes a number of a word": ("data: digits\nlr: !!float x", "2:5", "got 'x', which is no number"),
    "a space that is none": ("data: digits\n\xa0epochs: 1", "2:1", "\\xa0epochs  unknown key; did you mean epochs?"),
    "a YAML version of 5,000 digits": ("%YAML 1." + "1" * 5000 + "\n---\ndata: digits", "1:9", "a number beyond"),
    "a mapping that merges itself": ("data: &a {<<: *a}", "1:7", "<< takes another mapping"),
    "a thousand layers too many": (
        f"data: digits\narchitecture: [{'flatten, ' * 2000}]",
        "2:15",
        "at most 1,000 items",
    ),
    "a control character": ("data: \x00", "", "special characters are not allowed"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_spec_is_refused_with_place_and_advice(fault, tmp_path):
    text, place, message = BROKEN[fault]
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SpecError) as raised:
        load_spec(path)

    assert message in str(raised.value)
    assert place in str(raised.value)
    assert str(path) in str(raised.value)
    assert raised.value.exit_code == 2


def test_all_problems_are_shown_at_once_in_the_order_of_the_file(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("data: digits\nbatch: 0\noptimizer: {name: sgd, momentun: 1}\nepochs: 0\nlr: -1\n")

    with pytest.raises(SpecError) as raised:
        load_spec(path)

    head, *lines = str(raised.value).splitlines()
    assert head == f"{path} has 4 problems"
    assert [line.split()[0] for line in lines] == ["2:8", "3:24", "4:9", "5:5"]


@pytest.mark.parametrize(
    ("seed", "around", "levels"),
    [("[x, x]", "[{}]", 10), ("{}", "{{<<: [{}]}}", 12)],
    ids=["a billion laughs", "merges that grow"],
)
def test_what_a_few_lines_ask_for_is_cut_short(seed, around, levels, tmp_path):
    grown = [f"a{n}: &a{n} {around.format(', '.join([f'*a{n - 1}'] * 9))}" for n in range(1, levels)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join([f"a0: &a0 {seed}", *grown]))

    with pytest.raises(SpecError, match="too many values"):
        load_spec(path)


@pytest.mark.parametrize("text", ["notes: [" + "a," * 30_000 + "]", "notes: " + "{a: " * 100, "notes: " + "[" * 5000])
def test_what_is_too_much_is_refused_before_all_of_it_is_read(text):
    with pytest.raises(SpecError, match=r"too many values|nested more than 40 deep") as raised:
        read_text(text)
    assert ":" in str(raised.value).splitlines()[1].split()[0]


def test_of_merged_mappings_the_first_wins_and_what_is_written_beside_them_before_all():
    text = "a: &a {x: 1, y: 1, z: 1}\nb: &b {x: 2, y: 2}\nc: {x: 3, <<: [*b, *a]}"
    document = read_text(text)
    assert document.value["c"] == {"x": 3, "y": 2, "z": 1}
    assert str(document.keys["c", "x"]) == "3:5"


def test_of_thousands_of_problems_the_first_are_listed(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("data: digits\n" + "".join(f"epoch{number}: 1\n" for number in range(3000)))

    with pytest.raises(SpecError, match="has 3,000 problems") as raised:
        load_spec(path)

    assert len(raised.value.problems) == 3000
    assert str(raised.value).endswith("and 2,950 more")
    assert len(str(raised.value)) < 10_000


@pytest.mark.parametrize("key", ["\x1b[2J", "a\nb", "k" * 5000])
def test_a_key_neither_moves_the_cursor_nor_fills_the_line(key):
    with pytest.raises(SpecError) as raised:
        load_spec({"data": "digits", key: 1})
    (_, line) = str(raised.value).splitlines()
    assert line.isprintable()
    assert len(line) < 600


def test_a_pipe_is_no_spec(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "spec.yaml").write_text("extends: pipe")
    for name in ("pipe", "spec.yaml"):
        with pytest.raises(SpecError, match="a pipe or a device, not a file"):
            load_spec(tmp_path / name)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("lr.foo", 1, "-s  lr.foo  unknown key"),
        ("batch", "x", "-s  batch  got 'x'"),
        ("architecture.0.dense", 3, "-s  architecture  got"),
        ("epochs.x", 3, "-s  epochs  got {'x': 3}"),
        ("data.path.x", 3, "-s  data.path.x  there is nothing of that name"),
        ("architecture." + "9" * 5000, 3, "99..  unknown key; known are dense"),
        ("stages.0.epochs", 1, "-s  stages.0.epochs  there are no stages"),
        ("extends", "bb.yaml", "-s  extends  stands in a spec file only"),
        ("architecture", ["flatten", "conf"], "-s  architecture.1  unknown layer 'conf'; did you mean conv?"),
        ("normalize", "backbone", "-s  normalize  normalize: backbone needs a backbone"),
    ],
)
def test_a_wrong_override_is_named(setting, value, message, tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("data: {source: folder, path: x}")

    with pytest.raises(SpecError) as raised:
        load_spec(path, {setting: value})

    assert message in str(raised.value)


def test_a_conflict_is_shown_at_the_key_that_was_overridden(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("data: digits\nearly_stopping: 3")

    with pytest.raises(SpecError, match=r"-s  data\.validation  early stopping"):
        load_spec(path, {"data.validation": "none"})


@pytest.mark.parametrize(
    ("stages", "message"), [(3, "there are 3 stages, 0 to 2"), (1, "there is one stage, 0"), (0, "there are no stages")]
)
def test_a_stage_that_there_is_not_is_refused_with_those_that_there_are(stages, message):
    with pytest.raises(SpecError, match=f"-s  stages.7.epochs  {message}$"):
        load_spec({"data": "digits", "stages": [{"epochs": 1}] * stages}, {"stages.7.epochs": 1})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "zca", "epsilon": 0}, "normalize.epsilon  got 0; a number above 0 is accepted"),
        ({"method": "patch_whitening", "size": 0}, "normalize.size  got 0; a whole number of at least 1"),
        ({"method": "unit", "epsilon": 1}, "normalize.method  unit has no settings: write normalize: unit"),
        ({"method": "unti"}, "normalize.method  unknown normalization 'unti'; did you mean unit?"),
        ("unti", "normalize  unknown normalization 'unti'; did you mean unit?"),
    ],
)
def test_a_wrong_normalization_is_one_problem(given, message):
    with pytest.raises(SpecError, match="has 1 problem\n") as raised:
        load_spec({"data": "digits", "normalize": given})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "spec",
    [
        {"architecture": "x" * 3000},
        {"architecture": ["x" * 3000]},
        {"architecture": {"preset": "x" * 3000}},
        {"optimizer": "x" * 3000},
        {"lr": {"schedule": "x" * 3000}},
        {"resize": "x" * 3000},
        {"x" * 3000: 1},
        {"notes": ["x" * 3000]},
    ],
)
def test_a_long_value_is_cut(spec):
    with pytest.raises(SpecError) as raised:
        load_spec({"data": "digits"} | spec)
    assert len(str(raised.value)) < 600
    assert "x" * 100 not in str(raised.value)


WHOLE = {
    "data": {"source": "csv", "path": "x.csv", "train": "t", "validation": 0.1, "test": 0.1, "classes": ["a", "b"],
             "group": "g", "limit": {"train": 3}, "split_seed": 1, "on_bad_image": "skip"},
    "resolution": [8, 8], "architecture": [{"conv": {"filters": 3, "activation": "relu"}}, {"residual": ["flatten"]},
                                           {"reshape": [2, 2]}, {"dropout": 0.5}],
    "augmentation": {"rotation": 3, "fill": "wrap", "vertical_flip": True},
    "optimizer": {"name": "sgd", "momentum": 0.9, "clipnorm": 1.0}, "batch": 3, "epochs": 3, "name": "n", "notes": "x",
    "lr": {"schedule": "cosine", "initial": 0.1, "final": 0.1}, "tags": ["a"], "seed": 1, "color": "rgb",
    "normalize": "unit", "loss": "auto", "label_smoothing": 0.1, "imbalance": "none", "device": "cpu",
    "early_stopping": {"monitor": "loss", "patience": 3, "min_delta": 0.1, "restore_best": True},
    "stages": [], "precision": "auto", "repeats": 1, "reported": None,
}  # fmt: skip
OTHERS = [
    {"architecture": {"preset": "vgg", "filters": [3], "convs": 1}},
    {"architecture": {"backbone": "vgg16", "trainable": {"from": "x"}, "head": ["flatten"]}},
    {"architecture": {"layers": ["flatten"]}},
    {"optimizer": {"name": "ftrl", "learning_rate_power": -1.0}},
    {"optimizer": {"name": "adafactor", "beta_2_decay": -1.0}},
    {"lr": {"schedule": "plateau", "monitor": "loss"}},
]
WRONG = [None, True, 0, -1, 10**400, 1.5, float("nan"), float("inf"), "", "\udc80", "xyzzy", [], [None], ["a"],
         ["a", "a"], [[1]], [1, 2, 3], {}, {"xyzzy": 1}, {"name": ["a"]}, {"preset": ["a"]}, {"backbone": 1},
         {"layers": "a"}, {"conv": {"kind": "conv"}}, {"conv": [1]}, object()]  # fmt: skip
PYDANTIC = ("Input should", "should be", "should have", "Field required", "Value error", "Extra inputs", "valid ",
            "Assertion", "Unable to", "instance of",
            "that is not accepted", "<")  # fmt: skip


def paths_in(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths_in(item, (*path, key))


def changed(value, path, wrong):
    if not path:
        return wrong
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], wrong)
    return copy


@pytest.mark.parametrize("base", [WHOLE, *({"data": "digits"} | other for other in OTHERS)], ids=lambda base: len(base))
def test_no_sentence_of_pydantic_reaches_anybody(base):
    refusals = []
    for path in [each for each in paths_in(base) if each]:
        for wrong in WRONG:
            for spec, overrides in ((changed(base, path, wrong), {}), (base, {".".join(map(str, path)): wrong})):
                try:
                    load_spec(spec, overrides)
                except SpecError as error:
                    refusals.append((str(error).replace(repr(wrong)[:57], ""), error.problems))
    assert len(refusals) > 100
    assert [text for text, _ in refusals if any(sentence in text for sentence in PYDANTIC)] == []
    assert all(problems for _, problems in refusals)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"cannot read .*nowhere\.yaml: No such file"):
        load_spec(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"data: \xff\xfe")

    with pytest.raises(SpecError, match="not UTF-8 text"):
        load_spec(path)
