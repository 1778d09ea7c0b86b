"""Barge-in: how soon a reply falls silent when the user speaks into it, and what a cough does to it; beside Pipecat."""
