"""The way in: everything that touches a network, a driver, a file or /proc, and turns it into Samples."""
