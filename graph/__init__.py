"""The engine: processes, sockets, messages, sessions and turns. It knows nothing about speech and never imports `nodes`."""
