//! The `routing` connector.
