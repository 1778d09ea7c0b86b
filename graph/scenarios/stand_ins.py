"""What a scenario says of the stand-ins of its models: the format. The nodes that stand in read the same."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from graph.scenarios.steps import Keys, Seconds


class Fault(Keys):
    """What a model does otherwise than usual in one turn."""

    delay: Seconds | None = Field(None, description="how long it takes, instead of the usual time")
    text: str | None = Field(None, description="what stt understands or llm replies; empty: nothing")
    fail: str | None = Field(None, min_length=1, description="the error it fails with; stt dies of it, as real ones do")
    silent: bool = Field(False, description="of tts: it makes no sound")


class StandIn(Keys):
    """What all have in common."""

    delay: Seconds = Field(0.1, description="how long it takes: stt for a transcript, llm to a first token, tts for a clause")
    turns: dict[int, Fault] = Field({}, description="by the number of a turn, what is otherwise there")

    def of(self, turn: int) -> Fault:
        """What is special about a turn."""
        return self.turns.get(turn, Fault())

    def delay_s(self, turn: int) -> float:
        special = self.of(turn).delay
        return self.delay if special is None else special


class SttStandIn(StandIn):
    """It understands every word whose sound reaches it."""


class LlmStandIn(StandIn):
    """It replies what it is told to; by default `You said: …`."""

    replies: list[str] = Field([], description="by turn, again from the first where there are no more")
    word: Seconds = Field(0.02, description="how long a word takes to be written")

    def reply(self, turn: int, said: str) -> str:
        """What it replies in a turn."""
        special = self.of(turn).text
        if special is not None:
            return special
        return self.replies[(turn - 1) % len(self.replies)] if self.replies else f"You said: {said}"


class TtsStandIn(StandIn):
    """It makes a tone that lasts as long as the text would."""

    letter: Seconds = Field(0.06, gt=0, description="how long a letter is heard")


class StandIns(Keys):
    """By role; what is not named is as usual."""

    stt: SttStandIn = Field(default_factory=SttStandIn)
    llm: LlmStandIn = Field(default_factory=LlmStandIn)
    tts: TtsStandIn = Field(default_factory=TtsStandIn)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_as_usual(cls, value: Any) -> Any:
        return {} if value is None else value

    def needed(self, role: str) -> bool:
        """True where a scenario cannot be held with the real model: it is about what a model does wrong, or when."""
        found: StandIn = getattr(self, role)
        return bool(found.turns)
