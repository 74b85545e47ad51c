//! Typed identifiers: a wallet cannot be looked up by a product's id.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A customer; also names the customer's one wallet.
    UserId
);
id!(
    /// A store, the seller of products.
    StoreId
);
id!(
    /// A product of the catalogue.
    ProductId
);
id!(
    /// What a product is sold as: a size, a colour.
    VariantId
);
id!(
    /// A coupon that customers can claim.
    CouponId
);
id!(
    /// One customer's copy of a coupon.
    UserCouponId
);
id!(
    /// An order; also names its one payment.
    OrderId
);
id!(
    /// A line of a cart.
    CartItemId
);
