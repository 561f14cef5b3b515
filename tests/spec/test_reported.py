"""The published figures of a spec: how people write them, and what they agree within."""

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
        ("{accuracy: {}}", "a figure has either a value or a mean"),
        ("{accuracy: {value: 0.8, mean: 0.8}}", "a figure has either a value or a mean"),
        ("{accuracy: {value: 0.8, sd: 0.1}}", "reported.accuracy.sd  sd, min and max go with a mean"),
        ("{per_class: {cat: {recal: 0.8}}}", "reported.per_class.cat.recal  unknown key; did you mean recall?"),
        ("{per_class: {cat: 0.8}}", "reported.per_class.cat  got 0.8; a mapping such as {recall: 0.9} is accepted"),
        ("{confusion_matrix: [[1, 2]]}", "a confusion matrix has as many columns as rows"),
        ("{confusion_matrix: [[0.5]]}", "reported.confusion_matrix.0  got [0.5]; a list of whole numbers"),
    ],
)
def test_a_slip_in_the_figures_is_named(block, message):
    with pytest.raises(SpecError) as raised:
        reported(block)
    assert message in str(raised.value)
