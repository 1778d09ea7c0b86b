"""Scenario tests: what the user says and when, and what must happen (docs/scenarios.md)."""
