use crate::bench::{Setup, Step};
use crate::events::{Demand, Trial};
use crate::load::Traffic;
use crate::scenario::Backend;

impl Step {
    /// What it is about. Steps about the same can be compared.
    pub(crate) fn subject(self) -> String {
        match self {
            Self::Server { traffic: Traffic::Orders { .. }, clients: 1, .. } => {
                "One order at a time".to_owned()
            }
            Self::Server { traffic: Traffic::Orders { .. }, setup: Setup::Limited { .. }, .. } => {
                "Orders while Redis freezes".to_owned()
            }
            Self::Floor { backend, mix, .. }
            | Self::Server { backend, traffic: Traffic::Orders { mix, .. }, .. }
            | Self::Engine { backend, mix, .. } => format!("Orders on {backend}, {mix}"),
            Self::Server { traffic: Traffic::Catalogue, .. } => "The first page of the catalogue".to_owned(),
            Self::Server { traffic: Traffic::Charges, .. } | Self::ChargeFloor { .. } => {
                format!("Charges on {}", Backend::Mysql)
            }
            // Beside it, whatever writes would be too short to see.
            Self::Bare { .. } => "HTTP with nothing behind it".to_owned(),
            Self::Journeys { .. } => "Journeys through the shop".to_owned(),
            Self::Start { .. } => "From the start to the first answer".to_owned(),
            Self::Stampede { .. } => "A stampede on a coupon".to_owned(),
            Self::Events { trial: Trial::Purchases { demand: Demand::Saturating, .. }, .. } => {
                "Orders while their events are delivered, saturated".to_owned()
            }
            Self::Events { trial: Trial::Purchases { demand: Demand::Half, .. }, .. } => {
                "Orders while their events are delivered, at half load".to_owned()
            }
            Self::Events { trial: Trial::Backlog { .. }, .. } => "Backlogs of events".to_owned(),
        }
    }
}
