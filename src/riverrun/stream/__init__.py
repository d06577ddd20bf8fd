"""What generation means: the alphabet of deltas and the grammar of the stream they make. Pure."""
