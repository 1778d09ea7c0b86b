from __future__ import annotations

from nodes.llm.history import History


def replied(history: History, session: str, turn: int, said: str, reply: str) -> None:
    exchange = history.begin(session, turn, said)
    exchange.pieces.append(reply)
    exchange.finished = True


def contents(history: History, session: str, oldest: int = 0) -> list[str]:
    return [message["content"] for message in history.messages(session, oldest)]


def test_past_exchanges_come_before_what_the_user_says_now() -> None:
    history = History(exchanges=2)
    replied(history, "a", 1, "Hello.", "Hi!")
    history.begin("a", 2, "How are you?")
    assert history.messages("a") == [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "How are you?"},
    ]


def test_only_so_many_past_exchanges_are_kept() -> None:
    history = History(exchanges=2)
    for turn in range(1, 5):
        replied(history, "a", turn, f"q{turn}", f"r{turn}")
    history.begin("a", 5, "q5")
    assert contents(history, "a") == ["q3", "r3", "q4", "r4", "q5"]


def test_without_history_every_question_stands_alone() -> None:
    history = History(exchanges=0)
    replied(history, "a", 1, "q1", "r1")
    history.begin("a", 2, "q2")
    assert contents(history, "a") == ["q2"]


def test_sessions_do_not_mix() -> None:
    history = History(exchanges=4)
    replied(history, "a", 1, "qa", "ra")
    replied(history, "b", 1, "qb", "rb")
    history.begin("a", 2, "next")
    assert contents(history, "a") == ["qa", "ra", "next"]


def test_the_session_silent_longest_is_forgotten() -> None:
    history = History(exchanges=4, sessions=2)
    replied(history, "a", 1, "qa", "ra")
    replied(history, "b", 1, "qb", "rb")
    replied(history, "a", 2, "qa2", "ra2")
    replied(history, "c", 1, "qc", "rc")
    history.begin("b", 2, "again")
    assert contents(history, "b") == ["again"]
    history.begin("c", 2, "again")
    assert contents(history, "c") == ["qc", "rc", "again"]


def test_an_interrupted_reply_is_kept_as_far_as_it_came_and_seen_to_be_cut_off() -> None:
    history = History(exchanges=4)
    history.begin("a", 1, "Tell me a story.").pieces += ["Once", " upon"]
    history.begin("a", 2, "Stop.")
    assert contents(history, "a") == ["Tell me a story.", "Once upon…", "Stop."]


def test_a_turn_interrupted_before_its_first_word_still_alternates_the_roles() -> None:
    history = History(exchanges=4)
    history.begin("a", 1, "Tell me")
    history.begin("a", 2, "Tell me a story.")
    assert [m["role"] for m in history.messages("a")] == ["user", "assistant", "user"]


def test_a_revision_of_a_turn_replaces_what_was_understood_before() -> None:
    history = History(exchanges=4)
    history.begin("a", 1, "What is the").pieces.append("What")
    history.begin("a", 1, "What is the capital of France?")
    assert contents(history, "a") == ["What is the capital of France?"]


def test_texts_of_no_turn_never_replace_each_other() -> None:
    history = History(exchanges=4)
    replied(history, "a", 0, "q1", "r1")
    history.begin("a", 0, "q2")
    assert contents(history, "a") == ["q1", "r1", "q2"]


def test_messages_can_leave_the_oldest_out_without_forgetting_them() -> None:
    history = History(exchanges=4)
    for turn in (1, 2):
        replied(history, "a", turn, f"q{turn}", f"r{turn}")
    history.begin("a", 3, "q3")
    assert contents(history, "a", oldest=1) == ["q2", "r2", "q3"]
    assert history.past("a") == 2
    history.forget("a", 2)
    assert contents(history, "a") == ["q3"]


def test_an_exchange_that_led_to_nothing_is_dropped() -> None:
    history = History(exchanges=4)
    replied(history, "a", 1, "q1", "r1")
    history.begin("a", 2, "far too long")
    history.drop_current("a")
    history.begin("a", 3, "q3")
    assert contents(history, "a") == ["q1", "r1", "q3"]


def test_what_was_withdrawn_was_never_said() -> None:
    history = History(8)
    replied(history, "s", 1, "Hello.", "Hi.")
    replied(history, "s", 2, "I would like", "Yes?")
    history.withdraw("s", 2)
    history.withdraw("s", 2)
    history.withdraw("nobody", 2)
    history.begin("s", 3, "And now?")
    assert contents(history, "s") == ["Hello.", "Hi.", "And now?"]


def test_of_a_reply_that_was_interrupted_only_what_was_heard_is_remembered() -> None:
    history = History(8)
    replied(history, "s", 1, "Count.", "One, two, three, four.")
    history.heard("s", 1, "One, two,")
    history.heard("nobody", 1, "Nothing.")
    history.begin("s", 2, "Stop.")
    assert contents(history, "s") == ["Count.", "One, two,…", "Stop."]


def test_a_turn_that_fails_after_some_of_its_reply_was_heard_is_remembered_so_far() -> None:
    history = History(8)
    replied(history, "s", 1, "Count.", "One, two, three, four.")
    history.begins("s", 1)
    history.heard("s", 1, "One, two,")
    history.withdraw("s", 1)
    history.begins("nobody", 1)
    history.begin("s", 2, "Go on.")
    assert contents(history, "s") == ["Count.", "One, two,…", "Go on."]


def test_a_turn_that_is_begun_again_is_there_once_and_what_was_heard_of_it_is_known() -> None:
    history = History(8)
    replied(history, "s", 1, "Count.", "One, two.")
    history.begins("s", 1)
    replied(history, "s", 2, "And on.", "Three.")
    history.begin("s", 1, "Count.").pieces.append("One")
    assert not history.withdraw("s", 1), "something of its reply was heard"
    assert history.withdraw("s", 2)
    assert not history.withdraw("s", 2)
    history.begin("s", 3, "Stop.")
    assert contents(history, "s") == ["Count.", "One…", "Stop."]


def test_a_reply_that_is_whole_is_known_by_its_turn_and_what_it_replies_to() -> None:
    history = History(8)
    replied(history, "s", 1, "Count.", "One, two.")
    replied(history, "s", 0, "Typed.", "Read.")
    history.begin("s", 2, "And on.").pieces.append("Three")
    assert history.reply_to("s", 1, "Count.") == "One, two."
    assert history.reply_to("s", 1, "Count to ten.") is None
    assert history.reply_to("s", 2, "And on.") is None, "it is not whole"
    assert history.reply_to("s", 0, "Typed.") is None, "that is no turn"
    assert history.reply_to("nobody", 1, "Count.") is None


def test_whoever_goes_on_knows_the_same() -> None:
    history, heir = History(8), History(8)
    replied(history, "s", 1, "Count.", "One, two.")
    history.begins("s", 1)
    replied(history, "s", 2, "And on.", "Three.")
    heir.restore(history.snapshot())
    assert heir.snapshot() == history.snapshot()
    assert not heir.withdraw("s", 1)
    assert heir.withdraw("s", 2)
