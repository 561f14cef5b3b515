"""What compare says of a difference in the end."""

import json

import pytest
from run_folders import make_repeats, make_run, make_unfinished

from imgcls.comparison import compare, to_csv, to_json, to_markdown
from imgcls.files import read_csv, write_csv, write_json
from imgcls.runs import Run, layout


def run_of(tmp_path, name, right, wrong, train=5.0, **more):
    run = make_run(tmp_path, name, right=right, wrong=wrong, **more)
    write_json(run.path(layout.TIMINGS), {"total": 9.0, "phases": {"train": train}, "epoch_seconds": [train]})
    return run


def rank(comparison):
    return next(row for row in comparison.metrics if row.key == "rank")


def test_a_difference_that_chance_hardly_makes_is_one(tmp_path):
    found = compare([run_of(tmp_path, "a", 600, 136), run_of(tmp_path, "b", 620, 116, train=7.0)])
    assert found.verdict.text == (
        "b is better than a by 2.7 points (95 % 0.9 to 4.5, p = .003), at 1.4 times the training time"
    )


def test_the_better_one_stands_first_whatever_the_order(tmp_path):
    found = compare([run_of(tmp_path, "a", 620, 116, train=7.0), run_of(tmp_path, "b", 600, 136)])
    assert found.verdict.text == (
        "a is better than b by 2.7 points (95 % 0.9 to 4.5, p = .003), at 1.4 times the training time"
    )


def test_the_cost_is_told_where_times_are_comparable_only(tmp_path):
    found = compare([run_of(tmp_path, "a", 600, 136), run_of(tmp_path, "b", 620, 116, device="another")])
    assert found.verdict.text.endswith("p = .003)")
    same = compare([run_of(tmp_path, "a", 600, 136), run_of(tmp_path, "b", 620, 116)])
    assert same.verdict.text.endswith(", in the same training time")


def test_what_another_seed_may_have_made_is_of_the_networks_alone(tmp_path):
    found = compare([run_of(tmp_path, "a", 600, 136), run_of(tmp_path, "b", 608, 128)])
    assert found.verdict.text == (
        "the network of b is better than that of a by 1.1 points (95 % 0.3 to 2.1, p = .008), but another seed may do "
        "as much: repeats would tell whether its settings are"
    )
    assert not found.verdict.pairs[0].is_told_apart


def test_what_chance_may_have_made_is_none_and_says_what_it_would_take(tmp_path):
    found = compare([run_of(tmp_path, "a", 600, 136), run_of(tmp_path, "b", 603, 133)])
    assert found.verdict.text == (
        "no difference that these 736 images could show (b is 0.4 points ahead of a, 95 % -0.2 to 1.2, p = .250); "
        "it would take about 2,000 to see one of this size"
    )
    assert not found.verdict.pairs[0].is_told_apart


def test_equal_answers_are_no_difference(tmp_path):
    found = compare([run_of(tmp_path, "a", 20, 10), run_of(tmp_path, "b", 20, 10)])
    assert found.verdict.text == (
        "no difference between a and b that these 30 images could show (95 % -11.4 to 11.4, p = 1.000)"
    )


def test_images_are_paired_by_their_content_not_their_order_or_path(tmp_path):
    first, second = run_of(tmp_path, "a", 20, 10), run_of(tmp_path, "b", 20, 10)
    for file in (layout.MANIFEST, layout.PREDICTIONS):
        rows = read_csv(second.path(file))
        for row in rows:
            row["path"] = f"{1000 - int(row['path'].removesuffix('.png'))}" if row["path"] != "t.png" else "t.png"
        write_csv(second.path(file), tuple(rows[0]), [tuple(row.values()) for row in reversed(rows)])
    [pair] = compare([first, second]).verdict.pairs
    assert (pair.difference.p, pair.difference.value, pair.difference.needed) == (1.0, 0.0, None)
    assert pair.difference.high == pytest.approx(0.1135, abs=1e-4)  # as of no image apart


def test_repeats_are_tested_by_their_spread(tmp_path):
    first = make_repeats(tmp_path, "five")
    found = compare([first, make_repeats(tmp_path, "same")])
    assert found.verdict.text.startswith(
        "no difference between five and same that these 5 and 5 runs on these 30 images could show"
    )
    better = compare([make_repeats(tmp_path, "bad", rights=(10, 11, 12)), first])
    assert better.verdict.pairs[0].difference.test == "Welch's t-test over seeds and images"
    assert better.verdict.text.startswith("five is better than bad by 43.3 points (95 % ")


