from __future__ import annotations

import pytest

from imgcls.wording import shown, size, some


@pytest.mark.parametrize(("count", "text"), [
    (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1_000, "1.0 kB"), (20_000, "20 kB"), (999_700, "1.0 MB"),
    (1_500_000_000, "1.5 GB"), (3_000_000_000_000, "3,000 GB"),
])  # fmt: skip
def test_a_size_has_the_unit_that_fits(count: int, text: str) -> None:
    assert size(count) == text


def test_names_stay_on_their_line_and_in_their_script() -> None:
    assert some(["a\nb", "\x1b[31m", "x\u2028y"]) == r"a\nb, \x1b[31m, x\u2028y"
    assert (
        shown("\u00e9t\u00e9 \u5409\u3000\U0001f469\u200d\U0001f33e")
        == "\u00e9t\u00e9 \u5409\u3000\U0001f469\u200d\U0001f33e"
    )
