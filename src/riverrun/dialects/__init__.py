"""The languages of upstreams: one file of pure functions each, and `upstreams.toml` for the data rows."""
