//! Weighbridge embedded: each file in `examples/` is a program of its own.
