"""The arms in the order of the table: ours, what they are made of, the peers."""

from __future__ import annotations

from bench.transport.arms.base import Arm
from bench.transport.arms.dora import Dora, DoraBackpressure
from bench.transport.arms.ezmsg import Ezmsg
from bench.transport.arms.pipe import Pipe
from bench.transport.arms.redis import Redis
from bench.transport.arms.voicegraph import VoicegraphQueue, VoicegraphStream
from bench.transport.arms.zeromq import Publish, Push

ARMS: tuple[Arm, ...] = (
    VoicegraphStream(),
    VoicegraphQueue(),
    Publish(),
    Push(),
    Dora(),
    DoraBackpressure(),
    Ezmsg(),
    Redis(),
    Pipe(),
)
