//! Which items a processor works on: `include` and `exclude` as the Collector has them.
