//! The data platform of one's own, as those see it who deliver events.

mod behaviour;
mod deliveries;
mod kafka;
mod running;
