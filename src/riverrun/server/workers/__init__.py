"""Several processes that answer on one address: a parent with the engine and the control socket, and its workers."""