def test_repeats_that_hardly_spread_are_no_surer_than_their_images(tmp_path):
    pair = make_repeats(tmp_path, "a", rights=(20, 20, 21)), make_repeats(tmp_path, "b", rights=(22, 22, 22))
    [found] = compare(pair).verdict.pairs  # Welch's test of the accuracies alone has p = .04
    assert not found.is_told_apart
    assert found.text.startswith("no difference that these 3 and 3 runs on these 30 images could show (b is 5.6 points")


def test_answers_of_a_repeat_that_cannot_be_read_are_named(tmp_path):
    pair = make_repeats(tmp_path, "a"), make_repeats(tmp_path, "b")
    (pair[1].folder / "repeat-2" / layout.PREDICTIONS).write_text("path,true\n1.png,cat\n")
    found = compare(pair)
    assert found.verdict.pairs == ()
    assert any("b is not tested" in note and layout.PREDICTIONS in note for note in found.notes)


def make_folds(tmp_path, name, accuracies, lost):
    """A cross-validation with one fold that failed."""
    group = make_repeats(tmp_path, name, rights=[20] * len(accuracies), overlap=0.25)
    rows = [row | {"accuracy": figure} for row, figure in zip(group.repeats["runs"], accuracies, strict=True)]
    rows[lost] |= {"state": "failed", "accuracy": None}
    write_json(group.path(layout.REPEATS_JSON), group.repeats | {"runs": rows})
    return Run(group.folder)


def test_folds_are_paired_with_the_same_folds_where_one_failed(tmp_path):
    easy = [0.70, 0.75, 0.80, 0.85, 0.90]
    first = make_folds(tmp_path, "a", easy, lost=0)
    second = make_folds(tmp_path, "b", [each + 0.02 + 0.001 * (place % 2) for place, each in enumerate(easy)], lost=4)
    found = compare([first, second])
    [pair] = found.verdict.pairs
    assert pair.difference.test == "corrected resampled t-test"
    assert pair.difference.value == pytest.approx(0.02 + 0.002 / 3)
    assert pair.is_told_apart
    assert (
        "the means are over different folds (repeat-5 of a, repeat-1 of b alone); two are tested by the folds that "
        "both have"
    ).replace("of a", f"of {first.name}").replace("of b", f"of {second.name}") in found.notes


@pytest.mark.parametrize("turned", [False, True])
def test_a_run_beside_repeats_is_tested_as_one_more_of_them(tmp_path, turned):
    group, inside, outside = (
        make_repeats(tmp_path, "five"),
        make_run(tmp_path, "in"),
        make_run(tmp_path, "out", right=9, wrong=21),
    )
    ordered = [group, outside][:: -1 if turned else 1]
    [pair] = compare(ordered).verdict.pairs
    assert pair.is_told_apart
    assert pair.difference.low < pair.difference.value < pair.difference.high
    assert (pair.difference.value > 0) == turned
    assert pair.text.startswith("five is better than out by 50.0 points")
    assert not compare([group, inside]).verdict.pairs[0].is_told_apart


def test_several_runs_are_ranked_as_far_as_they_can_be_told_apart(tmp_path):
    three = [run_of(tmp_path, name, right, 736 - right) for name, right in (("a", 600), ("b", 640), ("c", 642))]
    found = compare(three)
    assert rank(found).values == ("3", "1 to 2", "1 to 2")
    assert rank(found).best == (1, 2)
    assert found.verdict.text == "b, c can each be the best of 3; behind them is a"
    assert len(found.verdict.lines) == 4
    best = compare([*three, run_of(tmp_path, "d", 700, 36)])
    assert best.verdict.text == "d is the best of 4"
    alike = compare([run_of(tmp_path, name, 600 + more, 136 - more) for more, name in enumerate("efg")])
    assert alike.verdict.text == "no difference among 3 runs that can be told from chance"
    assert rank(alike).best == ()


