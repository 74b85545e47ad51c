//! What every implementation of a port must do, as tests: the crates that implement one run them, each on its own. They
//! panic when the contract is broken.

mod rate_limit;

pub use rate_limit::rate_limits;
