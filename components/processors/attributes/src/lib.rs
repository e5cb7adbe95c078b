//! The `attributes` processor.
