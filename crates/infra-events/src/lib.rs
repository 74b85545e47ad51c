//! Where Jangteo's events go: the port [`EventSink`](jangteo_application::EventSink), once for each kind of data platform.

mod log;

pub use log::LogSink;
