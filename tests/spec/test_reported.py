"""The published figures of a spec: how people write them, and what they agree within."""

import json

import pytest

from imgcls.errors import SpecError
from imgcls.spec import load_spec, spec_yaml
from imgcls.spec.document import read_text

FULL = """
data: digits
reported:
  source: report 002, table 1
  n: 10000
  repeats: 5
  accuracy: {mean: 0.843, sd: 0.007, min: 0.835, max: 0.852}
  macro_f1: {value: 0.73, tolerance: 0.05}
  weighted_f1: 0.75
  loss: 1.2910
  epochs_run: 33.6
  seconds: {value: 593, tolerance: 100}
  total_params: 551082
  per_class: {"0": {precision: 0.77, recall: 0.65, f1: 0.70, support: 1000}}
  confusion_matrix: [[1, 2], [3, 4]]
  tolerance: 0.01
"""


def load(text):
    return load_spec(read_text(text).value).spec


def reported(block):
    return load(f"data: digits\nreported: {block}").reported


def test_a_figure_is_a_number_or_what_several_runs_gave():
    figures = load(FULL).reported.figures
    assert list(figures) == ["accuracy", "loss", "macro_f1", "weighted_f1", "epochs_run", "seconds", "total_params"]
    assert figures["accuracy"].published == figures["accuracy"].mean == 0.843
    assert figures["total_params"].published == 551082


def test_each_kind_of_figure_has_its_own_tolerance():
    spec = load(FULL).reported
    names = ("accuracy", "macro_f1", "epochs_run", "seconds", "total_params")
    assert [spec.tolerance_of(name) for name in names] == [0.01, 0.05, None, 100, 0]
    assert spec.tolerance_of("loss") == pytest.approx(0.1291)
    assert reported("{mcc: 0.7}").tolerance_of("mcc") == 0.02


def test_a_resolved_spec_reads_back_and_shows_only_what_was_published():
    spec = load(FULL)
    text = spec_yaml(spec)
    assert load(text) == spec
    assert "total_params: 551082\n" in text
    assert "mcc" not in text


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("{acuracy: 0.8}", "reported.acuracy  unknown key; did you mean accuracy?"),
        ("{accuracy: {meen: 0.8}}", "reported.accuracy.meen  unknown key; did you mean mean?"),
        ("{accuracy: high}", "reported.accuracy  got 'high'; a number, or a mapping such as"),
        ("{accuracy: {}}", "reported.accuracy  a figure needs a mean or a value"),
        ("{accuracy: {sd: 1}}", "reported.accuracy  a figure needs a mean or a value"),
        ("{accuracy: {value: 0.8, mean: 0.8}}", "a figure has either a value or a mean"),
        ("{accuracy: {value: 0.8, sd: 0.1}}", "reported.accuracy.sd  sd, min and max go with a mean"),
        ("{per_class: {cat: {recal: 0.8}}}", "reported.per_class.cat.recal  unknown key; did you mean recall?"),
        ("{per_class: {cat: 0.8}}", "reported.per_class.cat  got 0.8; a mapping such as {recall: 0.9} is accepted"),
        ("{confusion_matrix: [[1, 2]]}", "a confusion matrix has as many columns as rows"),
        ("{accuracy: 84.3}", "reported.accuracy  got 84.3; a number from 0 to 1 is accepted: write 0.843 for 84.3 %"),
        ("{val_accuracy: {mean: 0.8, max: 82}}", "reported.val_accuracy.max  got 82; a number from 0 to 1"),
        ("{mcc: -1.2}", "reported.mcc  got -1.2; a number from -1 to 1 is accepted"),
        ('{per_class: {"0": {recall: 79}}}', "reported.per_class.0.recall  got 79; a number from 0 to 1"),
        ("{confusion_matrix: [[0.5]]}", "reported.confusion_matrix.0  got [0.5]; a list of whole numbers"),
    ],
)
def test_a_slip_in_the_figures_is_named(block, message):
    with pytest.raises(SpecError) as raised:
        reported(block)
    assert message in str(raised.value)


@pytest.mark.parametrize("block", ["{loss: 84.3, mcc: -1, accuracy: 1, ece: 0, seconds: 593}", "null"])
def test_what_figures_can_be_is_accepted(block):
    load(f"data: digits\nreported: {block}")


def test_a_figure_of_an_override_is_shown_at_its_own_key():
    with pytest.raises(SpecError, match=r"-s  reported\.accuracy  a figure needs a mean"):
        load_spec({"data": "digits"}, {"reported": {"accuracy": {"sd": 1}}})


def test_validate_tells_which_published_figures_cannot_be_true(tmp_path):
    from typer.testing import CliRunner

    from imgcls_cli.app import app

    path = tmp_path / "spec.yaml"
    path.write_text("data: digits\nreported: {accuracy: 0.66913, n: 10000}\n")
    result = CliRunner().invoke(app, ["validate", str(path)])
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: accuracy: .66913 is no fraction of 10,000 images; ")
    (warning,) = json.loads(CliRunner().invoke(app, ["validate", str(path), "--json"]).stdout)["warnings"]
    assert warning["code"] == "reported_impossible"
