//! The `transform` processor.
