"""Where answers come from: the one HTTP client, and the scripted upstream. I/O."""
