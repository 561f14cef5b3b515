"""Reports: pages that stand alone, and the same tables in Markdown and LaTeX."""

import base64
import re

import numpy as np
import pytest
from run_folders import CLASSES, make_repeats, make_run, make_unfinished
from test_pages import Page

import imgcls
from imgcls import SpecError
from imgcls.evaluation.metrics import certainty, confidence_bins, expected_calibration_error
from imgcls.files import write_csv, write_json
from imgcls.pages.tables import Table, to_latex, to_markdown
from imgcls.reports import report_page, report_tables
from imgcls.reports.matrix import confusion_matrix
from imgcls.runs import Run, layout
from imgcls.sweep import sweep


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs on digits, of which the second is the better one, and their cache."""
    folder = tmp_path_factory.mktemp("trained")
    spec = {"data": "digits", "architecture": [{"conv": 4}, {"max_pool": 2}, "flatten"], "batch": 64, "lr": 0.01}
    cache = folder / "cache"
    found = [
        imgcls.train(spec, {"epochs": epochs, "name": f"of-{epochs}"}, runs_dir=folder / "runs", cache_dir=cache)
        for epochs in (1, 3)
    ]
    return found, cache


def links(text):
    return set(re.findall(r'href="#(cell-[\d-]+)"', text)), set(re.findall(r'id="(cell-[\d-]+)"', text))


def test_the_page_of_a_run_shows_result_data_and_errors_and_needs_nothing_else(trained):
    (run, _), cache = trained
    text = report_page([run], cache_dir=cache)
    page = Page(text)
    assert "http" not in text
    assert f"{run.metrics['accuracy']:.4f}" in page.text
    assert "imgcls train" in page.text
    plots = [image for image in page.images if image["src"].startswith("data:image/svg+xml")]
    assert len(plots) == 2
    assert "var(--ink)" in base64.b64decode(plots[0]["src"].split(",")[1]).decode()
    wrong = round(run.metrics["n"] * (1 - run.metrics["accuracy"]))
    thumbnails = [image for image in page.images if image["src"].startswith("data:image/png")]
    assert len(thumbnails) > min(wrong, 24)
    used, there = links(text)
    assert used == there != set()


def test_the_surest_errors_are_explained_if_asked(trained):
    (run, other), cache = trained
    page = Page(report_page([run], cache_dir=cache, explain=True))
    seen = [image for image in page.images if image["alt"].startswith("where the network saw")]
    assert 0 < len(seen) <= 24
    with pytest.raises(SpecError, match="a single run"):
        report_page([run, other], explain=True)


def test_images_that_are_not_what_was_trained_on_are_not_shown(trained, tmp_path):
    (run, _), cache = trained
    rows = [(row["path"], row["label"], row["split"], "0" * 64) for row in run.manifest]
    changed = Run(tmp_path / "changed")
    changed.folder.mkdir()
    for path in run.folder.iterdir():
        if path.is_file() and path.name != layout.CHECKSUMS:
            changed.path(path.name).write_bytes(path.read_bytes())
    write_csv(changed.path(layout.MANIFEST), ("path", "label", "split", "sha256"), rows)
    page = Page(report_page([changed], cache_dir=cache))
    assert not [image for image in page.images if image["src"].startswith("data:image/png")]
    assert "digits[" in page.text


def test_where_the_data_is_gone_the_page_says_so_and_has_the_rest(tmp_path):
    run = make_run(tmp_path, overrides={"data": str(tmp_path / "gone")})
    text = report_page([run], cache_dir=tmp_path / "cache")
    assert "the images cannot be shown: data.path: there is no folder" in Page(text).text
    assert "[/bird] taken for cat" in Page(text).text


def test_names_are_never_markup(tmp_path):
    classes = ("<script>alert(1)</script>", "b & b", '"><img src=x>')
    page = Page(report_page([make_run(tmp_path, classes=classes)], cache_dir=tmp_path / "cache"))
    assert page.tags.count("script") == 1
    assert "<script>alert(1)</script>" in page.text
    assert all(image["src"].startswith("data:") for image in page.images)


@pytest.mark.parametrize("count", [2, 10, 200])
def test_any_number_of_classes_has_a_page(tmp_path, count):
    classes = tuple(f"class {number}" for number in range(count))
    text = report_page([make_run(tmp_path, right=3 * count, wrong=count, classes=classes)], cache_dir=tmp_path / "c")
    assert ("matrix" in re.findall(r'<table class="(\w+)', text)) == (count <= 40)
    assert len(text) < 3_000_000


def test_an_unfinished_run_has_a_page_of_what_there_is(tmp_path):
    text = Page(report_page([make_unfinished(tmp_path)], cache_dir=tmp_path / "cache")).text
    assert "failed: out of memory" in text
    assert "Confusion matrix" not in text


def test_a_comparison_begins_with_the_verdict_and_shows_what_changed(trained):
    found, cache = trained
    text = report_page(found, cache_dir=cache)
    page = Page(text)
    assert text.index("headline") < text.index("<table")
    assert "that only the second run has right" in page.text
    tables = report_tables(found)[1]
    recalls = next(table for table in tables if table.title == "Recall of each class")
    points = [abs(float(row[-1])) for row in recalls.rows]
    assert points == sorted(points, reverse=True)


def recalls(runs):
    tables = report_tables(runs)[1]
    return next(table for table in tables if table.title == "Recall of each class")


def test_the_recall_of_repeats_is_the_mean_over_those_that_are_completed(tmp_path):
    group, run = make_repeats(tmp_path, broken=("failed",)), make_run(tmp_path, right=30, wrong=0)
    table = recalls([group, run])
    assert table.header[-1] == "points"
    for name, mean, single, points in table.rows:
        expected = np.mean([each.metrics["per_class"][name]["recall"] for each in group.members[:-1]])
        assert (mean, single, points) == (f"{expected:.3f}", "1.000", f"{100 * (1 - expected):+.1f}")


def test_where_a_recall_is_not_known_no_points_are_made_up(tmp_path):
    run, other = make_run(tmp_path, right=30, wrong=0), make_run(tmp_path)
    metrics = other.metrics
    metrics["per_class"]["dog"]["recall"] = None
    write_json(other.path(layout.METRICS), metrics)
    rows = {name: row for name, *row in recalls([run, Run(other.folder)]).rows}
    assert rows["dog"] == ["1.000", "-", "-"]
    assert rows["cat"][-1].startswith("-")
    assert {row[-1] for row in recalls([run, make_unfinished(tmp_path)]).rows} == {"-"}


def test_recalls_of_other_images_have_no_points(tmp_path):
    table = recalls([make_run(tmp_path), make_run(tmp_path, images="other")])
    assert table.header[0] == "class"
    assert "points" not in table.header
    assert {len(row) for row in table.rows} == {3}


def test_many_runs_side_by_side_have_a_page(tmp_path):
    found = [make_run(tmp_path, f"run-{number}", right=20 + number % 5) for number in range(30)]
    assert "30 runs side by side" in Page(report_page(found, cache_dir=tmp_path / "cache")).text


def test_repeats_have_means_and_all_their_answers_together(tmp_path):
    group = make_repeats(tmp_path)
    page = Page(report_page([group], cache_dir=tmp_path / "cache"))
    assert "mean accuracy of" in page.text
    total = sum(member.metrics["n"] for member in group.members if member.path(layout.METRICS).exists())
    assert f"{total} test images." in page.text


@pytest.mark.long
def test_a_sweep_has_its_verdict_pictures_and_every_trial(tmp_path):
    base = {
        "data": "digits",
        "architecture": ["flatten"],
        "batch": 64,
        "epochs": 1,
        "precision": "float32",
        "tracking": "none",
    }
    given = {"base": base, "parameters": {"lr": [0.01, 0.03], "optimizer": ["adam", "sgd"]}, "jobs": 1}
    run = sweep(given, runs_dir=tmp_path / "runs")
    page = Page(report_page([run]))
    assert run.sweep["verdict"][0] in page.text
    assert len(page.images) == 4
    assert "All 4 trials" in page.text
    assert report_tables([run])[0] == run.sweep["verdict"]


def test_a_matrix_that_is_too_large_for_a_table_has_no_cells():
    counts, classes = np.eye(41, dtype=int).tolist(), [str(number) for number in range(41)]
    assert confusion_matrix(counts, classes, ()).cells == ()
    assert len(confusion_matrix([row[:40] for row in counts[:40]], classes[:40], ()).cells) == 40


def test_orders_of_the_matrix_put_together_what_is_confused():
    counts = [[8, 0, 2, 0], [0, 9, 0, 1], [3, 0, 7, 0], [0, 4, 0, 6]]
    matrix = confusion_matrix(counts, "abcd", ())
    side_by_side = matrix.orders["what is confused side by side"]
    assert {frozenset(side_by_side[:2]), frozenset(side_by_side[2:])} == {frozenset({0, 2}), frozenset({1, 3})}
    assert matrix.orders["worst recall first"][0] == 3
    assert all(sorted(order) == [0, 1, 2, 3] for order in matrix.orders.values())


def test_markdown_and_latex_show_any_text_as_it_is():
    table = Table("100 % of a_b", ("class", "F1"), (("x|y & {z}\\", "0.5"), ("$~^#", "0.7")), best=frozenset({(1, 1)}))
    markdown = to_markdown([table], ["a *note*"])
    assert r"| x\|y & {z}\\ | 0.5 |" in markdown
    assert "**0.7**" in markdown
    assert r"a \*note\*" in markdown
    latex = to_latex([table])
    assert r"\caption{100 \% of a\_b}" in latex
    assert r"x|y \& \{z\}\textbackslash{} & 0.5 \\" in latex
    assert r"\$\textasciitilde{}\textasciicircum{}\# & \textbf{0.7} \\" in latex
    assert latex.count("{lr}") == 1


def test_tables_of_a_run_have_n_and_the_interval(tmp_path):
    run = make_run(tmp_path)
    text = to_latex(report_tables([run])[1])
    low, high = run.metrics["accuracy_ci95"]
    assert "30 test images" in text
    assert f"{low:.4f} to {high:.4f}" in text
    assert all(name.replace("_", r"\_") in text for name in CLASSES)


def test_bins_of_confidence_add_up_to_the_calibration_error():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], 200).astype(np.float32)
    labels = rng.integers(0, 3, 200)
    bins = confidence_bins(*certainty(probabilities, labels))
    assert sum(each.count for each in bins) == 200
    gap = sum(each.count * abs(each.accuracy - each.confidence) for each in bins) / 200
    assert expected_calibration_error(probabilities, labels) == pytest.approx(gap)
    assert all(each.low <= each.accuracy <= each.high for each in bins)
    assert all(each.start < each.confidence <= each.end for each in bins)
