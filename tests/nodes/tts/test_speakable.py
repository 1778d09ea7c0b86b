"""What is said of written text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.tts.speakable import speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("plain text.", "plain text."),
        ("**Bold**, *slanted* and ~~struck~~.", "Bold, slanted and struck."),
        ("__bold__ and _slanted_", "bold and slanted"),
        ("2 * 3 = 6, 2*3 and snake_case", "2 * 3 = 6, 2*3 and snake_case"),
        ("## A heading\n", "A heading"),
        ("  - an item", "an item"),
        ("* [x] done", "done"),
        ("> quoted", "quoted"),
        ("2. second", "2. second"),
        ("Use `pip install x`.", "Use pip install x."),
        ("```python\nprint(1)\n```\n", ""),
        ("~~~\nopen", ""),
        ("See [the docs](https://x.org/a_b) and ![a cat](cat.png).", "See the docs and a cat."),
        ("end](https://x.org) of a link", "end of a link"),
        ("https://www.x.org/a_b", "x.org/a_b"),
        ("| name | age |", "name, age"),
        ("|---|:-:|", ""),
        ("---", ""),
        ("Great 😀👍🏽! 1️⃣ 🇫🇷 ❤️", "Great! 1"),
        ("21 °C, 5 % and © 2020", "21 °C, 5 % and © 2020"),
        ("...", ""),
        (" \n", ""),
        ("今日は、**晴れ**です。", "今日は、晴れです。"),
    ],
)
def test_marks_are_for_the_eye(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@given(st.text(alphabet="ab1é長 .,!*_`~#>-\n"))
def test_every_letter_is_said(text: str) -> None:
    letters = re.sub(r"[\W_]", "", text)
    said = speakable(text)
    if not text.lstrip().startswith(("```", "~~~")):
        assert re.sub(r"[\W_]", "", said) == letters
    assert said == " ".join(said.split())
