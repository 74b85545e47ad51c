use std::fmt;

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// Product lists, product pages and popular products
    Browse,
    /// Customers charge their wallets
    Charge,
    /// Orders over the whole catalogue
    OrderSpread,
    /// Orders that all want one product
    OrderHot,
    /// Two products into the cart, the cart ordered, the order paid
    CartToPaid,
    /// Every customer wants a coupon at the same moment; needs --coupon
    Stampede,
    /// A day at the shop: mostly browsing, and some of everything else
    Mixed,
}

/// What somebody comes to the shop for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Errand {
    /// A look at a page of products.
    ListProducts,
    /// A look at one of them.
    ShowProduct,
    /// A look at what others buy.
    ListPopular,
    /// To charge the wallet.
    Charge,
    /// To order two products.
    Order,
    /// To order the product that everybody wants, and another one.
    OrderHot,
    /// To fill the cart, order it and pay the order.
    CartToPaid,
    /// To order, and to cancel the order.
    ChangeOfMind,
    /// To get the coupon.
    Claim,
}

/// Errands and how many of a hundred are of each.
type Weights = &'static [(Errand, u32)];

const BROWSING: Weights = &[(Errand::ListProducts, 60), (Errand::ShowProduct, 30), (Errand::ListPopular, 10)];

/// A day at the shop. Eighty look around, eighteen buy or pay in, two are after the coupon.
const DAY: Weights = &[
    (Errand::ListProducts, 45),
    (Errand::ShowProduct, 28),
    (Errand::ListPopular, 7),
    (Errand::Charge, 4),
    (Errand::Order, 7),
    (Errand::CartToPaid, 5),
    (Errand::ChangeOfMind, 2),
    (Errand::Claim, 2),
];

impl Scenario {
    fn weights(self) -> Weights {
        match self {
            Self::Browse => BROWSING,
            Self::Charge => &[(Errand::Charge, 100)],
            Self::OrderSpread => &[(Errand::Order, 100)],
            Self::OrderHot => &[(Errand::OrderHot, 100)],
            Self::CartToPaid => &[(Errand::CartToPaid, 100)],
            Self::Stampede => &[(Errand::Claim, 100)],
            Self::Mixed => DAY,
        }
    }

    /// One at random, as often as its weight says. Where there is no coupon nobody is after one.
    pub(super) fn errand(self, there_is_a_coupon: bool) -> Errand {
        let possible =
            || self.weights().iter().filter(|(errand, _)| there_is_a_coupon || *errand != Errand::Claim);
        let all = possible().map(|(_, weight)| weight).sum();
        let mut lot = rand::random_range(0..all);
        for &(errand, weight) in possible() {
            match lot.checked_sub(weight) {
                Some(rest) => lot = rest,
                None => return errand,
            }
        }
        unreachable!("the lot is below the sum of the weights")
    }

    /// Whether it is measured in ways through the shop rather than in requests.
    pub(crate) fn is_a_journey(self) -> bool {
        self == Self::CartToPaid
    }
}

impl Errand {
    /// Whether it takes several requests.
    pub(super) fn is_a_journey(self) -> bool {
        matches!(self, Self::CartToPaid | Self::ChangeOfMind)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Browse => "browse",
            Self::Charge => "charge",
            Self::OrderSpread => "order-spread",
            Self::OrderHot => "order-hot",
            Self::CartToPaid => "cart-to-paid",
            Self::Stampede => "stampede",
            Self::Mixed => "mixed",
        })
    }
}

impl fmt::Display for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ListProducts => "list products",
            Self::ShowProduct => "show a product",
            Self::ListPopular => "list popular products",
            Self::Charge => "charge",
            Self::Order | Self::OrderHot => "order",
            Self::CartToPaid => "from the cart to the paid order",
            Self::ChangeOfMind => "order and cancel",
            Self::Claim => "claim",
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_weights_of_every_scenario_are_parts_of_a_hundred() {
        for scenario in Scenario::value_variants() {
            let weights = scenario.weights();
            assert_eq!(weights.iter().map(|(_, weight)| weight).sum::<u32>(), 100, "{scenario}");
            assert!(weights.iter().all(|(_, weight)| *weight > 0), "{scenario}");
        }
    }

    #[test]
    fn errands_are_as_frequent_as_their_weights_say() {
        const DRAWN: u32 = 100_000;
        let drawn: Vec<Errand> = (0..DRAWN).map(|_| Scenario::Mixed.errand(true)).collect();
        for &(errand, weight) in DAY {
            let found = drawn.iter().filter(|other| **other == errand).count() as f64;
            let expected = f64::from(weight * (DRAWN / 100));
            assert!((found - expected).abs() < 0.2 * expected, "{errand}: {found} instead of {expected}");
        }
    }

    #[test]
    fn nobody_is_after_a_coupon_that_is_not_there() {
        assert!((0..10_000).all(|_| Scenario::Mixed.errand(false) != Errand::Claim));
    }

    #[test]
    fn a_scenario_is_named_as_the_command_line_names_it() {
        for scenario in Scenario::value_variants() {
            assert_eq!(scenario.to_possible_value().unwrap().get_name(), scenario.to_string());
        }
    }
}