def test_images_of_few_groups_are_no_more_than_the_groups(tmp_path):
    pair = [run_of(tmp_path, "a", 600, 136), run_of(tmp_path, "b", 620, 116)]
    assert compare(pair).verdict.pairs[0].is_told_apart
    for run in pair:  # the 20 images that b has alone are of one patient
        rows = [row | {"group": 0 if row["path"] == "t.png" else int(row["path"][:-4]) // 100} for row in run.manifest]
        write_csv(run.path(layout.MANIFEST), tuple(rows[0]), [tuple(row.values()) for row in rows])
    [found] = compare([Run(run.folder) for run in pair]).verdict.pairs
    assert not found.is_told_apart
    assert found.text.startswith("no difference that these 736 images could show (b is 2.7 points ahead of a")


def test_several_tests_are_corrected_for(tmp_path):
    pair = [run_of(tmp_path, "a", 600, 136), run_of(tmp_path, "b", 615, 121)]
    assert compare(pair).verdict.pairs[0].is_told_apart
    others = [run_of(tmp_path, f"c{number}", 600, 136) for number in range(3)]
    found = compare([*pair, *others]).verdict
    assert not any(each.is_told_apart for each in found.pairs)
    assert found.pairs[0].difference.p == pytest.approx(2 * 0.5**15)
    assert found.pairs[0].p_corrected == pytest.approx(10 * 2 * 0.5**15)


def test_what_is_not_comparable_has_no_verdict(tmp_path):
    others = [make_run(tmp_path, "b", images="other/"), make_unfinished(tmp_path), make_run(tmp_path, "v", split="x")]
    for other in others:
        verdict = compare([make_run(tmp_path, "a"), other]).verdict
        assert (verdict.text, verdict.pairs) == ("", ())


def test_of_three_runs_those_that_can_be_are_compared(tmp_path):
    three = [run_of(tmp_path, "a", 600, 136), make_unfinished(tmp_path), run_of(tmp_path, "b", 640, 96)]
    found = compare(three)
    assert found.verdict.text.startswith("b is better than a by 5.4 points")
    assert not [row for row in found.metrics if row.key == "rank"]


def test_predictions_that_cannot_be_read_are_named(tmp_path):
    first, second = make_run(tmp_path, "a"), make_run(tmp_path, "b", right=25, wrong=5)
    second.path(layout.PREDICTIONS).write_text("path,true\n1.png,cat\n")
    found = compare([first, second])
    assert found.verdict.pairs == ()
    assert any("b is not tested" in note and layout.PREDICTIONS in note for note in found.notes)


def test_a_difference_of_several_settings_is_called_confounded(tmp_path):
    first = run_of(tmp_path, "a", 600, 136)
    one = run_of(tmp_path, "b", 620, 116, overrides={"batch": 16})
    two = run_of(tmp_path, "c", 620, 116, overrides={"batch": 16, "epochs": 3, "seed": 4})
    assert compare([first, one]).notes == ()
    assert compare([first, two]).notes == (
        "a and c differ in 2 settings (batch, epochs): which of them makes the difference is open",
    )
    assert compare([one, two]).notes == ()  # they are not told apart


def test_another_optimizer_is_one_setting_whatever_it_has_of_its_own(tmp_path):
    first = run_of(tmp_path, "a", 600, 136, overrides={"lr": 0.01})
    second = run_of(tmp_path, "b", 620, 116, overrides={"lr": 0.01, "optimizer": {"name": "sgd", "momentum": 0.9}})
    third = run_of(tmp_path, "c", 640, 96, overrides={"lr": 0.02, "optimizer": "sgd"})
    assert compare([first, second]).notes == ()
    assert compare([first, third]).notes == (
        "a and c differ in 2 settings (optimizer.name, lr.initial): which of them makes the difference is open",
    )


def test_a_difference_of_the_seed_is_called_chance(tmp_path):
    seeded = [run_of(tmp_path, f"s{seed}", 600, 136, overrides={"seed": seed}) for seed in (1, 2)]
    assert compare(seeded).notes == ("s1 and s2 differ in their seed alone: what is between them is chance",)


def test_every_form_has_the_verdict(tmp_path):
    found = compare([run_of(tmp_path, "a", 600, 136), run_of(tmp_path, "b", 620, 116)])
    text = found.verdict.text
    record = json.loads(to_json(found))["verdict"]
    assert record["text"] == text
    assert record["pairs"][0]["is_told_apart"] is True
    assert record["pairs"][0]["difference"]["test"] == "exact McNemar test"
    assert to_markdown(found).startswith(text.replace("<", "\\<"))
    assert f'verdict,"{text}"' in to_csv(found)
