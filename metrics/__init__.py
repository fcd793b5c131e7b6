"""The core: quantities, samples, windows, the store, the recording format, the Snapshot. Pure: it reads no clock."""
