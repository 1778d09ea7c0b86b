"""A value of a graph file is changed, and everything else stays as its author wrote it."""

from __future__ import annotations

import pytest

from graph.edit import with_value, without
from graph.yaml_text import parse

TEXT = """\
# my assistant
name: demo

nodes:
  stt:   # the ears
    use: stt.faster_whisper
    with:
      model: base  # small is too slow here
      language: "en"
      prompt: 'it''s'
      beam_size: 1
  tts: {use: tts.kokoro, in: {text: "llm.tokens"}, with: {voice: af_heart, threads: 2}}
  llm:
    use: llm.llama_cpp   # local
"""


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("stt.with.model", "tiny.en", "      model: tiny.en  # small is too slow here"),
        ("stt.with.language", "de", "      language: de"),
        ("stt.with.prompt", '"so"', '      prompt: "so"'),
        ("stt.with.beam_size", "5", "      beam_size: 5"),
        ("tts.with.threads", "1", '  tts: {use: tts.kokoro, in: {text: "llm.tokens"}, with: {voice: af_heart, threads: 1}}'),
        ("tts.with.voice", "bf_emma", '  tts: {use: tts.kokoro, in: {text: "llm.tokens"}, with: {voice: bf_emma, threads: 2}}'),
        ("llm.use", "llm.openai", "    use: llm.openai   # local"),
    ],
)
def test_a_scalar_is_written_over_where_it_stands(path: str, value: str, line: str) -> None:
    changed = with_value(TEXT, ["nodes", *path.split(".")], value)
    differing = [(old, new) for old, new in zip(TEXT.splitlines(), changed.splitlines(), strict=True) if old != new]
    assert [new for _, new in differing] == [line]


@pytest.mark.parametrize("path", ["llm.with.model", "tts.with.speed", "new.use"])
def test_what_is_not_there_is_added_and_comments_stay(path: str) -> None:
    changed = with_value(TEXT, ["nodes", *path.split(".")], "0.5")
    assert parse(changed, "")[0].at(["nodes", *path.split(".")]).data == 0.5
    for comment in ("# my assistant", "# the ears", "# small is too slow here", "# local"):
        assert comment in changed
    was, is_now = (parse(text, "")[0].data for text in (TEXT, changed))
    assert list(is_now["nodes"])[:3] == list(was["nodes"])
    assert is_now["nodes"]["stt"] == was["nodes"]["stt"]


def test_a_mapping_is_taken_away() -> None:
    changed = without(TEXT, ["nodes", "stt", "with"])
    assert "with" not in parse(changed, "")[0].data["nodes"]["stt"]
    assert without(changed, ["nodes", "stt", "with"]) == changed
