from pathlib import Path

import pytest

from imgcls_cli.app import COMMANDS

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(imgcls, name):
    text = imgcls(name, "--help").out
    assert "Usage" in text
    assert f"Example: imgcls {name}" in " ".join(text.rstrip().splitlines()[-2:]), "it ends with an example"


@pytest.mark.skipif(not README.exists(), reason="the README is not written yet")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name):
    assert f"imgcls {name}" in README.read_text(encoding="utf-8")
