//! The Jangteo server: HTTP API, command line, configuration and wiring. There is no rule of the shop in it.
//!
//! [`Application`] is the whole server; the binary and the tests start the same one:
//!
//! ```no_run
//! # #[tokio::main]
//! # async fn main() -> anyhow::Result<()> {
//! use std::sync::Arc;
//!
//! use jangteo::{Application, Settings};
//! use jangteo_application::SystemClock;
//!
//! let settings = Settings { listen: "127.0.0.1:0".parse()?, ..Settings::default() };
//! let application = Application::build(settings, Arc::new(SystemClock)).await?;
//! println!("listening on {}", application.address());
//! application.run_until_stopped().await?;
//! # Ok(())
//! # }
//! ```
//!
//! | to find | look in |
//! |---|---|
//! | how everything is put together | `application.rs` |
//! | an endpoint | `http/`, a file for each area |
//! | what a failure looks like to a client | `http/error.rs`, `messages.rs` |
//! | who asks | `http/recognition.rs`, `tokens.rs` |
//! | what is done without being asked | `worker.rs` |
//! | who receives events, to try it | `platform.rs` |
//! | a setting | [`config`] |
//! | a command | [`cli`] |

mod application;
pub mod cli;
pub mod config;
mod http;
mod messages;
mod platform;
mod reads;
pub mod telemetry;
mod tokens;
mod worker;

pub use application::{Application, StopHandle};
pub use config::Settings;
pub use http::openapi;
pub use platform::{Platform, PlatformSettings};
