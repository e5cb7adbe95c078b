//! The `resource` processor.
