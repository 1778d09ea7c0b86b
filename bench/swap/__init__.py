"""How a node is replaced while messages flow; beside dora's `node replace` and Pipecat's ServiceSwitcher."""
