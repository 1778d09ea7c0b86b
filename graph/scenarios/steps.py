"""What the user of a scenario does, step by step: the format. The nodes that act it out read the same."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic_core import PydanticCustomError

from graph.spec import Duration
from graph.validation import EXPECTED

DEFAULT_VOICE = "af_sarah"
FLOOR_DB = -70.0  # of full scale: the noise of a quiet room, as behind every microphone


# written as it was read: a plan holds the parameters of its nodes, and they read them again
Seconds = Annotated[Duration, PlainSerializer(lambda seconds: f"{seconds:.6f}s", return_type=str)]


class Keys(BaseModel):
    """A mapping of a scenario file: keys that it does not name are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class When(Keys):
    """A moment that depends on what the assistant does."""

    into_reply: Seconds | None = Field(None, description="so long after the reply has begun to be heard")
    after_reply: Seconds | None = Field(None, description="so long after the reply has ended, or was interrupted")
    after_confirmed: Seconds | None = Field(None, description="so long after the turn was held to be over")

    @model_validator(mode="after")
    def _one(self) -> When:
        if sum(value is not None for _, value in self) != 1:
            raise PydanticCustomError(EXPECTED, "one of into_reply, after_reply and after_confirmed")
        return self


class Noise(Keys):
    """Noise as loud at all frequencies."""

    db: float = Field(ge=-90, le=0, description="how loud (RMS), relative to full scale")
    lasts: Seconds = Field(description="how long")


class Swap(Keys):
    """Another version of a node: what `graph swap` would be told. A stand-in is replaced by another of its kind."""

    model_config = ConfigDict(populate_by_name=True)

    use: str | None = None
    parameters: dict[str, Any] = Field({}, alias="with")


ACTIONS = ("say", "file", "noise", "cough", "silence", "kill", "swap")


class Step(Keys):
    """One thing that the user does, or that is done to the graph meanwhile; it begins when the one before is over."""

    say: str | None = Field(None, min_length=1, description="words, spoken by a synthetic voice")
    voice: str = Field(DEFAULT_VOICE, description="of Kokoro, for `say`")
    file: str | None = Field(None, description="a recording, relative to the scenario file")
    words: str = Field("", description="what is said in `file`")
    noise: Noise | None = None
    cough: Literal[True] | None = None
    silence: Seconds | None = None
    kill: str | None = Field(None, description="a node, or one replica of it (stt.0): SIGKILL for its process")
    swap: dict[str, Swap] | None = Field(None, min_length=1, max_length=1, description="a node, and its new version")
    at: When | None = Field(None, description="wait for this moment first")

    @model_validator(mode="after")
    def _one(self) -> Step:
        if sum(getattr(self, action) is not None for action in ACTIONS) != 1:
            raise PydanticCustomError(EXPECTED, "one thing that is done: " + ", ".join(ACTIONS))
        return self


def _short(value: Any) -> Any:
    """`cough` alone."""
    return {"cough": True} if value == "cough" else value


def by_session(value: Any) -> Any:
    """The short form where there is one session: its list alone."""
    return {"default": value} if isinstance(value, list) else value


AnyStep = Annotated[Step, BeforeValidator(_short)]
Script = Annotated[dict[str, Annotated[list[AnyStep], Field(min_length=1)]], BeforeValidator(by_session)]
