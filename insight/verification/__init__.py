"""Whether a change did what it was to do: two times of one server compared, and predictions held against what came."""
