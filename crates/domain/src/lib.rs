//! The rules of the shop, and nothing else: entities, value types, pure decisions and the traits of the
//! repositories that keep them. No I/O, no runtime, no serialisation, no database: reuse it where you like.
//!
//! Deciding an order needs no server. Put what it touches on a [`checkout::Counter`] and [`checkout::settle`] it:
//!
//! ```
//! use jangteo_domain::checkout::{Counter, settle};
//! use jangteo_domain::{Money, OrderId, OrderRequest, Product, ProductId, Quantity, UserId, Wallet};
//!
//! let (mina, shirt) = (UserId(1), ProductId(101));
//! let mut counter = Counter::default();
//! counter.wallets.insert(mina, Wallet { user: mina, balance: "50000".parse()? });
//! let name = "Blue T-shirt".to_owned();
//! let product = Product { id: shirt, name, price: "19900".parse()?, stock: 2, variants: None };
//! counter.products.insert(shirt, product);
//!
//! let two = OrderRequest::new(mina, [(shirt, Quantity::new(2)?)], None)?;
//! let one_more = OrderRequest::new(mina, [(shirt, Quantity::new(1)?)], None)?;
//! let mut ids = (1..).map(OrderId);
//! let verdicts = settle(&mut counter, [&two, &one_more], &mut ids, chrono::DateTime::UNIX_EPOCH);
//!
//! let sale = verdicts[0].as_ref().expect("there are two, and the money suffices");
//! assert_eq!(sale.order.paid.to_string(), "39800.00");
//! assert_eq!(counter.wallets[&mina].balance.to_string(), "10200.00");
//! let refusal = verdicts[1].as_ref().expect_err("none is left, and neither is the money");
//! assert_eq!(refusal.shortages[0].available, 0);
//! assert!(refusal.balance.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cancellation;
pub mod cart;
pub mod catalogue;
pub mod checkout;
pub mod coupon;
pub mod deferred;
mod ids;
mod money;
pub mod order;
pub mod payment;
pub mod placed_orders;
pub mod product;
mod quantity;
mod repository;
pub mod store;
pub mod user;
pub mod wallet;

pub use cart::Cart;
pub use coupon::{Coupon, CouponCode, UserCoupon};
pub use ids::{CartItemId, CouponId, OrderId, ProductId, StoreId, UserCouponId, UserId, VariantId};
pub use money::{Money, MoneyError};
pub use order::{Order, OrderRequest};
pub use payment::Payment;
pub use product::{Product, Sku};
pub use quantity::{Quantity, QuantityError};
pub use repository::RepositoryError;
pub use store::Store;
pub use user::User;
pub use wallet::Wallet;
