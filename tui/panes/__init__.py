"""One pure function for each pane: (Snapshot, View, width, height) to rows."""
