"""What runs in the processes of the other transports; nothing here imports voicegraph, their environments have none."""
