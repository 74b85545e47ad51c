//! What every implementation of a port must do, as tests: the crates that implement one run them, each on its own. They
//! panic when the contract is broken.

mod coupon_gate;
mod rate_limit;

pub use coupon_gate::coupon_gate;
pub use rate_limit::rate_limits;
