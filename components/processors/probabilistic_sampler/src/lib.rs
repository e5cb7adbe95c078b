//! The `probabilistic_sampler` processor.
