"""The host's side of a board: transports, the stream's protocol, and :class:`Board`."""
