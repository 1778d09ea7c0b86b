from __future__ import annotations

from nodes.stt.agreement import Agreement


def test_words_are_stable_once_two_looks_in_a_row_agree_on_them() -> None:
    looks = [
        ("What is", ""),
        ("What is the cap", "What is"),
        ("What is the capital off", "What is the"),
        ("What is the capital of France?", "What is the capital"),
        ("What is the capital of France?", "What is the capital of France?"),
        ("What is the capital of France?", ""),
    ]
    agreement = Agreement()
    assert [(text, agreement.hear(text)) for text, _ in looks] == looks


def test_case_and_marks_do_not_count() -> None:
    agreement = Agreement()
    agreement.hear("stop. Tell")
    assert agreement.hear("Stop, tell me") == "Stop, tell"


def test_nothing_is_taken_back() -> None:
    agreement = Agreement()
    agreement.hear("I see a")
    assert agreement.hear("I see a") == "I see a"
    assert agreement.hear("Icy") == ""
    assert agreement.hear("I see a dog") == ""
    assert agreement.hear("I see a dog") == "I see a dog"


def test_silence_is_no_word() -> None:
    agreement = Agreement()
    assert [agreement.hear(" ") for _ in range(2)] == ["", ""]
