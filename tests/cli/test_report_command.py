"""``imgcls report``."""

from run_folders import make_run


def test_a_page_lies_in_the_run_folder_and_its_path_is_told(imgcls, tmp_path):
    run = make_run(tmp_path)
    done = imgcls("report", "latest", "--runs-dir", tmp_path)
    assert (done.code, done.out.splitlines()[-1]) == (0, str(run.path("report.html")))
    assert run.path("report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert imgcls("show", "latest", "--runs-dir", tmp_path).code == 0


def test_a_comparison_lies_beside_the_runs(imgcls, tmp_path):
    make_run(tmp_path, "one")
    make_run(tmp_path, "two", right=25)
    done = imgcls("report", "one", "two", "--runs-dir", tmp_path)
    assert (done.code, done.out.splitlines()[-1]) == (0, str(tmp_path / "comparison.html"))


def test_tables_go_to_stdout_or_a_file(imgcls, tmp_path):
    make_run(tmp_path)
    markdown = imgcls("report", "latest", "--format", "markdown", "--runs-dir", tmp_path)
    assert (markdown.code, markdown.err) == (0, "")
    assert "| accuracy | 0.6667 |" in markdown.out
    written = imgcls("report", "latest", "--format", "latex", "--out", tmp_path / "t.tex", "--runs-dir", tmp_path)
    assert written.out.strip() == str(tmp_path / "t.tex")
    assert "\\toprule" in (tmp_path / "t.tex").read_text(encoding="utf-8")


def test_what_cannot_be_reported_is_told(imgcls, tmp_path):
    assert imgcls("report", "none", "--runs-dir", tmp_path).code == 3
    assert imgcls("report", "none", "--format", "pdf", "--runs-dir", tmp_path).code == 2
    make_run(tmp_path)
    done = imgcls("report", "latest", "--out", tmp_path / "nowhere" / "page.html", "--runs-dir", tmp_path)
    assert (done.code, "nowhere" in done.err) == (1, True)
