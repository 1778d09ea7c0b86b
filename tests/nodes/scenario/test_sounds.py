"""The sounds of a scenario, and the words that are known by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from graph.scenarios.steps import Script, Step
from nodes.scenario.known_words import KnownWords
from nodes.scenario.sounds import cough, in_room, noise, sound_of, word_ends
from nodes.scenario.speech import file_of, spoken

SPEECH = Path(__file__).parents[2] / "scenarios/speech"
QUESTION = "How many days are there in a week?"


def step(**said: object) -> Step:
    return Step.model_validate(said)


def rms_db(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean((samples / 32_768.0) ** 2))))


def test_every_sound_is_the_same_each_time() -> None:
    for one in (step(say=QUESTION), step(cough=True), step(noise={"db": -40, "lasts": "1s"}), step(silence="500ms")):
        assert np.array_equal(sound_of(one, SPEECH, -70), sound_of(one, SPEECH, -70))


def test_noise_is_as_loud_and_as_long_as_said() -> None:
    sound = sound_of(step(noise={"db": -40, "lasts": "2s"}), SPEECH, -70)
    assert len(sound) == 32_000
    assert rms_db(sound) == pytest.approx(-40, abs=0.1)
    assert rms_db(sound_of(step(silence="1s"), SPEECH, -50)) == pytest.approx(-50, abs=0.1)


def test_an_order_has_no_sound() -> None:
    assert len(sound_of(step(kill="stt"), SPEECH, -70)) == 0


def test_a_recording_of_any_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(24_000, 0.5, np.float32), 48_000)
    assert len(sound_of(step(file=str(tmp_path / "a.wav")), SPEECH, -70)) == 8_000


def test_a_spoken_text_has_a_name_that_can_be_read() -> None:
    name = file_of(QUESTION, "af_sarah", Path("speech")).name
    assert name == "how-many-days-are-there-in-a-week.af_sarah.4e4201.ogg"
    assert len(file_of("word " * 99, "af_sarah", Path("speech")).name) < 80
    assert np.array_equal(spoken(QUESTION, "af_sarah", SPEECH), spoken(QUESTION, "af_sarah", SPEECH))


def known(*steps: Step, session: str = "default") -> KnownWords:
    script: Script = {session: list(steps)}
    return KnownWords(script, SPEECH, -70)


def test_what_is_heard_whole_is_understood_whole() -> None:
    sound = sound_of(step(say=QUESTION), SPEECH, -70)
    assert known(step(say=QUESTION)).heard("default", np.pad(sound, 4000).tobytes()) == QUESTION


def test_what_is_cut_off_is_not_understood() -> None:
    sound = sound_of(step(say=QUESTION), SPEECH, -70)
    words = known(step(say=QUESTION))
    half = dict(word_ends(QUESTION.split(), len(sound)))["are"]
    assert words.heard("default", sound[:half].tobytes()) == "How many days are"
    assert words.heard("default", sound[half:].tobytes()) == "there in a week?"


def test_words_come_in_the_order_in_which_they_are_heard_and_as_often() -> None:
    first, second = step(say="in a week?"), step(say="How many days are there")
    sounds = [sound_of(one, SPEECH, -70) for one in (second, first, first)]
    assert known(first, second).heard("default", np.concatenate(sounds).tobytes()) == (
        "How many days are there in a week? in a week?"
    )


def test_another_session_noise_and_a_cough_say_nothing() -> None:
    sound = sound_of(step(say=QUESTION), SPEECH, -70)
    assert known(step(say=QUESTION), session="anna").heard("ben", sound.tobytes()) == ""
    assert known(step(say=QUESTION)).heard("default", in_room(cough(), -70).tobytes()) == ""
    assert known(step(say=QUESTION)).heard("default", (noise(16_000, -30, 5) * 32_768).astype("<i2").tobytes()) == ""


def test_what_a_recording_says_is_told_by_the_scenario(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(16_000, -20, seed=3), 16_000)
    one = step(file=str(tmp_path / "a.wav"), words="two words")
    assert known(one).heard("default", sound_of(one, SPEECH, -70).tobytes()) == "two words"
