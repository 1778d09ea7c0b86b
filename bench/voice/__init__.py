"""Voice to voice: how long an assistant takes to answer, ours beside Pipecat with the same model files."""
